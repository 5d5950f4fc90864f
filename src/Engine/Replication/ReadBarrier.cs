using MetaStore.Raft;

namespace MetaStore.Engine.Replication;

/// <summary>
/// Makes reads linearizable: one ReadIndex round serves all reads that wait when it begins (Raft thesis, 6.4). A read that arrives
/// while a round is under way waits for the next, since that round may have been counted before the read began. Owned by the node
/// loop.
/// </summary>
internal sealed class ReadBarrier(ulong origin, int retryTicks, Freshness freshness)
{
    private readonly Queue<(LogIndex Index, List<PendingOperation> Reads, long AskedAt)> _confirmed = new();
    private List<PendingOperation> _waiting = [];
    private List<PendingOperation>? _asked;
    private ReadContext _context;
    private ulong _sequence;
    private long _askedAt;
    private int _ticksLeft;
    private long _roundsFailed;

    /// <summary>Rounds that came to nothing: their messages were lost, or the leader that was asked leads no more. Counted by the node loop, read by any thread.</summary>
    public long RoundsFailed => Volatile.Read(ref _roundsFailed);

    /// <summary>Reads that no answer has reached yet.</summary>
    public int Count => _waiting.Count + (_asked?.Count ?? 0) + _confirmed.Sum(c => c.Reads.Count);

    /// <summary>Whether somebody waits for entries to be applied.</summary>
    public bool AwaitsApply => _confirmed.Count > 0;

    public void Add(PendingOperation read) => _waiting.Add(read);

    /// <summary>Begins a round where reads wait and none is under way.</summary>
    /// <param name="raft">Who asks.</param>
    /// <param name="now">A moment before the round begins.</param>
    public void TryAsk(RaftNode raft, long now)
    {
        if (_asked is not null || _waiting.Count == 0)
        {
            return;
        }

        var context = new ReadContext(origin, ++_sequence);
        if (raft.RequestRead(context))
        {
            _context = context;
            _askedAt = now;
            _asked = _waiting;
            _waiting = [];
            _ticksLeft = retryTicks;
        }
    }

    /// <summary>The round is answered: its reads may be served once the index is applied.</summary>
    public void Confirm(in ReadState state, LogIndex applied)
    {
        if (_asked is null || state.Context != _context)
        {
            return;
        }

        _confirmed.Enqueue((state.Index, _asked, _askedAt));
        _asked = null;
        CompleteApplied(applied);
    }

    public void Abort(ReadContext context)
    {
        if (context == _context && !KnownBugs.LostReadNeverAskedAgain)
        {
            AskAgain();
        }
    }

    /// <summary>A round whose messages were lost is asked again, under a new name so that a late answer to the old one means nothing.</summary>
    public void Tick()
    {
        if (_asked is not null && --_ticksLeft <= 0 && !KnownBugs.LostReadNeverAskedAgain)
        {
            AskAgain();
        }
    }

    public void CompleteApplied(LogIndex applied)
    {
        while (_confirmed.TryPeek(out (LogIndex Index, List<PendingOperation> Reads, long AskedAt) next) && (next.Index <= applied || KnownBugs.ReadOfHalfReplayedState))
        {
            _confirmed.Dequeue();
            freshness.Prove(next.AskedAt);
            foreach (PendingOperation read in next.Reads)
            {
                read.TryComplete(BarrierPassed.Instance);
                read.ReleaseByPipeline();
            }
        }
    }

    public void Expire(long now)
    {
        Expire(_waiting, now);
        if (_asked is not null)
        {
            Expire(_asked, now);
        }

        foreach ((_, List<PendingOperation> reads, _) in _confirmed)
        {
            Expire(reads, now);
        }
    }

    public void Abandon(MetaStoreError error, string reason)
    {
        AskAgain();
        while (_confirmed.TryDequeue(out (LogIndex Index, List<PendingOperation> Reads, long AskedAt) next))
        {
            _waiting.AddRange(next.Reads);
        }

        foreach (PendingOperation read in _waiting)
        {
            read.TryFail(new MetaStoreException(error, reason));
            read.ReleaseByPipeline();
        }

        _waiting.Clear();
    }

    private void AskAgain()
    {
        if (_asked is not null)
        {
            Volatile.Write(ref _roundsFailed, _roundsFailed + 1);
            _asked.AddRange(_waiting);
            _waiting = _asked;
            _asked = null;
            _context = ReadContext.None;
        }
    }

    private static void Expire(List<PendingOperation> reads, long now)
    {
        int kept = 0;
        for (int i = 0; i < reads.Count; i++)
        {
            PendingOperation read = reads[i];
            if (read.Deadline > now && !read.IsCompleted)
            {
                reads[kept++] = read;
                continue;
            }

            read.TryFail(new MetaStoreException(MetaStoreError.Timeout, "no leader confirmed the read in time"));
            read.ReleaseByPipeline();
        }

        reads.RemoveRange(kept, reads.Count - kept);
    }

    private sealed record BarrierPassed : StoreResponse
    {
        public static BarrierPassed Instance { get; } = new();
    }
}
