namespace MetaStore.Raft;

/// <summary>
/// Keeps account of what was handed to the disk and what of it is durable, and holds the messages that promise it.
/// <para>
/// Several writes may be under way. Each remembers how far it carried the log. When the log is cut, every write under way
/// counts only up to the cut from then on: what it carried behind it has been replaced since, even if later an entry of the
/// very same term and index is put there again by yet another write (the ABA case). So a receipt for an early write can never
/// vouch for the work of a later one.
/// </para>
/// </summary>
internal sealed class WriteLedger
{
    private readonly Queue<Write> _underWay = new();
    private List<Message> _unassigned = [];
    private ulong _lastWriteId;
    private ulong _oldestSeen;
    private Write? _newest;

    public WriteLedger(HardState durable, LogIndex lastIndex)
    {
        DurableTerm = durable.Term;
        DurableVote = durable.Vote;
        HandedTerm = durable.Term;
        HandedVote = durable.Vote;
        HandedIndex = lastIndex;
        DurableIndex = lastIndex;
    }

    /// <summary>The log is handed to the disk through here. Invariant: DurableIndex &lt;= HandedIndex.</summary>
    public LogIndex HandedIndex { get; private set; }

    /// <summary>The log, as it is now, is durable through here.</summary>
    public LogIndex DurableIndex { get; private set; }

    public Term HandedTerm { get; private set; }

    public NodeId HandedVote { get; private set; }

    public Term DurableTerm { get; private set; }

    public NodeId DurableVote { get; private set; }

    /// <summary>A snapshot mark that the next write must carry, or null.</summary>
    public SnapshotMetadata? PendingMark { get; private set; }

    /// <summary>Sealed messages that no Ready has counted yet.</summary>
    public bool HasUnassigned => _unassigned.Count > 0;

    /// <summary>How many ticks have come since the oldest write under way was found to be that. 0: none is, or no tick has come.</summary>
    public int TicksWaited { get; private set; }

    /// <summary>A tick has passed.</summary>
    public void Tick()
    {
        ulong oldest = _underWay.TryPeek(out Write? write) ? write.Id : 0;
        TicksWaited = oldest == 0 ? 0 : oldest == _oldestSeen ? TicksWaited + 1 : 1;
        _oldestSeen = oldest;
    }

    /// <summary>Puts a message under seal: it leaves when everything up to now is durable.</summary>
    public void Seal(Message message) => _unassigned.Add(message);

    /// <summary>The log no longer holds what it held from <paramref name="index"/> on.</summary>
    public void CutFrom(LogIndex index)
    {
        var before = new LogIndex(index.Value - 1);
        foreach (Write write in _underWay)
        {
            if (write.Through > before && !KnownBugs.ReceiptVouchesForLaterWrite)
            {
                write.Through = before;
            }
        }

        if (HandedIndex > before)
        {
            HandedIndex = before;
        }

        if (DurableIndex > before)
        {
            DurableIndex = before;
        }
    }

    /// <summary>The log begins behind this snapshot from now on; the next write says so.</summary>
    public void Mark(SnapshotMetadata snapshot)
    {
        PendingMark = snapshot;

        // The mark stands for the entries before it: they need no write of their own any more.
        if (HandedIndex < snapshot.Index)
        {
            HandedIndex = snapshot.Index;
        }
    }

    /// <summary>Opens a write that carries the log through <paramref name="through"/>, and the mark if one is pending.</summary>
    public ulong Open(LogIndex through, HardState hardState)
    {
        var write = new Write(++_lastWriteId, through, hardState);
        _underWay.Enqueue(write);
        _newest = write;
        HandedIndex = through;
        HandedTerm = hardState.Term;
        HandedVote = hardState.Vote;
        PendingMark = null;
        return write.Id;
    }

    /// <summary>
    /// Ties the sealed messages to the newest write under way. Returns how many were tied; where no write is under way nothing
    /// stands in the way of the messages, and they go to <paramref name="free"/>.
    /// </summary>
    public int AssignSealed(Term currentTerm, List<Message> free)
    {
        if (_unassigned.Count == 0)
        {
            return 0;
        }

        // A promise of a former term is of no use to anybody.
        _unassigned.RemoveAll(message => message.Term != currentTerm);
        if (_newest is null)
        {
            free.AddRange(_unassigned);
            _unassigned.Clear();
            return 0;
        }

        int count = _unassigned.Count;
        _newest.Sealed.AddRange(_unassigned);
        _unassigned = [];
        return count;
    }

    /// <summary>The writes through <paramref name="writeId"/> are durable: their messages go to <paramref name="free"/>, unless the term moved on.</summary>
    public void Close(ulong writeId, Term currentTerm, List<Message> free)
    {
        Invariant.Check(writeId <= _lastWriteId, $"Receipt for write {writeId}, but the last one handed out was {_lastWriteId}.");
        while (_underWay.TryPeek(out Write? write) && write.Id <= writeId)
        {
            _underWay.Dequeue();
            TicksWaited = 0;
            DurableTerm = write.HardState.Term;
            DurableVote = write.HardState.Vote;
            if (write.Through > DurableIndex)
            {
                DurableIndex = write.Through;
            }

            foreach (Message message in write.Sealed)
            {
                if (message.Term == currentTerm)
                {
                    free.Add(message);
                }
            }
        }

        if (_underWay.Count == 0)
        {
            _newest = null;
        }
    }

    private sealed class Write(ulong id, LogIndex through, HardState hardState)
    {
        public ulong Id { get; } = id;

        /// <summary>How far this write vouches for the log as it is now.</summary>
        public LogIndex Through { get; set; } = through;

        public HardState HardState { get; } = hardState;

        public List<Message> Sealed { get; } = [];
    }
}
