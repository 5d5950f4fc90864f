namespace MetaStore.Engine.Replication;

/// <summary>How operations are gathered into batches.</summary>
public sealed record ProposerOptions
{
    /// <summary>Small batches, answered soon: 10 operations or 1 ms.</summary>
    public static ProposerOptions LowLatency { get; } = new();

    /// <summary>Large batches: 100 operations or 10 ms.</summary>
    public static ProposerOptions HighThroughput { get; } = new() { BatchOperationsMax = 100, BatchDelayMax = TimeSpan.FromMilliseconds(10) };

    /// <summary>Operations in a batch at most; 1 switches batching off.</summary>
    public int BatchOperationsMax { get; init; } = 10;

    /// <summary>How long an operation may wait for company while an append is under way. An idle pipeline never waits.</summary>
    public TimeSpan BatchDelayMax { get; init; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Bytes of a batch at most (one operation always fits).</summary>
    public int BatchBytesMax { get; init; } = 1 << 20;

    /// <summary>Writes under way at most, and as many reads; the next one is answered Busy.</summary>
    public int OperationsMax { get; init; } = 10_000;

    /// <summary>Bytes of the writes under way at most; the next one is answered Busy, but for one that is alone.</summary>
    public long OperationsBytesMax { get; init; } = 256 << 20;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (BatchOperationsMax < 1 || BatchBytesMax < 1 || OperationsMax < 1 || OperationsBytesMax < 1)
        {
            throw new ArgumentException(
                $"BatchOperationsMax ({BatchOperationsMax}), BatchBytesMax ({BatchBytesMax}), OperationsMax ({OperationsMax}) and OperationsBytesMax ({OperationsBytesMax}) must be at least 1.");
        }

        if (BatchDelayMax < TimeSpan.Zero)
        {
            throw new ArgumentException($"BatchDelayMax is {BatchDelayMax}; it must not be negative.");
        }
    }
}

/// <summary>
/// Gathers operations into batches, adaptively: an idle pipeline takes an operation at once; while an append is under way,
/// whatever arrives joins the next batch, until it is full or its first operation has waited long enough. Owned by the node loop.
/// </summary>
internal sealed class Proposer(ProposerOptions options, TimeProvider time, ulong proposerId)
{
    private readonly Queue<PendingOperation> _queue = new();
    private readonly Dictionary<ulong, PendingOperation[]> _underWay = [];
    private readonly Queue<(ulong Sequence, long Deadline)> _expiry = new();
    private readonly long _delay = (long)(options.BatchDelayMax.TotalSeconds * time.TimestampFrequency);
    private readonly List<PendingOperation> _batch = [];
    private ulong _sequence;
    private long _failed;

    public ulong ProposerId => proposerId;

    public int Queued => _queue.Count;

    public int UnderWay => _underWay.Count;

    /// <summary>Operations that nobody took, or of which nothing was heard, in time. Counted by the node loop, read by any thread.</summary>
    public long Failed => Volatile.Read(ref _failed);

    public void Add(PendingOperation operation) => _queue.Enqueue(operation);

    /// <summary>When the operations that wait for company must go; <see cref="long.MaxValue"/> where none wait.</summary>
    public long NextDeadline(bool appendUnderWay) =>
        _queue.TryPeek(out PendingOperation? first) && appendUnderWay ? DeadlineFrom(first.Submitted) : long.MaxValue;

    /// <summary>When an operation must go that was submitted at <paramref name="submitted"/>, with company or without.</summary>
    private long DeadlineFrom(long submitted) => submitted + _delay;

