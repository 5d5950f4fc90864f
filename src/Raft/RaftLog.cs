namespace MetaStore.Raft;

/// <summary>
/// The end of the replicated log as one node sees it (paper, 5.3), held in memory.
/// <code>
///     Base, SnapshotIndex &lt;= Applied &lt;= Taken &lt;= Commit &lt;= LastIndex
/// </code>
/// Base is the position before the first entry held. Entries up to SnapshotIndex are in a durable snapshot; a tail of them may be
/// held for slow followers, and entries behind it may be held no longer, which the log on the disk still has (<see cref="Trim"/>). Taken is how far committed entries were handed to the state machine. How far the log is handed to
/// the disk, and is durable, is the business of <see cref="WriteLedger"/>, which may lag behind any of these.
/// </summary>
internal sealed class RaftLog
{
    private readonly EntryBuffer _entries = new();
    private readonly EntryData _data = new();
    private readonly WriteLedger _writes;
    private LogIndex _base;
    private Term _baseTerm;
    private Entry[] _slice = [];
    private LogIndex _sliceFrom;
    private long _sliceBytesMax;

    public RaftLog(WriteLedger writes, Membership initial, SnapshotMetadata? snapshot, IReadOnlyList<Entry> entries, LogIndex commit)
    {
        _writes = writes;
        Memberships = new MembershipHistory(snapshot?.Index ?? LogIndex.Zero, snapshot is null || snapshot.Membership.Voters.Count == 0 ? initial : snapshot.Membership);
        if (snapshot is not null)
        {
            _base = snapshot.Index;
            _baseTerm = snapshot.Term;
            SnapshotIndex = snapshot.Index;
        }

        for (int i = 0; i < entries.Count; i++)
        {
            Add(entries[i]);
        }

        if (KnownBugs.RestartForgetsJoint)
        {
            Memberships.ForgetJoint();
        }

        Commit = Min(Max(commit, _base), LastIndex);
        Taken = _base;
        Applied = _base;
    }

    /// <summary>The memberships that the log holds.</summary>
    public MembershipHistory Memberships { get; }

    public LogIndex FirstIndex => _base.Next;

    public LogIndex LastIndex => new(_base.Value + (ulong)_entries.Count);

    public Term LastTerm => _entries.Count == 0 ? _baseTerm : _entries[_entries.Count - 1].Term;

    public LogIndex SnapshotIndex { get; private set; }

    public LogIndex Commit { get; private set; }

    public LogIndex Taken { get; private set; }

    public LogIndex Applied { get; private set; }

    /// <summary>Bytes of the entries behind <see cref="Commit"/>.</summary>
    public long UncommittedBytes => Bytes(Commit, LastIndex);

    /// <summary>Bytes of all entries that are held.</summary>
    public long HeldBytes => Bytes(_base, LastIndex);

    /// <summary>Bytes of the entries behind a position that is held, or the one before the first.</summary>
    public long BytesBehind(LogIndex index) => Bytes(index, LastIndex);

    /// <summary>The term of the entry at a position, or null where this log cannot tell: never a term that could be mistaken for one.</summary>
    public Term? TermAt(LogIndex index)
    {
        if (index < _base || index > LastIndex)
        {
            return null;
        }

        return index == _base ? _baseTerm : _entries[OffsetOf(index)].Term;
    }

    /// <summary>The entry at a position, or null where it is not held.</summary>
    public Entry? EntryAt(LogIndex index) => index <= _base || index > LastIndex ? null : _entries[OffsetOf(index)];

    /// <summary>Whether the log holds the entry of <paramref name="term"/> at <paramref name="index"/>.</summary>
    public bool Matches(LogIndex index, Term term) => TermAt(index) is { } held ? held == term : KnownBugs.MissingEntryHasTermZero && term == Term.Zero;

    /// <summary>Whether a log that ends thus has all that this one may have committed (paper, 5.4.1).</summary>
    public bool IsUpToDate(LogIndex lastIndex, Term lastTerm) =>
        lastTerm > LastTerm || (lastTerm == LastTerm && lastIndex >= LastIndex);

    /// <summary>Adds one entry at the end.</summary>
    public void Append(in Entry entry)
    {
        Add(Own(entry));
        _slice = [];
    }

