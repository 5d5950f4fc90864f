using System.Collections.Concurrent;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Sessions;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;

namespace MetaStore.Engine.Replication;

/// <summary>Something for the apply loop, in log order: a committed entry with those who wait for it, or a store to take over.</summary>
internal readonly record struct ApplyItem(Entry Entry, PendingOperation[]? Waiters, MvccStore? Install)
{
    /// <summary>
    /// Whether applying it takes about as long as waking a thread does. Only of commands for whose answers somebody waits here is it known without decoding them; the others are in no hurry.
    /// </summary>
    public bool IsBrief { get; } = Waiters is not null && Entry.Data.Length <= BriefBytesMax && BriefWork.Are(Waiters);

    private const int BriefBytesMax = 8192;
}

/// <summary>
/// The apply loop. Takes committed entries in order and, for all that has queued up: prepares every operation (revisions in order,
/// errors without a trace), publishes once, then notifies. A reader sees all of that or nothing; a waiter hears only after
/// readers can see. Also gives back compacted history between batches, and starts snapshots when the log has outgrown the last one.
/// </summary>
internal sealed class Applier : ILoop
{
    private const int OperationsPerPublish = 4096;
    private const int CutPerSlice = 1024;
    private static readonly TimeSpan s_leftoverPeriod = TimeSpan.FromMilliseconds(100);

    /// <summary>Items that another thread may apply in this one's place.</summary>
    private const int BriefItemsMax = 2;

    /// <summary>Blocks of memory that wait for their last reader, which whoever publishes next may have to free.</summary>
    private const int BriefBlocksMax = 4096;

    /// <summary>What an entry counts for on a witness, whose snapshots are small and whose entries are empty: about what it takes in the log.</summary>
    private const int HollowEntryBytes = 32;

    private readonly ConcurrentQueue<ApplyItem> _inbox = new();
    private readonly List<(PendingOperation Waiter, ApplyResult Result)> _answers = [];
    private readonly StoreHolder _stores;
    private readonly NodeFailure _failure;
    private readonly ILoopSignal _signal;
    private readonly SnapshotPolicy _snapshotPolicy;
    private readonly ulong _digestEvery;
    private readonly ulong _clusterId;
    private readonly ulong _nodeId;
    private readonly TimeProvider _time;
    private SessionApplier _requests;
    private ulong _prepared;
    private int _longItems;
    private volatile bool _hasBacklog;
    private long _appendedAtCut;
    private Action? _applied;
    private Action? _published;
    private Action<MvccStore>? _snapshotDue;
    private Action<LeaseNews>? _leaseChanged;
    private StateChecks? _checks;

    public Applier(
        StoreHolder stores, NodeFailure failure, ILoopSignal signal, SnapshotPolicy snapshotPolicy, ulong digestEvery, ulong clusterId, ulong nodeId, TimeProvider time)
    {
        _stores = stores;
        _failure = failure;
        _signal = signal;
        _snapshotPolicy = snapshotPolicy;
        _digestEvery = digestEvery;
        _clusterId = clusterId;
        _nodeId = nodeId;
        _time = time;
        _appendedAtCut = stores.Current.Events.Appended;
        _requests = new SessionApplier(stores.Current, new RequestApplier(stores.Current, clusterId, nodeId, Counts));
    }

    public string Name => "apply";

    /// <summary>Whoever holds something back, a reader or a pin, says nothing when he leaves: it is looked at again.</summary>
    public long NextWake { get; private set; } = long.MaxValue;

    public bool IsBrief => Volatile.Read(ref _longItems) == 0 && !_hasBacklog && _inbox.Count <= BriefItemsMax;

    /// <summary>State checks that this node's state agreed with.</summary>
    public long ChecksAgreed => _checks?.Agreed ?? 0;

    /// <summary>The state that the last of them was about.</summary>
    public ulong? AgreedDigest => _checks?.AgreedDigest;

    public int Queued => _inbox.Count;

    /// <summary>What was applied since the start, whichever store it went to.</summary>
    public AppliedCounts Counts { get; } = new();

    /// <summary>How long batches took, from the first entry's preparing until all who waited were told.</summary>
    public DurationHistogram Batches { get; } = DurationHistogram.OfDisk();

