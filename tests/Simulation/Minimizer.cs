namespace MetaStore.Simulation;

/// <summary>
/// Takes away from a failing run whatever it fails without: one kind of fault after the other, then clients, keys, nodes, operations. What is
/// left is what matters, or close to it. Each try is a whole run; a try that fails in another way, with other words but for their numbers, counts as one that does not fail.
/// </summary>
internal sealed class Minimizer(RunOptions failing, SimulationFailure failure, Func<RunOptions, SimulationFailure?> run)
{
    private static readonly Func<RunOptions, RunOptions>[] s_steps =
    [
        options => options with { MembershipChanges = false },
        options => options with { Watchers = 0 },
        options => options with { LeaseClients = 0 },
        options => options with { Sessions = false },
        options => options with { Witnesses = false },
        options => options with { Priorities = false },
        options => options with { MixedTimeouts = false },
        options => options with { Lease = false },
        options => options with { BitRot = false },
        options => options with { MisdirectedWrites = false },
        options => options with { Reformats = false },
        options => options with { DiskStalls = false },
        options => options with { ClockJumps = false },
        options => options with { DiskErrors = false },
        options => options with { LeaderHunt = false },
        options => options with { Pauses = false },
        options => options with { Partitions = false },
        options => options with { Crashes = false },
        options => options with { ClockDriftMax = 0 },
        options => options with { DuplicateProbability = 0 },
        options => options with { LossProbability = 0 },
        options => options with { CompactProbability = 0, CompactToNewest = false },
        options => options with { RevisionsKept = 0, AgeKept = 0 },
        options => options with { DelayMax = VirtualTime.Millisecond },
        options => options with { DiskDelayMax = VirtualTime.Millisecond },
        options => options with { Groups = 1 },
        options => options with { Groups = Math.Min(options.Groups, 2) },
        options => options with { Nodes = Math.Min(options.Nodes, 3) },
        options => options with { Nodes = 1 },
        options => options with { Clients = Math.Max(1, options.Clients / 2) },
        options => options with { Keys = 1 },
        options => options with { BatchOperations = 1 },
        options => options with { ValueBytesMax = 40 },
        options => options with { Operations = Math.Max(20, options.Operations / 2) },
        options => options with { Operations = Math.Max(20, options.Operations * 9 / 10) },
    ];

    /// <summary>Runs so far.</summary>
    public int Runs { get; private set; }

    /// <summary>The failure of the smallest run.</summary>
    public SimulationFailure? Failure { get; private set; }

    public RunOptions Shrink()
    {
        RunOptions smallest = failing;
        bool shrunk = true;
        while (shrunk)
        {
            shrunk = false;
            foreach (Func<RunOptions, RunOptions> step in s_steps)
            {
                RunOptions smaller = step(smallest);
                if (smaller != smallest && StillFails(smaller))
                {
                    smallest = smaller;
                    shrunk = true;
                }
            }
        }

        return smallest;
    }

    private bool StillFails(RunOptions options)
    {
        Runs++;
        SimulationFailure? tried = run(options);
        if (tried?.Kind != failure.Kind || WordsOf(tried) != WordsOf(failure))
        {
            return false;
        }

        Failure = tried;
        return true;
    }

    /// <summary>What went wrong, whichever node, term or index it was.</summary>
    private static string WordsOf(SimulationFailure failure) => string.Concat(failure.Message.Split(':')[0].Where(letter => !char.IsAsciiDigit(letter)));
}
