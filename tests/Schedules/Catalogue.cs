using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Transactions;
using MetaStore.Schedules.Scenarios;
using MetaStore.Schedules.Scheduling;
using MetaStore.Schedules.Twins;

namespace MetaStore.Schedules;

/// <summary>A scenario with the piece that ships, or with a twin of it that has a bug.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Create">Makes it.</param>
/// <param name="Preemptions">How many preemptions are enumerated in full where the tests run.</param>
/// <param name="IsTwin">Whether it must fail.</param>
internal sealed record Case(string Name, Func<Scenario> Create, int Preemptions, bool IsTwin)
{
    public override string ToString() => Name;
}

/// <summary>All scenarios. A twin's name is that of the scenario that catches it, a colon, and its bug.</summary>
internal static class Catalogue
{
    private static readonly StoreModel s_batches = new(
        1, [("a", "1"), ("b", "1")], [("a", "2")], [("b", "2"), ("c", "1")], [("a", null)], [("a", "3"), ("d", "1")], [("c", null)]);

    private static readonly StoreModel s_history = new(
        1, [("a", "1"), ("b", "1")], [("a", "2")], [("a", "3"), ("b", null)], [("c", "1")], [("a", "4")], [("b", "2")], [("c", null)]);

    private static readonly StoreModel s_last = new(
        1, [("a", "1"), ("b", "1")], [("a", "2")], [("b", null)], [("a", "3")], [("a", "4")], [("a", "5")], [("a", "6")]);

    private static readonly EventPlan s_growth = new(
        [(1, 200), (2, 56)], [(3, 2), (4, 1)], [1, 3, 4]);

    private static readonly EventPlan s_ring = new(
        [.. Enumerable.Range(0, 16).Select(i => ((long)i * EventSegment.Revisions + 1, 1))], [(16 * EventSegment.Revisions + 1, 1)], [1, 257, 16 * EventSegment.Revisions + 1]);

    private static readonly EventPlan s_trimming = new(
        [.. Enumerable.Range(0, 16).Select(i => ((long)i * EventSegment.Revisions + 1, 1))],
        [(2 * EventSegment.Revisions, -1), (16 * EventSegment.Revisions + 1, 1), (17 * EventSegment.Revisions + 1, 1)],
        [2 * EventSegment.Revisions + 1, 16 * EventSegment.Revisions + 1, 17 * EventSegment.Revisions + 1]);

    private static readonly (long, long)[] s_publishing = [(4, 0), (6, 0)];
    private static readonly (long, long)[] s_compaction = [(6, 4), (8, 7)];

    /// <summary>A key at a time, so that a visit of a few is as one of many.</summary>
    private static readonly VisitSizes s_sliced = new(0, 1);

    public static IReadOnlyList<Case> Real { get; } =
    [
        new("epochs", () => Epochs(() => new RealEpochs()), 3, false),
        new("memory", () => Memory(() => new RealReclaimer()), 3, false),
        new("batches", () => Batches(), 2, false),
        new("compaction", () => Compaction(), 2, false),
        new("visits", () => Visits(), 2, false),
        new("visits-sliced", () => Visits(sizes: s_sliced), 2, false),
        new("visits-expire", () => Expiry(), 2, false),
        new("event-growth", () => Events(s_growth, memory => new RealEventLog(memory)), 3, false),
        new("event-ring", () => Events(s_ring, memory => new RealEventLog(memory)), 3, false),
        new("event-trim", () => Events(s_trimming, memory => new RealEventLog(memory)), 3, false),
        new("hold", () => new HoldScenario(HoldOrder.Right), 3, false),
        new("hold-exchange", () => new HoldScenario(HoldOrder.Right, isExchanged: true), 3, false),
        new("lease-news", () => new LeaseNewsScenario(LeaseNewsOrder.Right), 3, false),
        new("handles", () => Handles(() => new RealHandlePool()), 2, false),
        new("turns", () => Turns((time, failed, word) => new RealTurns(time, failed, word)), 2, false),
        new("relay", () => Relay(secondIsBrief: true), 2, false),
        new("relay-long", () => Relay(secondIsBrief: false), 2, false),
        new("epochs-many", () => new EpochScenario(() => new RealEpochs(), readers: 3, stays: 2), 1, false),
        new("memory-many", () => new ReclaimScenario(() => new RealReclaimer(), readers: 3), 1, false),
        new(
            "store-many",
            () => Store(s_history, 3, [(5, 0), (6, 4), (7, 6), (8, 8)], [new ReaderPlan(0, Visits: false, Times: 2), new ReaderPlan(0, Visits: true, Times: 2), new ReaderPlan(0, Visits: true, Key: "b", Times: 2)], null, null),
            1,
            false),
        new("handle-fates", () => HandleFates(() => new RealHandlePool()), 2, false),
    ];