    /// <summary>Joins the loop to its neighbours; before the first run.</summary>
    /// <param name="published">Something was published: for watchers, before anybody else hears of it.</param>
    /// <param name="applied">Something was applied.</param>
    /// <param name="snapshotDue">A snapshot is due.</param>
    /// <param name="stateReached">Told of this node's state, each Nth index.</param>
    /// <param name="leaseChanged">Told of what becomes of leases, before it is published.</param>
    /// <param name="logEndedAt">Where the log ended when the node started.</param>
    public void Connect(
        Action published, Action applied, Action<MvccStore> snapshotDue, Action<StateCheck> stateReached, Action<LeaseNews> leaseChanged, ulong logEndedAt)
    {
        _published = published;
        _checks = new StateChecks(_digestEvery, stateReached, logEndedAt);
        _leaseChanged = leaseChanged;
        _applied = applied;
        _snapshotDue = snapshotDue;
    }

    public void Enqueue(in ApplyItem item)
    {
        if (!item.IsBrief)
        {
            Interlocked.Increment(ref _longItems);
        }

        _inbox.Enqueue(item);
    }

    public void Wake() => _signal.Set();

    /// <summary>Takes a snapshot though none is due: the group keeps a log that others need to go on. Any thread.</summary>
    public void DemandSnapshot()
    {
        _snapshotPolicy.Demand();
        _signal.Set();
    }

    public bool RunOnce()
    {
        if (_failure.IsFailed)
        {
            Abandon();
            NextWake = long.MaxValue;
            return false;
        }

        // Before the entries, and in a run of its own where there are none: who applies in this loop's place looks first whether there is a backlog, and has none of it.
        bool worked = false;
        bool hasCut = (_hasBacklog || IsDue) && GiveBack();
        long start = 0;
        int operations = 0;
        Entry last = default;
        while (operations < OperationsPerPublish && _inbox.TryDequeue(out ApplyItem item))
        {
            start = worked ? start : _time.GetTimestamp();
            worked = true;
            if (!item.IsBrief)
            {
                Interlocked.Decrement(ref _longItems);
            }

            if (item.Install is not null)
            {
                Publish(last);
                last = default;
                Install(item.Install);
                continue;
            }

            operations += Prepare(item);
            if (!_stores.Current.IsHollow)
            {
                _checks!.Applied(item.Entry.Index.Value, _stores.Current.CurrentDigest, IsAsking(item.Entry));
            }

            last = item.Entry;
        }

        Publish(last);
        if (worked)
        {
            Batches.Add(_time.GetElapsedTime(start));
        }

        if (_snapshotPolicy.TryBeginDemanded())
        {
            _snapshotDue!(_stores.Current);
        }

        MvccStore store = _stores.Current;
        bool isToCut = store.Cutter.HasWork;
        LookAgain(!isToCut && (store.Memory.Retired > 0 || store.Cutter.IsBehind));
        _hasBacklog = isToCut || store.Memory.Retired > BriefBlocksMax;
        _appendedAtCut = isToCut ? _appendedAtCut : store.Events.Appended;
        return worked || hasCut || isToCut;
    }

    private bool IsDue => NextWake != long.MaxValue && NextWake <= _time.GetTimestamp();

    /// <summary>Plans the next look, where none is planned: a loop that other threads step is woken for each look it did not know of, so a plan is not changed once it is made.</summary>
    private void LookAgain(bool isHeldBack)
    {
        if (IsDue)
        {
            NextWake = long.MaxValue;
        }

        if (isHeldBack && NextWake == long.MaxValue)
        {
            NextWake = _time.GetTimestamp() + (long)(s_leftoverPeriod.TotalSeconds * _time.TimestampFrequency);
        }
    }

    /// <summary>
    /// Cuts twice as much as was applied since the last run, so that the cutting overtakes the writing, and takes no longer than a few times what was applied. False where there is nothing to do for now.
    /// </summary>
    private bool GiveBack()
    {
        MvccStore store = _stores.Current;
        long applied = store.Events.Appended - _appendedAtCut;
        _appendedAtCut = store.Events.Appended;
        return store.Cutter.RunSlice((int)Math.Clamp(2 * applied, CutPerSlice, int.MaxValue)) || store.Memory.Reclaim();
    }

