using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What <see cref="EventLog"/> does, for it and its twins.</summary>
internal interface IEventLog
{
    void Append(long revision, KeyRecord record, VersionRecord version);

    ReadOnlySpan<LoggedEvent> Read(long revision);

    void Trim(long horizon);

    long Segments { get; }
}

internal sealed class RealEventLog(StoreMemory memory) : IEventLog
{
    private readonly EventLog _log = new(memory);

    public long Segments => _log.Segments;

    public void Append(long revision, KeyRecord record, VersionRecord version) => _log.Append(revision, record, version);

    public ReadOnlySpan<LoggedEvent> Read(long revision) => _log.Read(revision);

    public void Trim(long horizon) => _log.Trim(horizon);
}

/// <summary>What the writer does while others read.</summary>
/// <param name="Prepared">Events of each revision that are there before anybody reads: revision and how many.</param>
/// <param name="Steps">What happens then: so many events at a revision, or, of -1 events, a trim at the revision.</param>
/// <param name="Reads">The revisions that readers ask for once they are published; none that the steps trim.</param>
internal sealed record EventPlan((long Revision, int Events)[] Prepared, (long Revision, int Events)[] Steps, long[] Reads);

/// <summary>
/// The log of events: a writer appends, grows and trims, readers ask for revisions that they know to be published and nobody trims. They get all events of the revision, and nothing
/// else. The events are marks; nobody follows them to records.
/// </summary>
internal sealed class EventScenario(Func<StoreMemory, IEventLog> create, EventPlan plan, int readers) : Scenario
{
    private const int EventsPerRevision = 1000;

    private readonly Dictionary<long, int> _counts = [];
    private StoreMemory _memory = null!;
    private IEventLog _log = null!;
    private long _published;
    private long _blocks;

    public override IReadOnlyList<string> Threads { get; } = ["writer", .. Enumerable.Range(1, readers).Select(i => $"reader {i}")];

    public override void Begin()
    {
        _counts.Clear();
        foreach ((long revision, int events) in plan.Prepared.Concat(plan.Steps.Where(step => step.Events > 0)))
        {
            _counts[revision] = events;
        }

        _memory = new StoreMemory();
        _log = create(_memory);
        foreach ((long revision, int events) in plan.Prepared)
        {
            Append(revision, events);
        }

        _published = plan.Prepared[^1].Revision;
        _memory.Published();
    }

    public override void Run(int thread)
    {
        if (thread > 0)
        {
            Read();
            return;
        }

        foreach ((long revision, int events) in plan.Steps)
        {
            if (events < 0)
            {
                _log.Trim(revision);
            }
            else
            {
                Append(revision, events);
                SchedulePoint.Hit();
                Volatile.Write(ref _published, revision);
            }

            _memory.Published();
        }
    }

    public override void End()
    {
        _memory.Published();
        Require(_memory.Retired == 0, $"{_memory.Retired} blocks are never freed");
        Require(_blocks == 0 || _blocks == _memory.LiveBlocks, $"{_memory.LiveBlocks} blocks are in use at the end; {_blocks} were after another schedule");
        Require(_memory.LiveBlocks == 2 * _log.Segments, $"{_memory.LiveBlocks} blocks are in use for {_log.Segments} segments");
        _blocks = _memory.LiveBlocks;
        Check(_published);
    }

    public override void Discard() => _memory.Dispose();

    private void Append(long revision, int events)
    {
        for (int i = 0; i < events; i++)
        {
            nint mark = (nint)((revision * EventsPerRevision) + i);
            _log.Append(revision, new KeyRecord(mark), new VersionRecord(-mark));
        }
    }

    private void Read()
    {
        using ReadSection section = _memory.Enter();
        SchedulePoint.Hit();
        long published = Volatile.Read(ref _published);
        foreach (long revision in plan.Reads)
        {
            if (revision <= published)
            {
                Check(revision);
            }
        }
    }

    private void Check(long revision)
    {
        ReadOnlySpan<LoggedEvent> events = _log.Read(revision);
        Require(events.Length == _counts[revision], $"revision {revision} has {events.Length} events, not {_counts[revision]}");
        SchedulePoint.Hit();
        for (int i = 0; i < events.Length; i++)
        {
            nint mark = (nint)((revision * EventsPerRevision) + i);
            if (events[i].Record.Address != mark || events[i].Version.Address != -mark)
            {
                Require(false, $"event {i} of revision {revision} is {events[i].Record.Address:x}, not {mark:x}");
            }
        }
    }
}