    public static IReadOnlyList<Case> Twins { get; } =
    [
        .. Of<EpochBug>("epochs", bug => Epochs(() => new BuggyEpochs(bug))),
        .. Of<ReclaimBug>("memory", bug => Memory(() => new BuggyReclaimer(bug))),
        .. Of<ReclaimOrder>("memory", order => Memory(() => new RealReclaimer(), order)),
        Twin("batches", ReadingBug.EntersLate, () => Batches(ReadingBug.EntersLate)),
        Twin("batches", ReadingBug.ReadsHeads, () => Batches(ReadingBug.ReadsHeads)),
        Twin("batches", WritingBug.PublishesHalfBatches, () => Batches(writing: WritingBug.PublishesHalfBatches)),
        Twin("batches", WritingBug.ReclaimsBeforeItPublishes, () => Batches(writing: WritingBug.ReclaimsBeforeItPublishes)),
        Twin("compaction", ReadingBug.NoSecondLook, () => Compaction(ReadingBug.NoSecondLook)),
        Twin("compaction", ReadingBug.LooksAtItsOwnView, () => Compaction(ReadingBug.LooksAtItsOwnView)),
        Twin("compaction", WritingBug.CutsBeforeItPublishes, () => Compaction(writing: WritingBug.CutsBeforeItPublishes)),
        Twin("visits", ReadingBug.ShowsWithoutASecondLook, () => Visits(ReadingBug.ShowsWithoutASecondLook)),
        Twin("visits-sliced", ReadingBug.VisitsWithoutHold, () => Visits(ReadingBug.VisitsWithoutHold, sizes: s_sliced)),
        Twin("visits-sliced", WritingBug.IgnoresPins, () => Visits(writing: WritingBug.IgnoresPins, sizes: s_sliced)),
        Twin("visits-expire", ReadingBug.DoesNotLookAtTheEnd, () => Expiry(ReadingBug.DoesNotLookAtTheEnd)),
        Twin("event-growth", EventBug.PublishesTheListBeforeItIsCopied, () => Events(s_growth, EventBug.PublishesTheListBeforeItIsCopied)),
        Twin("event-growth", EventBug.FreesTheOldListAtOnce, () => Events(s_growth, EventBug.FreesTheOldListAtOnce)),
        Twin("event-ring", EventBug.WritesAPlaceBeforeItIsTrimmed, () => Events(s_ring, EventBug.WritesAPlaceBeforeItIsTrimmed)),
        Twin("event-ring", EventBug.PublishesTheRingBeforeItIsCopied, () => Events(s_ring, EventBug.PublishesTheRingBeforeItIsCopied)),
        Twin("event-trim", EventBug.TrimsOneSegmentTooMany, () => Events(s_trimming, EventBug.TrimsOneSegmentTooMany)),
        .. Of<HoldOrder>("hold", order => new HoldScenario(order, isExchanged: order == HoldOrder.LooksAtTheStoreItTook)),
        .. Of<LeaseNewsOrder>("lease-news", order => new LeaseNewsScenario(order)),
        .. Of<HandleBug>("handles", bug => Handles(() => new BuggyHandlePool(bug))),
        Twin("relay", RelayBug.ForgetsWhatItTook, () => Relay(secondIsBrief: true, RelayBug.ForgetsWhatItTook)),
        Twin("relay", RelayBug.StepsWithin, () => Relay(secondIsBrief: true, RelayBug.StepsWithin)),
        Twin("relay", RelayBug.StepsWithoutTheTurn, () => Relay(secondIsBrief: true, RelayBug.StepsWithoutTheTurn)),
        Twin("relay-long", RelayBug.LeavesWhatIsNotBrief, () => Relay(secondIsBrief: false, RelayBug.LeavesWhatIsNotBrief)),
        .. Of<TurnBug>("turns", bug => Turns((time, failed, word) => new BuggyTurns(time, failed, word, bug))),
    ];

