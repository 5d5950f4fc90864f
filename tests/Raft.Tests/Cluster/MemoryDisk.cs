namespace MetaStore.Raft.Tests.Cluster;

/// <summary>
/// What is on one member's stable storage. Writes wait in a queue until they are completed; a crash loses those that are not.
/// </summary>
internal sealed class MemoryDisk
{
    private readonly Queue<PendingAppend> _underWay = new();
    private readonly List<Entry> _entries = [];
    private readonly Dictionary<LogIndex, Term> _lost = [];
    private LogIndex _lostSnapshot;

    public HardState HardState { get; private set; }

    public SnapshotMetadata Mark { get; private set; } = new(LogIndex.Zero, Term.Zero, Membership.Empty);

    /// <summary>The newest snapshot file; synced by itself, so it can be ahead of the mark.</summary>
    public StoredSnapshot? Snapshot { get; private set; }

    public IReadOnlyList<Entry> Entries => _entries;

    public int UnderWay => _underWay.Count;

    public void Submit(PendingAppend write) => _underWay.Enqueue(write);

    public void Store(StoredSnapshot snapshot)
    {
        if (Snapshot is null || snapshot.Metadata.Index > Snapshot.Metadata.Index)
        {
            Snapshot = snapshot;
        }
    }

    /// <summary>The oldest write under way becomes durable.</summary>
    public WriteReceipt CompleteOne()
    {
        PendingAppend write = _underWay.Dequeue();
        if (write.Snapshot is { } mark)
        {
            TakeMark(mark);
        }

        if (write.Entries.Count > 0)
        {
            Append(write.Entries);
        }

        HardState = write.HardState ?? HardState;
        return new WriteReceipt(write.WriteId);
    }

    /// <summary>Power fails: of the writes under way the first few reached the disk, unacknowledged, and the rest did not.</summary>
    public void Crash(int surviving)
    {
        while (surviving-- > 0 && _underWay.Count > 0)
        {
            CompleteOne();
        }

        _underWay.Clear();
    }

    /// <summary>The term on disk at a position; null where nothing is, or a snapshot stands for it.</summary>
    public Term? TermAt(LogIndex index)
    {
        if (_entries.Count == 0 || index < _entries[0].Index || index > _entries[^1].Index)
        {
            return null;
        }

        return _entries[(int)(index.Value - _entries[0].Index.Value)].Term;
    }

    /// <summary>Whether damage was done, and what was lost by it has not been made good.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>
    /// Damage: of the entries the first <paramref name="keep"/> are left; with <paramref name="all"/> not even the snapshot is. Term and vote
    /// have a copy elsewhere.
    /// </summary>
    public void Damage(int keep, bool all)
    {
        IsDamaged = true;
        foreach (Entry entry in _entries)
        {
            _lost[entry.Index] = entry.Term;
        }

        if (all)
        {
            _lostSnapshot = Snapshot?.Metadata.Index > _lostSnapshot ? Snapshot.Metadata.Index : _lostSnapshot;
            Snapshot = null;
            Mark = new SnapshotMetadata(LogIndex.Zero, Term.Zero, Membership.Empty);
        }

        int left = all ? 0 : Math.Min(keep, _entries.Count);
        _entries.RemoveRange(left, _entries.Count - left);
    }

    /// <summary>The member has caught up.</summary>
    public void MakeGood()
    {
        IsDamaged = false;
        _lost.Clear();
        _lostSnapshot = LogIndex.Zero;
    }

    /// <summary>Whether the entry is here, or was before it was lost by damage: then the member acknowledged it once.</summary>
    public bool HasHeld(Entry entry) =>
        Math.Max(Snapshot?.Metadata.Index.Value ?? 0, _lostSnapshot.Value) >= entry.Index.Value
        || TermAt(entry.Index) == entry.Term
        || (_lost.TryGetValue(entry.Index, out Term term) && term == entry.Term);

    /// <summary>What a restarted node takes up.</summary>
    public RaftRestart Restart(int silenceTicks = 0)
    {
        if (Snapshot is not null && Snapshot.Metadata.Index > Mark.Index)
        {
            TakeMark(Snapshot.Metadata);
        }

        return new RaftRestart
        {
            SilenceTicks = silenceTicks,
            HardState = HardState,
            Snapshot = Snapshot?.Metadata,
            Entries = [.. _entries],
            IsRecovering = IsDamaged,
        };
    }

    private void TakeMark(SnapshotMetadata mark)
    {
        if (TermAt(mark.Index) == mark.Term)
        {
            _entries.RemoveAll(entry => entry.Index <= mark.Index);
        }
        else if (mark.Index > Mark.Index)
        {
            _entries.Clear();
        }

        Mark = mark;
    }

    private void Append(IReadOnlyList<Entry> entries)
    {
        LogIndex first = entries[0].Index;
        _entries.RemoveAll(entry => entry.Index >= first);
        LogIndex last = _entries.Count > 0 ? _entries[^1].Index : Mark.Index;
        ClusterChecker.Require(first == last.Next, $"the disk holds entries through {last}, and the next write begins at {first}");
        _entries.AddRange(entries);
    }
}

/// <summary>A snapshot of the test's state machine: a digest of all commands in order.</summary>
internal sealed record StoredSnapshot(SnapshotMetadata Metadata, ulong Digest);