    private int Prepare(in ApplyItem item)
    {
        ulong expected = Math.Max(_stores.Current.View.AppliedIndex, _prepared) + 1;
        Invariant.Check(item.Entry.Index.Value == expected, $"entry {item.Entry.Index} is applied where {expected} is next");
        _prepared = item.Entry.Index.Value;
        _snapshotPolicy.Applied(_stores.Current.IsHollow ? HollowEntryBytes : item.Entry.Data.Length);
        if (item.Entry.Kind == EntryKind.Membership)
        {
            _stores.Current.Membership = MembershipCodec.Decode(item.Entry.Data);
        }

        if (item.Entry.Kind == EntryKind.StateCheck && !item.Entry.Data.IsEmpty)
        {
            _checks!.Compare(StateCheck.Decode(item.Entry.Data), item.Entry.Index.Value);
        }

        if (item.Entry.Kind != EntryKind.Command)
        {
            return 1;
        }

        if (item.Entry.Data.IsEmpty)
        {
            PassOver(item.Entry);
            return 1;
        }

        Invariant.Check(!_stores.Current.IsHollow, $"entry {item.Entry.Index} came whole to a store that has passed over commands");
        StoreRequest[] requests = CommandBatch.Decode(item.Entry.Data);
        Invariant.Check(
            item.Waiters is null || item.Waiters.Length == requests.Length,
            $"a batch of {requests.Length} operations has {item.Waiters?.Length} waiters");
        _requests.Begin(item.Entry.Index.Value, item.Entry.Term.Value);
        foreach (OperationRun run in OperationRuns.Split(requests))
        {
            PrepareRun(run, requests, item.Waiters);
        }

        return requests.Length;
    }

    private static bool IsAsking(in Entry entry) => entry is { Kind: EntryKind.StateCheck, Data.IsEmpty: false } && StateCheck.Decode(entry.Data).IsAsked;

    /// <summary>A command as witnesses get it: without what it carries.</summary>
    private void PassOver(in Entry entry)
    {
        Membership membership = _stores.Current.Membership;
        var self = new NodeId(_nodeId);
        bool holdsData = membership.Contains(self) && !membership.IsWitness(self);
        Invariant.Check(!holdsData, $"entry {entry.Index} came without its command, and this member, {self}, is no witness: {membership}");
        _stores.Current.PassOver();
    }

    private void PrepareRun(OperationRun run, StoreRequest[] requests, PendingOperation[]? waiters)
    {
        bool looksAhead = run.Kind == typeof(PutRequest) && run.Count > 1;
        for (int i = run.Start; i < run.Start + run.Count; i++)
        {
            if (looksAhead && (i - run.Start) % IndexLookahead.Width == 0)
            {
                _requests.Expect(requests.AsSpan(i, Math.Min(IndexLookahead.Width, run.Start + run.Count - i)));
            }

            PendingOperation? waiter = waiters?[i];
            ApplyResult result = _requests.Apply(requests[i], wantResponse: waiter is not null);
            if (waiter is not null)
            {
                _answers.Add((waiter, result));
            }
        }
    }

    private void Publish(in Entry last)
    {
        if (last.Index == LogIndex.Zero)
        {
            return;
        }

        MvccStore store = _stores.Current;
        store.Leases.TakeNews(_leaseChanged!); // Before the publishing: see LeaseNewsQueue.
        store.Publish(last.Index.Value, last.Term.Value);
        _published!(); // Watchers first, then waiters; both after the data.
        foreach ((PendingOperation waiter, ApplyResult result) in _answers)
        {
            if (result.IsFailed)
            {
                waiter.TryFail(StoreErrors.ToException(result.Error, mayHaveBeenApplied: waiter.IsBehindSnapshot));
            }
            else
            {
                waiter.TryComplete(result.Response!);
            }

            waiter.ReleaseByPipeline();
        }

        _answers.Clear();
        _applied!();
        if (_snapshotPolicy.TryBegin())
        {
            _snapshotDue!(store);
        }
    }

    private void Install(MvccStore store)
    {
        Invariant.Check(
            store.View.AppliedIndex > _stores.Current.View.AppliedIndex,
            $"a snapshot of index {store.View.AppliedIndex} is installed over applied index {_stores.Current.View.AppliedIndex}");
        if (KnownBugs.OwnAppliedIndexInForeignSnapshot)
        {
            store.OverwriteAppliedIndex(_stores.Current.View.AppliedIndex);
        }

        store.TakeOverFrom(_stores.Current);
        _stores.Current = store;
        _prepared = store.View.AppliedIndex;
        _requests = new SessionApplier(store, new RequestApplier(store, _clusterId, _nodeId, Counts));
        _appendedAtCut = store.Events.Appended;
        _snapshotPolicy.Installed();
        _published!();
        _applied!();
    }

    private void Abandon()
    {
        while (_inbox.TryDequeue(out ApplyItem item))
        {
            foreach (PendingOperation waiter in item.Waiters ?? [])
            {
                waiter.TryFail(_failure.ToException(Outcome.Unknown));
                waiter.ReleaseByPipeline();
            }
        }

        foreach ((PendingOperation waiter, _) in _answers)
        {
            waiter.TryFail(_failure.ToException(Outcome.Unknown));
            waiter.ReleaseByPipeline();
        }

        _answers.Clear();
    }
}
