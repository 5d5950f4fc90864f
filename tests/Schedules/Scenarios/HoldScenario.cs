using System.Text;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>In which order the two sides of <see cref="HistoryHold"/> do what they do. All but the first are wrong.</summary>
internal enum HoldOrder
{
    Right,

    /// <summary>The watch loop looks whether its revision is compacted, and then holds it.</summary>
    LooksBeforeItHolds,

    /// <summary>The watch loop looks, and holds nothing.</summary>
    HoldsNothing,

    /// <summary>The watch loop holds, and takes it back before it has read.</summary>
    LetsGoTooEarly,

    /// <summary>The watch loop holds, and looks at the store that it has begun with, which may have been exchanged.</summary>
    LooksAtTheStoreItTook,

    /// <summary>The apply loop asks how far it may forget, and then publishes the compaction.</summary>
    AsksBeforeItPublishes,
}

/// <summary>
/// The watch loop holds history back and reads on from the log of events, in one section of the memory after the other, as <c>WatchHub.Sync</c> and its matching do; the apply loop compacts, trims
/// and cuts. Either the watch loop learns that it came too late, or each event is there with its value and the one before. Where the store is exchanged, the apply loop first puts another one in its place, which is in
/// the same state, as it does with a snapshot's.
/// </summary>
internal sealed class HoldScenario(HoldOrder order, bool isExchanged = false) : Scenario
{
    /// <summary>The compaction is at the first revision of a segment, and lets the one before go.</summary>
    private const long CompactAt = 2 * EventSegment.Revisions;
    private const long Watched = CompactAt - 1;

    private readonly StoreModel _model = new(CompactAt - 3, [("a", "1")], [("a", "2")], [("a", "3")], [("a", null)]);
    private MvccStore _store = null!;
    private MvccStore _next = null!;
    private StoreHolder _stores = null!;

    public override IReadOnlyList<string> Threads { get; } = ["apply", "watch"];

    public override void Begin()
    {
        _store = NewStore();
        _next = isExchanged ? NewStore() : _store;
        _stores = new StoreHolder(_store);
    }

    public override void Run(int thread)
    {
        if (thread == 0)
        {
            Apply();
        }
        else if (TryHold())
        {
            Read(Watched);
            _store.Hold.Revision = order == HoldOrder.LetsGoTooEarly ? long.MaxValue : Watched;
            SchedulePoint.Await(() => _stores.Current.View.Revision > Watched);
            Read(Watched + 1);
            _store.Hold.Revision = long.MaxValue;
        }
    }

    public override void End()
    {
        while (_next.Cutter.RunSlice(EventSegment.Revisions))
        {
            // What was held back goes now.
        }

        StoreModel.Publish(_next);
        Require(_next.Memory.Retired == 0, $"{_next.Memory.Retired} blocks are never freed");
    }

    public override void Discard()
    {
        _store.Memory.Dispose();
        if (isExchanged)
        {
            _next.Memory.Dispose();
        }
    }

    private MvccStore NewStore()
    {
        MvccStore store = _model.NewStore();
        _model.WriteThrough(store, Watched);
        StoreModel.Publish(store);
        return store;
    }

    private void Apply()
    {
        if (isExchanged)
        {
            _next.TakeOverFrom(_store);
            _stores.Current = _next;
        }

        MvccStore store = _next;
        _model.WriteThrough(store, CompactAt);
        StoreModel.Publish(store);
        _model.WriteThrough(store, CompactAt + 1);
        store.Compact(CompactAt + 1);
        long asked = Math.Min(CompactAt + 1, store.Hold.Revision);
        StoreModel.Publish(store);
        if (order == HoldOrder.AsksBeforeItPublishes)
        {
            store.Events.Trim(asked);
        }

        while (store.Cutter.RunSlice(EventSegment.Revisions))
        {
            // A slice after the other, as the apply loop does between batches.
        }
    }

    private bool TryHold()
    {
        using ReadSection section = _store.Memory.Enter();
        if (order is HoldOrder.Right or HoldOrder.LetsGoTooEarly or HoldOrder.AsksBeforeItPublishes)
        {
            return _store.Hold.TryHoldBehind(Watched - 1, _store, _stores);
        }

        long compactRevision = order == HoldOrder.LooksBeforeItHolds ? _store.View.CompactRevision : 0;
        if (order != HoldOrder.HoldsNothing)
        {
            _store.Hold.Revision = Watched - 1;
        }

        compactRevision = order == HoldOrder.LooksBeforeItHolds ? compactRevision : _store.View.CompactRevision;
        if (Watched >= compactRevision)
        {
            return true;
        }

        _store.Hold.Revision = long.MaxValue;
        return false;
    }

    private void Read(long revision)
    {
        MvccStore store = _stores.Current;
        using ReadSection section = store.Memory.Enter();
        ReadOnlySpan<LoggedEvent> events = store.Events.Read(revision);
        Require(events.Length == 1, $"the log of events knows {events.Length} changes of revision {revision}");
        VersionRecord version = events[0].Version;
        RequireValue(version, revision);
        SchedulePoint.Hit();
        RequireValue(version.Previous, revision - 1);
    }

    private void RequireValue(VersionRecord version, long revision)
    {
        Require(!version.IsNull, $"the version of revision {revision} is not there");
        string? expected = _model.ValueOf(revision);
        string? found = version.IsTombstone ? null : Encoding.UTF8.GetString(version.Value);
        Require(version.ModRevision == revision && found == expected, $"revision {revision} set '{expected}'; found is '{found}', of revision {version.ModRevision}");
    }
}
