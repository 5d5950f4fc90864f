using System.Collections.Concurrent;
using System.Diagnostics;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules;

/// <summary>Runs what the command line asks for. Exit codes: 0 all is well, 1 a schedule failed (of twins: one was not caught), 64 wrong arguments.</summary>
internal sealed class Runner(Arguments arguments, TextWriter output)
{
    /// <summary>Schedules that one worker group runs before another may take the scenario on.</summary>
    private const long PortionMax = 50_000;

    private const int TwinPreemptions = 2;
    private const long TwinSchedulesMax = 500_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (long Schedules, TimeSpan Busy)> _totals = [];
    private bool _failed;

    public int Run()
    {
        if (arguments.Replay is not null)
        {
            return Replay();
        }

        if (arguments.Twins)
        {
            return Twins();
        }

        return arguments.Preemptions is { } preemptions ? Enumerate(preemptions) : Sample();
    }

    /// <summary>How long schedules of the scenario are without preemptions: what <see cref="PctStrategy"/> spreads its changes over.</summary>
    public static int StepsOf(Scheduler scheduler, Case c) => Math.Max(1, scheduler.Explore(c.Create(), new ExhaustiveStrategy(0)).StepsMax);

    private IReadOnlyList<Case> Cases() => arguments.Scenario is null ? Catalogue.Real : [Catalogue.All.Single(c => c.Name == arguments.Scenario)];

    private int Sample()
    {
        var portions = new ConcurrentQueue<(Case Case, ulong Seed, long Count)>();
        IReadOnlyList<Case> cases = Cases();
        long each = Math.Max(1, (arguments.Count + cases.Count - 1) / cases.Count);
        for (long done = 0; done < each; done += PortionMax)
        {
            foreach (Case c in cases)
            {
                portions.Enqueue((c, arguments.Seed + (ulong)done, Math.Min(PortionMax, each - done)));
            }
        }

        var clock = Stopwatch.StartNew();
        Thread[] jobs = [.. Enumerable.Range(0, arguments.Jobs).Select(_ => new Thread(() => Work(portions)))];
        Array.ForEach(jobs, job => job.Start());
        Array.ForEach(jobs, job => job.Join());
        Report(clock.Elapsed);
        return _failed ? 1 : 0;
    }

    private void Work(ConcurrentQueue<(Case Case, ulong Seed, long Count)> portions)
    {
        using var scheduler = new Scheduler();
        var steps = new Dictionary<string, int>();
        while (!_failed && portions.TryDequeue(out (Case Case, ulong Seed, long Count) portion))
        {
            Case c = portion.Case;
            if (!steps.TryGetValue(c.Name, out int stepsOf))
            {
                steps[c.Name] = stepsOf = StepsOf(scheduler, c);
            }

            Note(c, scheduler, new PctStrategy(portion.Seed, portion.Count, stepsOf));
        }
    }

    private int Enumerate(int preemptions)
    {
        using var scheduler = new Scheduler();
        var clock = Stopwatch.StartNew();
        foreach (Case c in Cases())
        {
            Note(c, scheduler, new ExhaustiveStrategy(preemptions));
        }

        Report(clock.Elapsed);
        return _failed ? 1 : 0;
    }

    private void Note(Case c, Scheduler scheduler, IStrategy strategy)
    {
        var clock = Stopwatch.StartNew();
        Exploration result = scheduler.Explore(c.Create(), strategy);
        lock (_lock)
        {
            (long schedules, TimeSpan busy) = _totals.GetValueOrDefault(c.Name);
            _totals[c.Name] = (schedules + result.Schedules, busy + clock.Elapsed);
            if (result.Failure is not null)
            {
                _failed = true;
                output.WriteLine($"{c.Name}: {result.Failure.Message}");
                output.WriteLine($"  ./build.sh schedules --scenario {c.Name} --replay {result.Choices}");
            }
        }
    }

    private void Report(TimeSpan elapsed)
    {
        foreach ((string name, (long schedules, TimeSpan busy)) in _totals)
        {
            output.WriteLine($"{name,-14} {schedules,12:N0} schedules {schedules / busy.TotalSeconds,12:N0} a second and job");
        }

        long total = _totals.Values.Sum(entry => entry.Schedules);
        output.WriteLine($"schedules={total} seconds={elapsed.TotalSeconds:F0} per_second={total / elapsed.TotalSeconds:F0} failed={_failed}");
    }

    private int Replay()
    {
        using var scheduler = new Scheduler();
        Case c = Cases()[0];
        var trace = new List<string>();
        Exploration result = scheduler.Explore(c.Create(), new ReplayStrategy(Choices.Parse(arguments.Replay!)), trace);
        trace.ForEach(output.WriteLine);
        output.WriteLine(result.Failure is null ? "nothing failed" : result.Failure.ToString());
        return result.Failure is null ? 0 : 1;
    }

    private int Twins()
    {
        using var scheduler = new Scheduler();
        foreach (Case twin in Catalogue.Twins.Where(twin => arguments.Scenario is null || twin.Name == arguments.Scenario))
        {
            Exploration sampled = scheduler.Explore(twin.Create(), new PctStrategy(arguments.Seed, TwinSchedulesMax, StepsOf(scheduler, twin)));
            Exploration enumerated = scheduler.Explore(twin.Create(), new ExhaustiveStrategy(TwinPreemptions));
            _failed |= sampled.Failure is null;
            output.WriteLine($"{twin.Name,-48} random: {Told(sampled),-12} enumerated: {Told(enumerated),-12} {(sampled.Failure ?? enumerated.Failure)?.Message}");
        }

        return _failed ? 1 : 0;
    }

    private static string Told(Exploration result) => result.Failure is null ? $"not in {result.Schedules:N0}" : $"{result.Schedules:N0}";
}
