using System.Diagnostics;
using System.Globalization;

namespace MetaStore.Simulation;

/// <summary>Runs seeds, several at a time, each on one thread; reports what failed and how to see it again.</summary>
internal sealed class Runner(Arguments arguments)
{
    private const int ProgressEvery = 1000;

    private readonly Lock _gate = new();
    private ulong _next = arguments.From;
    private ulong _seeds;
    private long _operations;
    private long _resumed;
    private readonly SortedDictionary<string, int> _faults = new(StringComparer.Ordinal);
    private long _told;
    private long _watchesResumed;
    private readonly List<long> _leaderless = [];
    private int _retired;
    private int _lost;
    private long _agreed;
    private int _unanswered;
    private int _replaced;
    private int _brokenOnce;
    private int _compared;
    private int _repeated;
    private double _hours;
    private int _failures;
    private int _undecided;
    private int _repairs;
    private int _exitCode;

    public int Run()
    {
        var watch = Stopwatch.StartNew();
        Thread[] threads = [.. Enumerable.Range(0, arguments.Jobs).Select(i => new Thread(RunSeeds, 16 << 20) { Name = $"simulation-{i}" })];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        if (_undecided > 0)
        {
            Console.WriteLine($"undecided: {_undecided} key histories were too entangled for the search and are checked by their revisions alone");
        }

        Console.WriteLine($"faults by kind: {string.Join(' ', _faults.Where(fault => fault.Value > 0).Select(fault => $"{fault.Key}={fault.Value}"))}");
        Console.WriteLine($"run twice, and compared by the hash of all that happened: {_repeated}");
        Console.WriteLine($"directories repaired: {_repairs}; snapshot transfers that broke off and went on where they had stopped: {_resumed}");
        Console.WriteLine($"voters replaced in one step: {_replaced}; refused for good: {_retired}, of them {_lost} beyond repair; states that members compared and found equal: {_agreed}; unanswered after all had healed, and asked anew: {_unanswered}");
        Console.WriteLine($"runs at whose end one thing was broken: {_brokenOnce}; in which each member compared its last state: {_compared}");
        Console.WriteLine($"events that watchers were told of: {_told}, over {_watchesResumed} times that a watch was taken up again");
        Console.WriteLine(DescribeLeaderless());
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"seeds={_seeds} ops={_operations} faults={_faults.Values.Sum()} simulated_hours={_hours:F1} failures={_failures} seconds={watch.Elapsed.TotalSeconds:F1}"));
        return _exitCode;
    }

    private string DescribeLeaderless()
    {
        _leaderless.Sort();
        long At(double share) => _leaderless.Count == 0 ? 0 : _leaderless[(int)(share * (_leaderless.Count - 1))] / VirtualTime.Millisecond;
        return $"without a leader after all had healed, in milliseconds: median={At(0.5)} p99={At(0.99)} longest={At(1)}";
    }

    private void RunSeeds()
    {
        while (TakeSeed() is ulong seed)
        {
            Outcome outcome = RunSeed(seed, arguments.Trace ? Console.Out : null);
            if (outcome.Failure is null && arguments.RepeatCheck > 0 && seed % arguments.RepeatCheck == 0)
            {
                outcome = Repeat(seed, outcome);
            }

            Count(seed, outcome);
        }
    }

    private ulong? TakeSeed()
    {
        lock (_gate)
        {
            bool done = _next >= arguments.From + arguments.Seeds || (arguments.UntilFailure && _failures > 0);
            return done ? null : _next++;
        }
    }

    private Outcome Repeat(ulong seed, Outcome first)
    {
        Outcome second = RunSeed(seed, null);
        Interlocked.Increment(ref _repeated);
        return second.TraceHash == first.TraceHash
            ? first
            : first with { Failure = new SimulationFailure(FailureKind.Crash, $"two runs differ: trace hashes {first.TraceHash:x16} and {second.TraceHash:x16}") };
    }

    private Outcome RunSeed(ulong seed, TextWriter? output) => Run(seed, OptionsOf(seed), output);

    private RunOptions OptionsOf(ulong seed)
    {
        RunOptions options = Drawn(seed);
        if (arguments.Drift is { } percent)
        {
            options = options with { ClockDriftMax = percent / 100.0, ClocksAtExtremes = true };
        }

        return arguments.With is null ? options : options.Override(arguments.With);
    }

    private RunOptions Drawn(ulong seed) => arguments.Reads ? RunOptions.DrawReads(seed) : RunOptions.Draw(seed);

    /// <summary>What is needed besides the seed to run it again.</summary>
    private string Replay => (arguments.Reads ? " --reads" : string.Empty)
        + (arguments.Drift is { } percent ? $" --drift {percent}" : string.Empty)
        + (arguments.With is { } with ? $" --with {with}" : string.Empty);

    private static Outcome Run(ulong seed, RunOptions options, TextWriter? output)
    {
        var trace = new Trace(output);
        var world = new World(seed, options, trace);
        SimulationFailure? failure = null;
        try
        {
            world.Run();
        }
        catch (SimulationFailure error)
        {
            failure = error;
        }
#pragma warning disable CA1031 // Whatever a run throws is a finding, and the other seeds go on.
        catch (Exception error)
#pragma warning restore CA1031
        {
            failure = new SimulationFailure(FailureKind.Crash, error.Message, error);
        }

        return new Outcome(options, trace.Hash, world.Groups.Sum(group => group.History.Entries.Count), world.Groups.Sum(group => group.History.Undecided), world.Faults, world.SnapshotsResumed, world.Repairs, world.EventsTold, world.WatchesResumed, world.LeaderlessTime, world.Time.Now, new Tally(world.Nodes.Count(node => node.IsRetired), world.Nodes.Count(node => node.IsLost), world.StatesAgreed, world.Unanswered, world.Replaced, world.WasBrokenOnce ? 1 : 0, world.WereStatesCompared ? 1 : 0), failure);
    }

    private void Count(ulong seed, Outcome outcome)
    {
        lock (_gate)
        {
            _seeds++;
            _operations += outcome.Operations;
            _undecided += outcome.Undecided;
            foreach ((string kind, int count) in outcome.Faults)
            {
                _faults[kind] = _faults.GetValueOrDefault(kind) + count;
            }

            _resumed += outcome.SnapshotsResumed;
            _repairs += outcome.Repairs;
            _leaderless.Add(outcome.LeaderlessTime);
            _retired += outcome.Tally.Retired;
            _lost += outcome.Tally.Lost;
            _agreed += outcome.Tally.Agreed;
            _unanswered += outcome.Tally.Unanswered;
            _replaced += outcome.Tally.Replaced;
            _brokenOnce += outcome.Tally.BrokenOnce;
            _compared += outcome.Tally.Compared;
            _told += outcome.EventsTold;
            _watchesResumed += outcome.WatchesResumed;
            _hours += outcome.Time / (3600.0 * VirtualTime.Second);
            if (_seeds % ProgressEvery == 0)
            {
                Console.Error.WriteLine($"{_seeds} seeds, {_failures} failures");
            }

            if (arguments.Single)
            {
                Console.WriteLine($"seed={seed} trace_hash={outcome.TraceHash:x16}");
            }

            if (outcome.Failure is not null)
            {
                _failures++;
                _exitCode = _exitCode == 0 ? (int)outcome.Failure.Kind : Math.Min(_exitCode, (int)outcome.Failure.Kind);
                Report(seed, outcome, outcome.Failure);
            }
        }
    }

    private void Report(ulong seed, Outcome outcome, SimulationFailure failure)
    {
        Console.WriteLine($"FAILED seed={seed} kind={failure.Kind} at {outcome.Time / 1e9:F3} s: {failure.Message}");
        Console.WriteLine($"  commit: {BuildInfo.Commit}");
        Console.WriteLine($"  options: {outcome.Options}");
        Console.WriteLine($"  again: dotnet run -c Release --project tests/Simulation -- --seed {seed} --trace{Replay}");
        if (failure.InnerException is not null && (arguments.Single || failure.Kind == FailureKind.Crash))
        {
            Console.WriteLine($"  {failure.InnerException}");
        }

        if (arguments.Minimize)
        {
            Minimize(seed, outcome, failure);
        }
    }

    private void Minimize(ulong seed, Outcome outcome, SimulationFailure failure)
    {
        var minimizer = new Minimizer(outcome.Options, failure, options => Run(seed, options, null).Failure);
        RunOptions smallest = minimizer.Shrink();
        Console.WriteLine($"  smallest after {minimizer.Runs} runs: {(minimizer.Failure ?? failure).Message}");
        Console.WriteLine($"  again: dotnet run -c Release --project tests/Simulation -- --seed {seed} --trace{(arguments.Reads ? " --reads" : string.Empty)} --with {smallest.DifferencesFrom(Drawn(seed))}");
    }

    private sealed record Outcome(RunOptions Options, ulong TraceHash, int Operations, int Undecided, IReadOnlyDictionary<string, int> Faults, int SnapshotsResumed, int Repairs, long EventsTold, int WatchesResumed, long LeaderlessTime, long Time, Tally Tally, SimulationFailure? Failure);

    /// <param name="Retired">Nodes that were refused for good.</param>
    /// <param name="Lost">Of them, those that nobody could repair.</param>
    /// <param name="Agreed">States that a member compared with the others' and found equal.</param>
    /// <param name="Unanswered">Operations that got no answer though everything had healed.</param>
    /// <param name="Replaced">Learners that took a voter's place, through a joint configuration.</param>
    /// <param name="BrokenOnce">Runs at whose end one thing was broken, and only one.</param>
    /// <param name="Compared">Runs at whose end each member compared its state.</param>
    private readonly record struct Tally(int Retired, int Lost, long Agreed, int Unanswered, int Replaced, int BrokenOnce, int Compared);
}