    /// <summary>
    /// Takes over a leader's entries, of which the one before the first is known to match. Entries that are already here are
    /// skipped; only a true conflict cuts the log, for this may be an old message and the rest may be acknowledged already.
    /// </summary>
    public void Merge(IReadOnlyList<Entry> entries)
    {
        int skip = 0;
        while (skip < entries.Count && Matches(entries[skip].Index, entries[skip].Term) && !KnownBugs.OldAppendCutsTheLog)
        {
            skip++;
        }

        if (skip == entries.Count)
        {
            return;
        }

        LogIndex first = entries[skip].Index;
        if (first <= LastIndex)
        {
            CutFrom(first);
        }

        for (int i = skip; i < entries.Count; i++)
        {
            Put(Own(entries[i]));
        }

        _slice = [];
    }

    /// <summary>Commits through <paramref name="index"/>; nothing happens if it is already.</summary>
    public bool CommitThrough(LogIndex index)
    {
        if (index <= Commit)
        {
            return false;
        }

        Invariant.Check(index <= LastIndex, $"Commit of {index} behind the last entry {LastIndex}: this log lost entries that it acknowledged.");
        Commit = index;
        return true;
    }

    /// <summary>Whether committed entries wait to be taken.</summary>
    public bool HasCommitted => Taken < Commit;

    /// <summary>The next committed entries: at least one if there is one, else as many as fit into the limit. Never the same twice.</summary>
    public IReadOnlyList<Entry> TakeCommitted(long bytesMax)
    {
        if (!HasCommitted)
        {
            return [];
        }

        Entry[] page = _entries.Copy(OffsetOf(Taken.Next), CountThatFits(Taken.Next, Commit, bytesMax));
        Taken = KnownBugs.PageEndSkipsTheRest ? Commit : new LogIndex(Taken.Value + (ulong)page.Length);
        return page;
    }

    /// <summary>The state machine has applied entries through <paramref name="index"/>.</summary>
    public void AdvanceApplied(LogIndex index)
    {
        Invariant.Check(index <= Taken, $"Applied through {index}, but entries were handed out only through {Taken}.");
        Applied = Max(Applied, index);
    }

    /// <summary>Entries from <paramref name="from"/> on, at least one if there is one, else as many as fit into the limit.</summary>
    public Entry[] Slice(LogIndex from, long bytesMax)
    {
        if (from > LastIndex)
        {
            return [];
        }

        // Most peers are at the same position, so one copy serves them all.
        if (_slice.Length == 0 || _sliceFrom != from || _sliceBytesMax != bytesMax)
        {
            _slice = _entries.Copy(OffsetOf(from), CountThatFits(from, LastIndex, bytesMax));
            _sliceFrom = from;
            _sliceBytesMax = bytesMax;
        }

        return _slice;
    }

    /// <summary>The entries from <paramref name="from"/> through <paramref name="through"/>; empty where that is before.</summary>
    public Entry[] Range(LogIndex from, LogIndex through) =>
        from > through ? [] : _entries.Copy(OffsetOf(from), (int)(through.Value - from.Value + 1));

    /// <summary>
    /// The last position at or before <paramref name="index"/> whose term is not above <paramref name="term"/>: all later ones
    /// cannot match a log that has that term there. Skips a whole term per round trip instead of one entry (paper, end of 5.3).
    /// </summary>
    public LogIndex LastNotAbove(LogIndex index, Term term)
    {
        LogIndex candidate = Min(index, LastIndex);
        while ((candidate > _base || KnownBugs.ConflictSearchLeavesTheLog) && _entries[OffsetOf(candidate)].Term > term)
        {
            candidate = new LogIndex(candidate.Value - 1);
        }

        return candidate;
    }

