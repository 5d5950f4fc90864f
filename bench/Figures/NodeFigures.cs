using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Figures;

/// <summary>A whole embedded node, with log, Raft and threads, on the real disk.</summary>
internal sealed class NodeFigures(string directory)
{
    private const int Writers = 64;
    private static readonly TimeSpan s_duration = TimeSpan.FromSeconds(4);

    public IEnumerable<Figure> Watches()
    {
        double others = 0;
        double alone = 0;
        for (int round = 0; round < 2; round++)
        {
            // In turn, and the one that is held against the other first: what is compiled by then is to nobody's advantage.
            others += Run(async node =>
            {
                using var stop = new CancellationTokenSource();
                Task watching = WatchOthersAsync(node, 10_000, stop.Token);
                (double, double) puts = await MeasurePutsAsync(node);
                await stop.CancelAsync();
                await watching;
                return puts;
            }).Micros / 2;
            alone += Run(node => MeasurePutsAsync(node)).Micros / 2;
        }

        yield return new Figure("put_cpu_beside_10000_watchers", others, "us", alone);
        double events = Run(async node =>
        {
            using var stop = new CancellationTokenSource();
            var counts = new long[100];
            Task[] watching = [.. Enumerable.Range(0, counts.Length).Select(i => Task.Run(() => CountAsync(node, counts, i, stop.Token)))];
            await PutAsync(node, TimeSpan.FromSeconds(1));
            long before = counts.Sum();
            long begin = Stopwatch.GetTimestamp();
            long puts = await PutAsync(node, s_duration);
            double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
            double told = (counts.Sum() - before) / seconds;
            await stop.CancelAsync();
            await Task.WhenAll(watching);
            return (told, puts / seconds);
        }).Puts;
        yield return new Figure("events_to_100_watchers", events, "event/s", 2_000_000);
    }

    public IEnumerable<Figure> Leases()
    {
        const int leases = 100_000;
        const double period = 5;
        double share = Run(async node =>
        {
            await Parallel.ForAsync(1, leases + 1, new ParallelOptions { MaxDegreeOfParallelism = 1000 }, async (id, _) => await node.GrantLeaseAsync(new LeaseGrantRequest(60, id)));
            await RenewAsync(node, leases, period); // warms up
            TimeSpan before = Cpu();
            await RenewAsync(node, leases, period);
            return ((Cpu() - before).TotalSeconds / period, 0);
        }).Puts;
        yield return new Figure("cpu_of_100000_leases_renewed_each_5_s", 100 * share, "% of core", 5);
    }

    private static async Task RenewAsync(MetaStoreNode node, int leases, double period)
    {
        const int slices = 100;
        long begin = Stopwatch.GetTimestamp();
        var pending = new List<Task>();
        for (int slice = 0; slice < slices; slice++)
        {
            for (int id = 1 + (slice * leases / slices); id <= (slice + 1) * leases / slices; id++)
            {
                pending.Add(node.KeepLeaseAliveAsync(id).AsTask());
            }

            await Task.WhenAll(pending);
            pending.Clear();
            TimeSpan ahead = TimeSpan.FromSeconds((slice + 1) * period / slices) - Stopwatch.GetElapsedTime(begin);
            await Task.Delay(ahead > TimeSpan.Zero ? ahead : TimeSpan.Zero);
        }
    }

    private (double Puts, double Micros) Run(Func<MetaStoreNode, Task<(double Puts, double Micros)>> measure)
    {
        string data = Path.Combine(directory, "node");
        if (Directory.Exists(data))
        {
            Directory.Delete(data, recursive: true);
        }

        return RunAsync().GetAwaiter().GetResult();

        async Task<(double, double)> RunAsync()
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(data);
            await node.PutAsync(new PutRequest { Key = TestStore.Key(0), Value = new byte[1] });
            return await measure(node);
        }
    }

    /// <summary>Puts a second, and microseconds of processor time for each.</summary>
    private static async Task<(double Puts, double Micros)> MeasurePutsAsync(MetaStoreNode node)
    {
        await PutAsync(node, TimeSpan.FromSeconds(1));
        TimeSpan before = Cpu();
        long puts = await PutAsync(node, s_duration);
        return (puts / s_duration.TotalSeconds, (Cpu() - before).TotalMicroseconds / puts);
    }

    private static async Task<long> PutAsync(MetaStoreNode node, TimeSpan duration)
    {
        long puts = 0;
        long begin = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            byte[] value = new byte[TestStore.ValueBytes];
            while (Stopwatch.GetElapsedTime(begin) < duration)
            {
                await node.PutAsync(new PutRequest { Key = TestStore.Key(random.Next(10_000)), Value = value });
                Interlocked.Increment(ref puts);
            }
        })));
        return puts;
    }

    private static async Task CountAsync(MetaStoreNode node, long[] counts, int watcher, CancellationToken stop)
    {
        byte[] everything = [0];
        try
        {
            await foreach (WatchResponse response in node.WatchAsync(new WatchRequest { Key = everything, RangeEnd = everything }, stop))
            {
                Interlocked.Add(ref counts[watcher], response.Events.Count);
            }
        }
        catch (OperationCanceledException)
        {
            // Measured.
        }
    }

    private static Task WatchOthersAsync(MetaStoreNode node, int watchers, CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, watchers).Select(async i =>
    {
        try
        {
            await foreach (WatchResponse response in node.WatchAsync(new WatchRequest { Key = TestStore.Key(1_000_000 + i) }, stop))
            {
                _ = response;
            }
        }
        catch (OperationCanceledException)
        {
            // Measured.
        }
    }));

    private static TimeSpan Cpu()
    {
        using var self = Process.GetCurrentProcess();
        return self.TotalProcessorTime;
    }
}
