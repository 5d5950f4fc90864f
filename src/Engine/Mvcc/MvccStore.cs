using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Sessions;
using MetaStore.Raft;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// The multi-version store. One writer, the apply loop; any number of readers, who enter <see cref="Memory"/>, then take <see cref="View"/>, and need nothing else.
/// The writer prepares changes that no reader can see (versions above the published revision, index nodes of an unpublished edit)
/// and makes them visible all at once by <see cref="Publish"/>. Keys, versions, index and log of events lie in native memory, which goes with the store.
/// </summary>
internal sealed class MvccStore
{
    private readonly KeyIndexBuilder _index;
    private StoreView _view;
    private ulong _digest;
    private uint _sub;

    public MvccStore()
        : this(new StoreMemory(), StoreView.Empty)
    {
    }

    /// <summary>Takes over what a snapshot held.</summary>
    public MvccStore(StoreMemory memory, KeyIndexBuilder index, EventLog events, StoreView view)
    {
        Memory = memory;
        Events = events;
        _index = index;
        _view = view;
        _digest = view.Digest;
        Revision = view.Revision;
        CompactRevision = view.CompactRevision;
        CompactedAtLoad = view.CompactRevision;
        Membership = view.Membership;
        Sessions = view.Sessions;
        Leases = new LeaseTableBuilder(view.Leases);
        IsHollow = view.IsHollow;
        Cutter = new HistoryCutter(this);
    }

    private MvccStore(StoreMemory memory, StoreView view)
        : this(memory, new KeyIndexBuilder(memory), new EventLog(memory), view)
    {
    }

    /// <summary>The store of a witness that is told where the log stands.</summary>
    public static MvccStore Hollow(ulong appliedIndex, ulong appliedTerm, Membership membership) => new(new StoreMemory(), new StoreView
    {
        Revision = StoreView.Empty.Revision,
        CompactRevision = 0,
        Index = default,
        AppliedIndex = appliedIndex,
        AppliedTerm = appliedTerm,
        Digest = 0,
        Membership = membership,
        IsHollow = true,
    });

    /// <summary>Where the records are; a reader enters before it takes the view.</summary>
    public StoreMemory Memory { get; }

    /// <summary>The newest published version.</summary>
    public StoreView View
    {
        get
        {
            SchedulePoint.Hit();
            return Volatile.Read(ref _view);
        }
    }

    /// <summary>Views that must stay readable in full while somebody walks them.</summary>
    public ViewPins Pins { get; } = new();

    /// <summary>What each revision changed.</summary>
    public EventLog Events { get; }

    /// <summary>Writer only: gives back what was compacted.</summary>
    public HistoryCutter Cutter { get; }

    /// <summary>How much history those who read <see cref="Events"/> still need.</summary>
    public HistoryHold Hold { get; private set; } = new();

    /// <summary>Writer only: the last revision given out, published or not.</summary>
    public long Revision { get; private set; }

    /// <summary>Writer only: the rolling hash over everything applied, published or not.</summary>
    public ulong CurrentDigest => _digest;

    /// <summary>Writer only: the compact revision, published or not.</summary>
    public long CompactRevision { get; private set; }

    /// <summary>The compact revision that the store began with. Unlike any other that can be read it may have changed nothing: a restore may have raised it.</summary>
    public long CompactedAtLoad { get; }

    /// <summary>Writer only: who belongs to the group, published or not.</summary>
    public Membership Membership { get; set; } = Membership.Empty;

    /// <summary>Writer only: the sessions, published or not.</summary>
    public SessionTable Sessions { get; private set; } = SessionTable.Empty;

    /// <summary>Writer only: the leases with everything prepared so far. Changed by way of the store, which keeps the digest.</summary>
    public LeaseTableBuilder Leases { get; }

    /// <summary>Writer only: whether commands were passed over; see <see cref="StoreView.IsHollow"/>. For good.</summary>
    public bool IsHollow { get; private set; }

    /// <summary>Writer only: the index with everything prepared so far.</summary>
    public KeyIndex Unpublished => _index.Unpublished;

    /// <summary>
    /// Prepares a put at the revision, which is the next one or, within one request, the one already begun. The key leaves its lease for the one given, in
    /// the same step; 0 is none.
    /// </summary>
    /// <returns>The version it replaces, a tombstone included, or null.</returns>
    public VersionRecord Put(long revision, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long leaseId)
    {
        KeyRecord record = _index.Find(key);
        VersionRecord previous = record.IsNull ? default : record.Head;
        bool exists = !previous.IsNull && !previous.IsTombstone;
        var head = new VersionHead(revision, _sub++, exists ? previous.CreateRevision : revision, exists ? previous.Version + 1 : 1, leaseId);
        var version = VersionRecord.Create(Memory, head, value.Length, previous, out Span<byte> bytes);
        value.CopyTo(bytes);
        if (record.IsNull)
        {
            record = KeyRecord.Create(Memory, key, version);
            _index.Insert(record);
        }
        else
        {
            record.Head = version;
            if (!exists)
            {
                _index.AddLive(key, +1);
            }
        }

        Events.Append(revision, record, version);
        Digest(key, head, value);
        Leases.Move(ref _digest, key, exists ? previous.LeaseId : 0, leaseId);
        return previous;
    }

    /// <summary>Prepares the removal of a live key.</summary>
    public void Delete(long revision, KeyRecord record)
    {
        VersionRecord previous = record.Head;
        Invariant.Check(!previous.IsTombstone, "a deleted key is deleted again");
        var head = VersionHead.Tombstone(revision, _sub++);
        var tombstone = VersionRecord.Create(Memory, head, 0, previous, out _);
        record.Head = tombstone;
        _index.AddLive(record.Key, KnownBugs.DeletedKeyStaysCounted ? 0 : -1);
        Events.Append(revision, record, tombstone);
        Digest(record.Key, head, default);
        Leases.Move(ref _digest, record.Key, previous.LeaseId, 0);
    }

