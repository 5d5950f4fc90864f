using System.Text;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
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

    /// <summary>The apply loop asks how far it may forget, and then publishes the compaction.</summary>
    AsksBeforeItPublishes,
}

/// <summary>
/// The watch loop holds history back and reads on from the log of events, in one section of the memory after the other, as <c>WatchHub.Sync</c> and its matching do; the apply loop compacts, trims
/// and cuts. Either the watch loop learns that it came too late, or each event is there with its value and the one before.
/// </summary>
internal sealed class HoldScenario(HoldOrder order) : Scenario
{
    /// <summary>The compaction is at the first revision of a segment, and lets the one before go.</summary>
    private const long CompactAt = 2 * EventSegment.Revisions;
    private const long Watched = CompactAt - 1;

    private readonly StoreModel _model = new(CompactAt - 3, [("a", "1")], [("a", "2")], [("a", "3")], [("a", null)]);
    private MvccStore _store = null!;

    public override IReadOnlyList<string> Threads { get; } = ["apply", "watch"];

    public override void Begin()
    {
        _store = _model.NewStore();
        _model.WriteThrough(_store, Watched);
        StoreModel.Publish(_store);
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
            SchedulePoint.Await(() => _store.View.Revision > Watched);
            Read(Watched + 1);
            _store.Hold.Revision = long.MaxValue;
        }
    }

    public override void End()
    {
        while (_store.Cutter.RunSlice(EventSegment.Revisions))
        {
            // What was held back goes now.
        }

        StoreModel.Publish(_store);
        Require(_store.Memory.Retired == 0, $"{_store.Memory.Retired} blocks are never freed");
    }

    public override void Discard() => _store.Memory.Dispose();

    private void Apply()
    {
        _model.WriteThrough(_store, CompactAt);
        StoreModel.Publish(_store);
        _model.WriteThrough(_store, CompactAt + 1);
        _store.Compact(CompactAt + 1);
        long asked = Math.Min(CompactAt + 1, _store.Hold.Revision);
        StoreModel.Publish(_store);
        if (order == HoldOrder.AsksBeforeItPublishes)
        {
            _store.Events.Trim(asked);
        }

        while (_store.Cutter.RunSlice(EventSegment.Revisions))
        {
            // A slice after the other, as the apply loop does between batches.
        }
    }

    private bool TryHold()
    {
        using ReadSection section = _store.Memory.Enter();
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
        using ReadSection section = _store.Memory.Enter();
        ReadOnlySpan<LoggedEvent> events = _store.Events.Read(revision);
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