    /// <summary>The next batch, encoded, or null where nothing should go yet. Its operations are under way from here on.</summary>
    public ReadOnlyMemory<byte>? TryTakeBatch(bool appendUnderWay, out BatchId id)
    {
        id = default;
        DropCompleted();
        if (!_queue.TryPeek(out PendingOperation? first))
        {
            return null;
        }

        bool wait = appendUnderWay && _queue.Count < options.BatchOperationsMax && time.GetTimestamp() < DeadlineFrom(first.Submitted);
        if (wait)
        {
            return null;
        }

        int bytes = 0;
        long deadline = 0;
        while (_batch.Count < options.BatchOperationsMax && _queue.TryPeek(out PendingOperation? next))
        {
            if (_batch.Count > 0 && bytes + next.RequestLength > options.BatchBytesMax)
            {
                break;
            }

            _queue.Dequeue();
            if (!next.TryPropose())
            {
                next.ReleaseByPipeline();
                continue;
            }

            _batch.Add(next);
            bytes += next.RequestLength;
            deadline = Math.Max(deadline, next.Deadline);
        }

        if (_batch.Count == 0)
        {
            return null;
        }

        id = new BatchId(proposerId, ++_sequence);
        PendingOperation[] operations = [.. _batch];
        _batch.Clear();
        _underWay.Add(id.Sequence, operations);
        _expiry.Enqueue((id.Sequence, deadline));
        return CommandBatch.Encode(id, operations);
    }

    /// <summary>Raft would not take the batch: its operations go back to the front, in their order.</summary>
    public void PutBack(BatchId id)
    {
        PendingOperation[] operations = Take(id)!;
        int behind = _queue.Count;
        foreach (PendingOperation operation in operations)
        {
            operation.PutBack();
            _queue.Enqueue(operation);
        }

        for (int i = 0; i < behind; i++)
        {
            _queue.Enqueue(_queue.Dequeue());
        }
    }

    /// <summary>The waiters of a committed batch, which are the caller's from here on; null where nobody here waits.</summary>
    public PendingOperation[]? Take(BatchId id) =>
        id.Proposer == proposerId && _underWay.Remove(id.Sequence, out PendingOperation[]? operations) ? operations : null;

    /// <summary>A snapshot was installed, in which whatever is under way may have been applied.</summary>
    public void SnapshotInstalled()
    {
        foreach (PendingOperation operation in _underWay.Values.SelectMany(operations => operations))
        {
            operation.IsBehindSnapshot = true;
        }
    }

    /// <summary>Gives up what is past its deadline. Operations that never left are known not to have been applied.</summary>
    public void Expire(long now)
    {
        DropCompleted();
        while (_queue.TryPeek(out PendingOperation? first) && first.Deadline <= now)
        {
            Fail(_queue.Dequeue(), new MetaStoreException(MetaStoreError.NoLeader, "no leader took the operation in time"));
        }

        while (_expiry.TryPeek(out (ulong Sequence, long Deadline) oldest) && (oldest.Deadline <= now || !_underWay.ContainsKey(oldest.Sequence)))
        {
            _expiry.Dequeue();
            if (_underWay.Remove(oldest.Sequence, out PendingOperation[]? operations))
            {
                FailAll(operations, () => new MetaStoreException(MetaStoreError.Timeout, "no answer in time", Outcome.Unknown));
            }
        }
    }

    /// <summary>The node ends: nobody waits in vain.</summary>
    public void Abandon(MetaStoreError error, string reason)
    {
        while (_queue.TryDequeue(out PendingOperation? operation))
        {
            Fail(operation, new MetaStoreException(error, reason));
        }

        foreach (PendingOperation[] operations in _underWay.Values)
        {
            FailAll(operations, () => new MetaStoreException(error, reason, Outcome.Unknown));
        }

        _underWay.Clear();
    }

    private void Fail(PendingOperation operation, MetaStoreException error)
    {
        Volatile.Write(ref _failed, _failed + 1);
        operation.TryFail(error);
        operation.ReleaseByPipeline();
    }

    private void FailAll(PendingOperation[] operations, Func<MetaStoreException> error)
    {
        foreach (PendingOperation operation in operations)
        {
            Fail(operation, error());
        }
    }

    /// <summary>Operations that their callers cancelled while they waited are not proposed.</summary>
    private void DropCompleted()
    {
        while (_queue.TryPeek(out PendingOperation? first) && first.IsCompleted)
        {
            Volatile.Write(ref _failed, _failed + 1);
            _queue.Dequeue().ReleaseByPipeline();
        }
    }
}