    /// <summary>Prepares a grant; no lease has the id.</summary>
    public void GrantLease(ulong index, long id, long ttlMilliseconds, bool endsWithLastKey) => Leases.Grant(ref _digest, index, id, ttlMilliseconds, endsWithLastKey);

    /// <summary>Prepares the end of a lease, whose keys are deleted before.</summary>
    public void EndLease(ulong index, long id) => Leases.End(ref _digest, index, id);

    /// <summary>Prepares what a lease has left.</summary>
    public void CheckpointLease(ulong index, LeaseCheckpoint checkpoint) => Leases.Checkpoint(ref _digest, index, checkpoint);

    /// <summary>A request is complete: leases of single keys that have lost them end.</summary>
    public void EndRequest(ulong index) => Leases.EndRequest(ref _digest, index);

    /// <summary>The request that changed something is complete: its revision is the store's.</summary>
    public void CommitRevision(long revision)
    {
        Invariant.Check(revision == Revision + 1, $"revision {revision} follows {Revision}");
        Revision = revision;
        _sub = 0;
    }

    /// <summary>Prepares a compaction; the caller has checked that the revision lies between the last one compacted and the current.</summary>
    public void Compact(long revision)
    {
        Invariant.Check(revision > CompactRevision, $"compaction at {revision} after one at {CompactRevision}");
        Invariant.Check(revision <= Revision, $"compaction at {revision}, ahead of revision {Revision}");
        CompactRevision = revision;
        _digest = StateDigest.Add(_digest, (ulong)revision);
    }

    /// <summary>
    /// Prepares a change of the sessions. The digest gets to know it by what tells it from others at this place of the log, and by how much is kept, which
    /// decides who is forgotten.
    /// </summary>
    public void Change(SessionTable sessions, ulong mark, ReadOnlySpan<byte> answer = default)
    {
        Sessions = sessions;
        _digest = StateDigest.Add(StateDigest.Add(StateDigest.Add(_digest, mark), sessions.Bytes), answer);
    }

    /// <summary>A command is passed over: nothing that a reader could see is right from here on.</summary>
    public void PassOver() => IsHollow = true;

    /// <summary>Makes everything prepared visible, by one store.</summary>
    public void Publish(ulong appliedIndex, ulong appliedTerm)
    {
        StoreView last = _view;
        Invariant.Check(appliedIndex >= last.AppliedIndex, $"applied index goes back from {last.AppliedIndex} to {appliedIndex}");
        KeyIndex index = _index.Publish();
        SchedulePoint.Hit();
        Volatile.Write(ref _view, new StoreView
        {
            Revision = Revision,
            CompactRevision = CompactRevision,
            Index = index,
            AppliedIndex = appliedIndex,
            AppliedTerm = appliedTerm,
            Digest = _digest,
            Membership = Membership,
            Sessions = Sessions,
            Leases = Leases.Publish(),
            IsHollow = IsHollow,
        });
        Memory.Published();
    }

    /// <summary>How far history may be forgotten: what is compacted, but for what somebody still reads. The view that says what is compacted is published before.</summary>
    public long Horizon() => Math.Min(Pins.Horizon(View.CompactRevision), Hold.Revision);

    /// <summary>Whoever reads the events of the store that this one takes the place of goes on with this one.</summary>
    public void TakeOverFrom(MvccStore store)
    {
        Hold = store.Hold;
        Pins.ExpireAs(store.Pins);
    }

    /// <summary>Only for the known bug of that name.</summary>
    public void OverwriteAppliedIndex(ulong index) => Volatile.Write(ref _view, new StoreView
    {
        Revision = Revision,
        CompactRevision = CompactRevision,
        Index = _view.Index,
        AppliedIndex = index,
        AppliedTerm = _view.AppliedTerm,
        Digest = _digest,
        Membership = Membership,
        Sessions = Sessions,
        Leases = _view.Leases,
    });

    /// <summary>
    /// Lets go of what the change took the place of, given that everything from <paramref name="horizon"/> on must stay readable, and can be watched: what the revision
    /// itself did is kept, removals and all. To be called for each change up to there, in order: then there is one version before it at most. A key whose last change was a removal goes
    /// with it; no readable revision sees it.
    /// </summary>
    public void CutBefore(in LoggedEvent change, long horizon)
    {
        VersionRecord version = change.Version;
        Invariant.Check(version.ModRevision <= horizon, $"what revision {version.ModRevision} took the place of is cut, and {horizon} must stay readable");
        if (version.ModRevision == horizon && version.Previous is { IsNull: false } before && before.ModRevision == horizon)
        {
            return;
        }

        version.CutPrevious(Memory);
        bool isOver = version.ModRevision < horizon || KnownBugs.DeletionAtCompactedRevisionForgotten;
        if (isOver && version.IsTombstone && version.Equals(change.Record.Head))
        {
            _index.Remove(change.Record.Key);
            change.Record.Retire(Memory);
        }
    }

    private void Digest(ReadOnlySpan<byte> key, in VersionHead head, ReadOnlySpan<byte> value)
    {
        ulong digest = StateDigest.Add(_digest, (ulong)head.ModRevision);
        digest = StateDigest.Add(digest, key);
        digest = StateDigest.Add(digest, (ulong)head.Version);
        digest = StateDigest.Add(digest, (ulong)head.LeaseId);
        _digest = StateDigest.Add(digest, value);
    }
}
