using System.Diagnostics;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>
/// The faults of one round, in an order that the seed gives. Most come alone, upon a cluster that is well. Some come two at a time, and then there
/// may be no majority until they end. And some pairs are relays: the leader is hit at the moment when another node comes back, so that who elects
/// the next leader is one who was away.
/// </summary>
internal sealed class Nemesis(ChaosCluster cluster, LeaderProbe probe, ChaosOptions options, SimulationRandom random, ChaosReport report)
{
    private const double LeaderProbability = 0.6;
    private const double TwoProbability = 0.1;
    private const double RelayProbability = 0.15;

    public async Task RunAsync(CancellationToken stop)
    {
        Queue<Func<int, Fault>> deck = Shuffle();
        while (deck.Count > 0)
        {
            await cluster.WaitUntilWellAsync();
            await Task.Delay(Between(options.GapMax / 10, options.GapMax), stop);
            int leader = await cluster.WaitUntilWellAsync();
            double kind = deck.Count > 1 ? random.NextDouble() : 1;
            await (kind switch
            {
                < RelayProbability => RelayAsync(deck.Dequeue()(Other(leader)), deck.Dequeue()(leader), stop),
                < RelayProbability + TwoProbability => BothAsync(deck.Dequeue(), deck.Dequeue(), stop),
                _ => OneAsync(deck.Dequeue()(random.Chance(LeaderProbability) ? leader : Other(leader)), leader, stop),
            });
        }

        await cluster.WaitUntilWellAsync();
    }

    private async Task OneAsync(Fault fault, int leader, CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp();
        await InjectAsync(fault);
        Task<TimeSpan>? leaderBack = fault.Victim == leader && fault.StopsLeader ? probe.MeasureAsync(leader, start) : null;
        await LastAsync(stop);
        string elected = string.Empty;
        if (leaderBack is not null)
        {
            // Waited for: the former leader, back again, would answer in place of one that is yet to be elected.
            TimeSpan time = await leaderBack;
            report.LeaderBack.Add(time);
            elected = $"; writes answered after {time.TotalMilliseconds:F0} ms";
        }

        await fault.UndoAsync(cluster);
        report.Note($"{fault}; leader n{leader}; {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms{elected}");
    }

    /// <summary>Not measured: how long writes are not answered is, without a majority, how long the faults last.</summary>
    private async Task BothAsync(Func<int, Fault> first, Func<int, Fault> second, CancellationToken stop)
    {
        int victim = random.Next(ChaosCluster.Size);
        Fault[] faults = [first(victim), second(Other(victim))];
        foreach (Fault fault in faults)
        {
            await InjectAsync(fault);
        }

        await LastAsync(stop);
        foreach (Fault fault in faults)
        {
            await fault.UndoAsync(cluster);
        }

        report.Note($"{faults[0]} and {faults[1]}");
    }

    private async Task RelayAsync(Fault follower, Fault leader, CancellationToken stop)
    {
        await InjectAsync(follower);
        await LastAsync(stop);
        if (follower is Partition)
        {
            // Healing opens all links, those of a partition that has just begun too.
            await follower.UndoAsync(cluster);
            await InjectAsync(leader);
        }
        else
        {
            await InjectAsync(leader);
            await follower.UndoAsync(cluster);
        }

        await LastAsync(stop);
        await leader.UndoAsync(cluster);
        report.Note($"{follower}, and as it ends {leader}, which led");
    }

    private async Task InjectAsync(Fault fault)
    {
        await fault.InjectAsync(cluster);
        report.Count(fault);
    }

    private Task LastAsync(CancellationToken stop) => Task.Delay(Between(options.FaultMax / 10, options.FaultMax), stop);

    private int Other(int node) => (node + 1 + random.Next(ChaosCluster.Size - 1)) % ChaosCluster.Size;

    private Queue<Func<int, Fault>> Shuffle()
    {
        Func<int, Fault>[] deck =
        [
            .. Enumerable.Repeat<Func<int, Fault>>(victim => new Kill(victim), options.Kills),
            .. Enumerable.Repeat<Func<int, Fault>>(victim => new Pause(victim), options.Pauses),
            .. Enumerable.Repeat<Func<int, Fault>>(victim => Partition.Draw(victim, random), options.Partitions),
        ];
        random.Shuffle(deck);
        return new Queue<Func<int, Fault>>(deck);
    }

    private TimeSpan Between(TimeSpan shortest, TimeSpan longest) => new(random.Between(shortest.Ticks, longest.Ticks));
}
