using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// The snapshots on their way to peers: so many at a time, the others in turn, and all together no faster than the node may send, so that a
/// peer that catches up does not starve those that keep up. A transfer that is given up, since its peer cannot be reached, is put by for a
/// while with its file: the next one goes on where it stopped. Owned by the snapshot loop.
/// </summary>
internal sealed class SnapshotTransfers : IDisposable
{
    private readonly Dictionary<NodeId, SnapshotTransfer> _running = [];
    private readonly Dictionary<NodeId, SnapshotTransfer> _putBy = [];
    private readonly LinkedList<Order> _waiting = [];
    private readonly Queue<SnapshotTransfer> _due = new();
    private readonly SnapshotStore _files;
    private readonly uint _groupId;
    private readonly SnapshotOptions _options;
    private readonly TokenBucket _bucket;
    private readonly Action<SnapshotEvent> _report;
    private readonly Action _demand;
    private readonly List<Order> _awaitingSnapshot = [];

    /// <param name="files">Where the snapshots are.</param>
    /// <param name="groupId">Whose they are.</param>
    /// <param name="options">How much at a time.</param>
    /// <param name="time">For the rate.</param>
    /// <param name="report">Takes the pieces, and how transfers ended.</param>
    /// <param name="demand">Asks for a new snapshot, after which <see cref="SnapshotTaken"/> is called.</param>
    public SnapshotTransfers(SnapshotStore files, uint groupId, SnapshotOptions options, TimeProvider time, Action<SnapshotEvent> report, Action demand)
    {
        _files = files;
        _groupId = groupId;
        _options = options;
        _bucket = new TokenBucket(options.BytesPerSecondMax, time);
        _report = report;
        _demand = demand;
    }

    /// <summary>A peer that needs a snapshot which reaches to <paramref name="IndexMin"/> at least, where the log goes on.</summary>
    private readonly record struct Order(NodeId Peer, bool IsWitness, ulong IndexMin);

    /// <summary>When a piece that waits for its bytes may go; <see cref="long.MaxValue"/> where none does.</summary>
    public long NextWake => _due.Count > 0 ? _bucket.ReadyAt : long.MaxValue;

    /// <summary>Nothing is being sent, waits to be, or is kept for going on.</summary>
    public bool IsEmpty => _running.Count + _waiting.Count + _awaitingSnapshot.Count + _putBy.Count == 0;

    /// <summary>Transfers that went on where one before them had stopped.</summary>
    public int Resumed { get; private set; }

    /// <summary>Takes the place of whatever was asked for the peer before.</summary>
    public void Begin(NodeId peer, bool isWitness, ulong indexMin)
    {
        RemoveWaiting(peer);
        if (_running.Remove(peer, out SnapshotTransfer? old))
        {
            PutBy(old);
        }

        _waiting.AddLast(new Order(peer, isWitness, indexMin));
        StartWaiting();
    }

    /// <summary>Ends the transfer of the snapshot of that index, if it is still the one that is under way to the peer.</summary>
    public void Cancel(NodeId peer, ulong index)
    {
        if (_running.TryGetValue(peer, out SnapshotTransfer? transfer) && transfer.Info.Index == index)
        {
            End(transfer, succeeded: false);
            transfer.Dispose();
        }
    }

    /// <summary>There is a newer snapshot, which may be what some wait for.</summary>
    public void SnapshotTaken()
    {
        foreach (Order order in _awaitingSnapshot)
        {
            _waiting.AddLast(order);
        }

        _awaitingSnapshot.Clear();
        StartWaiting();
    }

    /// <summary>A peer's answer to a piece.</summary>
    public void Handle(Message answer)
    {
        if (!_running.TryGetValue(answer.From, out SnapshotTransfer? transfer) || transfer.Info.Index != answer.Index.Value)
        {
            return;
        }

        if (answer.Reject)
        {
            End(transfer, succeeded: false);
            transfer.Dispose(); // What the peer holds is no good: the next one begins at the beginning.
        }
        else if (transfer.Acknowledge(answer.ChunkOffset))
        {
            if (transfer.IsComplete)
            {
                End(transfer, succeeded: true);
                transfer.Dispose();
            }
            else
            {
                Enqueue(transfer);
            }
        }
    }