    /// <summary>The twins without their bug: what fails otherwise is the bug, not the copy.</summary>
    public static IReadOnlyList<Case> SoundTwins { get; } =
    [
        new("epochs:None", () => Epochs(() => new BuggyEpochs(EpochBug.None)), 2, false),
        new("memory:None", () => Memory(() => new BuggyReclaimer(ReclaimBug.None)), 2, false),
        new("batches:None", () => Batches(ReadingBug.None, WritingBug.None), 1, false),
        new("compaction:None", () => Compaction(ReadingBug.None, WritingBug.None), 1, false),
        new("visits:None", () => Visits(ReadingBug.None, WritingBug.None), 1, false),
        new("visits-sliced:None", () => Visits(ReadingBug.None, WritingBug.None, s_sliced), 1, false),
        new("visits-expire:None", () => Expiry(ReadingBug.None, WritingBug.None), 1, false),
        new("event-growth:None", () => Events(s_growth, EventBug.None), 1, false),
        new("event-ring:None", () => Events(s_ring, EventBug.None), 1, false),
        new("event-trim:None", () => Events(s_trimming, EventBug.None), 1, false),
        new("turns:None", () => Turns((time, failed, word) => new BuggyTurns(time, failed, word, TurnBug.None)), 1, false),
        new("relay:None", () => Relay(secondIsBrief: true, RelayBug.None), 1, false),
        new("relay-long:None", () => Relay(secondIsBrief: false, RelayBug.None), 1, false),
        new("handles:None", () => Handles(() => new BuggyHandlePool(HandleBug.None)), 2, false),
    ];

    public static IEnumerable<Case> All => [.. Real, .. Twins, .. SoundTwins];

    private static EpochScenario Epochs(Func<IEpochs> create) => new(create, readers: 2, stays: 1);

    private static ReclaimScenario Memory(Func<IReclaimer> create, ReclaimOrder order = ReclaimOrder.Right) => new(create, readers: 2, order);

    private static RelayScenario Relay(bool secondIsBrief, RelayBug? bug = null) =>
        new((word, failed) => bug is { } known ? new BuggyRelay(word, failed, known) : new RealRelayed(word, failed), secondIsBrief);

    private static StoreScenario Batches(ReadingBug? reading = null, WritingBug? writing = null) =>
        Store(s_batches, 2, s_publishing, [new ReaderPlan(0, Visits: false, Times: 2), new ReaderPlan(2, Visits: false)], reading, writing);

    private static StoreScenario Compaction(ReadingBug? reading = null, WritingBug? writing = null) =>
        Store(s_history, 5, s_compaction, [new ReaderPlan(0, Visits: false), new ReaderPlan(3, Visits: false)], reading, writing);

    private static StoreScenario Visits(ReadingBug? reading = null, WritingBug? writing = null, VisitSizes? sizes = null) =>
        Store(s_history, 5, s_compaction, [new ReaderPlan(3, Visits: true), new ReaderPlan(0, Visits: true, Key: "a")], reading, writing, sizes: sizes);

    private static StoreScenario Expiry(ReadingBug? reading = null, WritingBug? writing = null) =>
        Store(s_last, 5, s_compaction, [new ReaderPlan(3, Visits: true), new ReaderPlan(3, Visits: true, Key: "b", AndBehind: true)], reading, writing, expire: true, sizes: s_sliced);

    private static StoreScenario Store(
        StoreModel model, long begun, (long, long)[] batches, ReaderPlan[] plans, ReadingBug? reading, WritingBug? writing, bool expire = false, VisitSizes? sizes = null) => new(
        model,
        begun,
        batches,
        plans,
        reading is { } readingBug ? stores => new BuggyReading(stores, readingBug, sizes ?? VisitSizes.Usual) : stores => new RealReading(stores, sizes),
        writing is { } writingBug ? () => new BuggyWriting(writingBug) : null,
        expire);

    private static EventScenario Events(EventPlan plan, EventBug bug) => Events(plan, memory => new BuggyEventLog(memory, bug));

    private static EventScenario Events(EventPlan plan, Func<StoreMemory, IEventLog> create) => new(create, plan, readers: 2);

    private static TurnScenario Turns(Func<TimeProvider, Action<Exception>, WaitWord, ITurns> create) => new(create);

    private static HandleScenario Handles(Func<IHandlePool> create) => new(create, [Fate.Completes, Fate.Completes], callers: 1, cancelled: [0]);

    private static HandleScenario HandleFates(Func<IHandlePool> create) =>
        new(create, [Fate.IsPutBackAndCompletes, Fate.TimesOut], callers: 2, cancelled: [1, 0]);

    /// <summary>A twin for each value but the first, which stands for none.</summary>
    private static IEnumerable<Case> Of<TBug>(string scenario, Func<TBug, Scenario> create)
        where TBug : struct, Enum => Enum.GetValues<TBug>().Skip(1).Select(bug => Twin(scenario, bug, () => create(bug)));

    private static Case Twin<TBug>(string scenario, TBug bug, Func<Scenario> create)
        where TBug : struct, Enum => new($"{scenario}:{bug}", create, 2, true);
}