    /// <summary>
    /// Holds no more entries through <paramref name="through"/>, which are applied, than leave <paramref name="bytes"/> of entries held. They are needed for
    /// nothing but a follower that is behind, which needs a snapshot then.
    /// </summary>
    public void Trim(LogIndex through, long bytes)
    {
        Invariant.Check(through <= Applied, $"The log would be trimmed through {through}, but the state machine applied only through {Applied}.");
        ulong low = _base.Value;
        ulong high = Math.Max(low, through.Value);
        while (low < high)
        {
            ulong middle = low + ((high - low) / 2);
            if (BytesBehind(new LogIndex(middle)) <= bytes)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        if (low > _base.Value)
        {
            Rebase(new LogIndex(low));
        }
    }

    /// <summary>
    /// A durable snapshot of what was applied stands for everything through <paramref name="snapshot"/>; entries before <paramref name="keepFrom"/> are forgotten.
    /// </summary>
    public void Compact(SnapshotMetadata snapshot, LogIndex keepFrom)
    {
        Invariant.Check(snapshot.Index <= Applied, $"Snapshot of {snapshot.Index}, but the state machine applied only through {Applied}.");
        Invariant.Check(snapshot.Index < _base || Matches(snapshot.Index, snapshot.Term), $"Snapshot of {snapshot.Index} in term {snapshot.Term}, but the log has term {TermAt(snapshot.Index)} there.");
        SnapshotIndex = snapshot.Index;
        _writes.Mark(snapshot);

        ulong newBase = Math.Min(snapshot.Index.Value, keepFrom.Value == 0 ? 0 : keepFrom.Value - 1);
        if (newBase > _base.Value)
        {
            Rebase(new LogIndex(newBase));
        }
    }

    /// <summary>
    /// The state machine was loaded from a leader's snapshot. Entries behind it stay if the log agrees with the snapshot: they
    /// may be acknowledged, and the leader may count on them. Otherwise nothing of this log can be trusted, and it begins anew.
    /// </summary>
    public void Restore(SnapshotMetadata snapshot)
    {
        Invariant.Check(snapshot.Index > Commit, $"Snapshot of {snapshot.Index} would take the commit index {Commit} back.");
        if (Matches(snapshot.Index, snapshot.Term))
        {
            Rebase(snapshot.Index);
        }
        else
        {
            _writes.CutFrom(_base.Next);
            Memberships.CutFrom(_base.Next);
            _entries.Truncate(0);
            _base = snapshot.Index;
            _baseTerm = snapshot.Term;
        }

        Memberships.Restore(snapshot.Index, snapshot.Membership);
        _slice = [];
        SnapshotIndex = snapshot.Index;
        Commit = snapshot.Index;
        Taken = snapshot.Index;
        Applied = snapshot.Index;
        _writes.Mark(snapshot);
    }

    private static LogIndex Min(LogIndex left, LogIndex right) => left < right ? left : right;

    private static LogIndex Max(LogIndex left, LogIndex right) => left > right ? left : right;

    private void Add(in Entry entry)
    {
        Invariant.Check(entry.Index == LastIndex.Next, $"Entry {entry.Index} behind the last entry {LastIndex}: the log must have no gap.");
        Invariant.Check(entry.Term >= LastTerm, $"Entry {entry.Index} of term {entry.Term} behind one of term {LastTerm}: terms never fall.");
        _entries.Add(entry);
        if (entry.Kind == EntryKind.Membership)
        {
            Membership membership = MembershipCodec.Decode(entry.Data);
            Memberships.Add(entry.Index, membership, Commit);
        }
    }

    /// <summary>The entry with its data in the log's own memory. Large data stays where it is, in an array of the caller's or the message's.</summary>
    private Entry Own(in Entry entry) => entry.Data.Length >= EntryData.LargeBytes ? entry : entry with { Data = _data.Copy(entry.Data.Span) };

    private void CutFrom(LogIndex index)
    {
        Invariant.Check(index > Commit, $"Log would be cut at {index}, but it is committed through {Commit}.");
        _writes.CutFrom(index);
        Memberships.CutFrom(index);
        if (KnownBugs.LogCacheKeepsReplacedSuffix)
        {
            return;
        }

        _entries.Truncate(OffsetOf(index));
    }

    private void Put(in Entry entry)
    {
        if (KnownBugs.LogCacheKeepsReplacedSuffix && entry.Index <= LastIndex)
        {
            _entries.Replace(OffsetOf(entry.Index), entry);
            return;
        }

        Add(entry);
    }

    private void Rebase(LogIndex index)
    {
        _baseTerm = TermAt(index)!.Value;
        _entries.RemoveFront((int)(index.Value - _base.Value));
        _base = index;
        _slice = [];
    }

    private int OffsetOf(LogIndex index) => (int)(index.Value - _base.Value - 1);

    /// <summary>Bytes of the entries behind <paramref name="after"/> through <paramref name="through"/>.</summary>
    private long Bytes(LogIndex after, LogIndex through) =>
        (long)(_entries.BytesThrough(OffsetOf(through)) - _entries.BytesThrough(OffsetOf(after)));

    private int CountThatFits(LogIndex from, LogIndex through, long bytesMax)
    {
        // Binary search over the running totals for the last entry within the limit.
        int low = OffsetOf(from);
        int high = OffsetOf(through);
        ulong limit = _entries.BytesThrough(low - 1) + (ulong)bytesMax;
        int first = low;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (_entries.BytesThrough(middle) <= limit)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low - first + 1;
    }
}