    public void Tick()
    {
        foreach (SnapshotTransfer transfer in _running.Values.ToArray())
        {
            switch (transfer.Tick())
            {
                case SnapshotTransfer.Patience.Resend:
                    Enqueue(transfer);
                    break;
                case SnapshotTransfer.Patience.GiveUp:
                    PutBy(transfer);
                    End(transfer, succeeded: false);
                    break;
            }
        }

        foreach (SnapshotTransfer transfer in _putBy.Values.Where(transfer => transfer.TickPutBy()).ToArray())
        {
            _putBy.Remove(transfer.Peer);
            transfer.Dispose();
        }
    }

    /// <summary>Sends the pieces that may go now; true where one went.</summary>
    public bool SendDue()
    {
        bool sent = false;
        while (_due.TryPeek(out SnapshotTransfer? transfer))
        {
            bool isStale = !_running.TryGetValue(transfer.Peer, out SnapshotTransfer? running) || running != transfer;
            if (!isStale && !_bucket.TryTake(transfer.NextLength))
            {
                return sent;
            }

            _due.Dequeue();
            if (isStale)
            {
                transfer.StopAwaitingBytes();
                continue;
            }

            _report(transfer.NextChunk());
            sent = true;
        }

        return sent;
    }

    public void Dispose()
    {
        foreach (SnapshotTransfer transfer in _running.Values.Concat(_putBy.Values))
        {
            transfer.Dispose();
        }

        _running.Clear();
        _putBy.Clear();
        _waiting.Clear();
        _awaitingSnapshot.Clear();
        _due.Clear();
    }

    private void StartWaiting()
    {
        while (_waiting.First is { } first && _running.Count < _options.TransfersMax)
        {
            _waiting.RemoveFirst();
            Start(first.Value);
        }
    }

    private void Start(Order order)
    {
        if (!order.IsWitness && TakePutBy(order) is { } transfer)
        {
            Resumed++;
        }
        else if (_files.List(_groupId).FirstOrDefault() is { } newest && newest.Index >= order.IndexMin)
        {
            transfer = new SnapshotTransfer(order.Peer, newest, order.IsWitness ? null : _files.OpenRaw(_groupId, newest), _options);
        }
        else
        {
            _awaitingSnapshot.Add(order);
            _demand(); // Where one is under way already it may still be too old: then it is demanded again.
            return;
        }

        _running.Add(order.Peer, transfer);
        Enqueue(transfer);
    }

    /// <summary>The transfer that was given up, if the log still goes on where its snapshot ends.</summary>
    private SnapshotTransfer? TakePutBy(Order order)
    {
        if (!_putBy.Remove(order.Peer, out SnapshotTransfer? transfer))
        {
            return null;
        }

        if (transfer.Info.Index >= order.IndexMin)
        {
            transfer.Resume();
            return transfer;
        }

        transfer.Dispose();
        return null;
    }

    private void PutBy(SnapshotTransfer transfer)
    {
        if (_putBy.Remove(transfer.Peer, out SnapshotTransfer? older))
        {
            older.Dispose();
        }

        _putBy.Add(transfer.Peer, transfer);
    }

    private void Enqueue(SnapshotTransfer transfer)
    {
        if (transfer.TryAwaitBytes())
        {
            _due.Enqueue(transfer);
        }
    }

    private void End(SnapshotTransfer transfer, bool succeeded)
    {
        _running.Remove(transfer.Peer);
        _report(new SnapshotEvent.TransferEnded(transfer.Peer, succeeded));
        StartWaiting();
    }

    private void RemoveWaiting(NodeId peer)
    {
        _awaitingSnapshot.RemoveAll(order => order.Peer == peer);
        for (LinkedListNode<Order>? node = _waiting.First; node is not null; node = node.Next)
        {
            if (node.Value.Peer == peer)
            {
                _waiting.Remove(node);
                return;
            }
        }
    }
}
