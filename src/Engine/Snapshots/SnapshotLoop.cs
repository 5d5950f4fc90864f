using System.Collections.Concurrent;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>What the snapshot loop has to tell the node loop.</summary>
internal abstract record SnapshotEvent
{
    /// <summary>A snapshot of this node's own is durable; so many bytes of entries are worth keeping for a follower that is behind it.</summary>
    public sealed record Taken(SnapshotInfo Info, long CatchUpBytes) : SnapshotEvent;

    /// <summary>A piece is ready to be sent.</summary>
    public sealed record ChunkToSend(NodeId To, SnapshotInfo Info, ulong Offset, ulong Length, ReadOnlyMemory<byte> Chunk) : SnapshotEvent;

    /// <summary>A transfer to a peer has ended.</summary>
    public sealed record TransferEnded(NodeId To, bool Succeeded) : SnapshotEvent;

    /// <summary>An answer to a piece that a leader sent.</summary>
    public sealed record ChunkAnswer(NodeId To, LogIndex Index, ulong BytesHeld, bool Reject) : SnapshotEvent;

    /// <summary>A leader's snapshot is here, durable, verified and loaded.</summary>
    public sealed record Received(SnapshotInfo Info, MvccStore Store) : SnapshotEvent;
}

/// <summary>
/// Everything about snapshots that touches the disk: writing the node's own while writes go on, reading pieces for peers, putting
/// received pieces together. Told what to do by the node loop and the apply loop; answers the node loop with events.
/// </summary>
internal sealed class SnapshotLoop : ILoop
{
    private readonly ConcurrentQueue<Action> _inbox = new();
    private readonly SnapshotStore _files;
    private readonly SnapshotOptions _options;
    private readonly SnapshotPolicy _policy;
    private readonly NodeFailure _failure;
    private readonly ILoopSignal _signal;
    private readonly uint _groupId;
    private readonly Action<SnapshotEvent> _report;
    private readonly SnapshotAssembly _assembly;
    private readonly SnapshotTransfers _transfers;
    private StoreSnapshotWriter? _writer;
    private SnapshotWriter? _file;
    private SnapshotInfo? _fileInfo;
    private long _fileBytes;
    private volatile bool _hasTransfers;

    public SnapshotLoop(
        SnapshotStore files,
        uint groupId,
        SnapshotOptions options,
        SnapshotPolicy policy,
        NodeFailure failure,
        TimeProvider time,
        ILoopSignal signal,
        Action<SnapshotEvent> report,
        Action demand,
        IForkJoin parts)
    {
        _files = files;
        _groupId = groupId;
        _options = options;
        _policy = policy;
        _failure = failure;
        _signal = signal;
        _report = report;
        _assembly = new SnapshotAssembly(files, groupId, parts);
        _transfers = new SnapshotTransfers(files, groupId, options, time, report, demand);
    }

    public string Name => "snapshot";

    public long NextWake => _transfers.NextWake;

    /// <summary>Transfers that went on where one before them had stopped.</summary>
    public int TransfersResumed => _transfers.Resumed;

    /// <summary>Whether transfers to peers are under way, which want ticks.</summary>
    public bool HasTransfers => _hasTransfers;

    /// <summary>Begins a snapshot of the store as it is now. Called on the apply loop, so that the view is one it just published.</summary>
    public void Take(MvccStore store)
    {
        SnapshotWriter? file = null;
        var writer = new StoreSnapshotWriter(store, bytes =>
        {
            file!.Write(bytes);
            _fileBytes += bytes.Length;
        });
        Post(() =>
        {
            _fileInfo = new SnapshotInfo(writer.View.AppliedIndex, writer.View.AppliedTerm, MembershipCodec.Encode(writer.View.Membership));
            _file = file = _files.Create(_groupId, _fileInfo);
            _fileBytes = 0;
            _writer = writer;
        });
    }

    /// <summary>Sends a snapshot that reaches to <paramref name="indexMin"/> at least, where the log goes on; to a witness, no more of it than its head.</summary>
    public void Send(NodeId peer, bool isWitness, ulong indexMin) => Post(() => _transfers.Begin(peer, isWitness, indexMin));

    /// <summary>The peer has no use for the snapshot of that index (any more).</summary>
    public void Cancel(NodeId peer, ulong index) => Post(() => _transfers.Cancel(peer, index));

    /// <summary>A piece from the leader, or a peer's answer to one, that passed Raft's checks.</summary>
    public void Deliver(Message message) => Post(() => Handle(message));

    public void Tick() => Post(_transfers.Tick);

    /// <summary>Removes snapshots that a newer durable one replaces.</summary>
    public void DeleteOlderThan(ulong index) => Post(() => _files.DeleteOlderThan(_groupId, index));

    public bool RunOnce()
    {
        if (_failure.IsFailed)
        {
            Close();
            return false;
        }

        bool worked = false;
        while (_inbox.TryDequeue(out Action? command))
        {
            command();
            worked = true;
        }

        worked |= _transfers.SendDue();
        _hasTransfers = !_transfers.IsEmpty;
        if (_writer is null)
        {
            return worked;
        }

        if (!_writer.WriteSlice(_options.SliceBytes))
        {
            Complete();
        }

        return true;
    }

    /// <summary>Lets go of files and pins. The loop runs no more.</summary>
    public void Close()
    {
        _writer?.Dispose();
        _file?.Dispose();
        _writer = null;
        _file = null;
        _assembly.Dispose();
        _transfers.Dispose();
    }

    private void Complete()
    {
        _file!.Complete();
        _file.Dispose();
        _writer!.Dispose();
        _file = null;
        _writer = null;
        _policy.Ended(_fileBytes);
        _report(new SnapshotEvent.Taken(_fileInfo!, _policy.CatchUpBytes));
        _transfers.SnapshotTaken();
    }

    private void Post(Action command)
    {
        _inbox.Enqueue(command);
        _signal.Set();
    }

    private void Handle(Message message)
    {
        if (message.Kind == MessageKind.SnapshotChunk)
        {
            foreach (SnapshotEvent answer in _assembly.Add(message))
            {
                _report(answer);
            }

            return;
        }

        _transfers.Handle(message);
    }
}
