using System.Diagnostics;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>
/// The faults of one round, in an order that the seed gives. Most come alone, upon a cluster that is well; some come two at a time, and then
/// there may be no majority until they end.
/// </summary>
internal sealed class Nemesis(ChaosCluster cluster, LeaderProbe probe, ChaosOptions options, SimulationRandom random, ChaosReport report)
{
    private const double LeaderProbability = 0.6;
    private const double TwoProbability = 0.15;

    public async Task RunAsync(CancellationToken stop)
    {
        Queue<Func<int, Fault>> deck = Shuffle();
        while (deck.Count > 0)
        {
            await cluster.WaitUntilWellAsync();
            await Task.Delay(Between(options.GapMax / 10, options.GapMax), stop);
            int leader = await cluster.WaitUntilWellAsync();
            int victim = random.Chance(LeaderProbability) ? leader : random.Next(ChaosCluster.Size);
            var faults = new List<Fault> { deck.Dequeue()(victim) };
            if (random.Chance(TwoProbability) && deck.TryDequeue(out Func<int, Fault>? second))
            {
                faults.Add(second((victim + 1 + random.Next(ChaosCluster.Size - 1)) % ChaosCluster.Size));
            }

            await RunAsync(faults, leader, stop);
        }

        await cluster.WaitUntilWellAsync();
    }

    private async Task RunAsync(List<Fault> faults, int leader, CancellationToken stop)
    {
        foreach (Fault fault in faults)
        {
            await fault.InjectAsync(cluster);
            report.Count(fault);
        }

        // Of two faults at a time the second would be measured too, and how long it was made to last.
        long start = Stopwatch.GetTimestamp();
        bool isMeasured = faults.Count == 1 && faults[0].Victim == leader && faults[0].StopsLeader;
        Task<TimeSpan>? leaderBack = isMeasured ? probe.MeasureAsync(leader) : null;
        await Task.Delay(Between(options.FaultMax / 10, options.FaultMax), stop);
        foreach (Fault fault in faults)
        {
            await fault.UndoAsync(cluster);
        }

        string line = $"{string.Join(" and ", faults)}; leader n{leader}; {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms";
        if (leaderBack is not null)
        {
            TimeSpan time = await leaderBack;
            report.LeaderBack.Add(time);
            line += $"; writes answered after {time.TotalMilliseconds:F0} ms";
        }

        report.Note(line);
    }

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
