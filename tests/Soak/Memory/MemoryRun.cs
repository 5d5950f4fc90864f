using System.Globalization;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Soak;

/// <summary>
/// A server with automatic compaction, overwritten all the while. What it keeps must not grow: neither memory nor disk follows the number of writes, only what
/// is kept.
/// </summary>
internal sealed class MemoryRun(MemoryOptions options, TextWriter output)
{
    private const double GrowthMax = 0.05;
    private static readonly TimeSpan s_sampling = TimeSpan.FromSeconds(2);

    /// <summary>True where memory is level and every key has its last value.</summary>
    public async Task<bool> RunAsync()
    {
        using TestDirectory? own = options.DataDirectory is null ? new TestDirectory() : null;
        string data = options.DataDirectory ?? own!.Of("data");
        await using ServerProcess server = await ServerProcess.StartAsync(
        [
            "--data-dir", data, "--listen-client-urls", "http://127.0.0.1:0", "--listen-peer-urls", "http://127.0.0.1:0",
            "--auto-compaction-mode", "revision", "--auto-compaction-retention", "10000",
        ]);
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [server.Endpoint] });
        int share = options.Keys / options.Writers;
        Overwriter[] writers = [.. Enumerable.Range(0, options.Writers).Select(i => new Overwriter(
            client, i * share, i == options.Writers - 1 ? options.Keys - (i * share) : share, (options.Rate + options.Writers - 1) / options.Writers))];
        using var metrics = new HttpClient { BaseAddress = new Uri($"http://{server.Endpoint}") };
        (double settled, double last) = await WriteAsync(writers, server.Child.Id, data, metrics);
        int wrong = (await Task.WhenAll(writers.Select(writer => writer.CountWrongAsync()))).Sum();
        double growth = (last / settled) - 1;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"minutes={options.Minutes} keys={options.Keys} puts={writers.Sum(writer => writer.Puts)} wrong={wrong} rss_settled_kib={settled:F0} rss_end_kib={last:F0} growth={growth:P2}"));
        return wrong == 0 && growth <= GrowthMax;
    }

    /// <summary>The resident memory, in KiB, on average: around the minute at which it counts as settled, and at the end. Each minute says as well what of it the store has, and the managed heap, as the server tells it.</summary>
    private async Task<(double Settled, double Last)> WriteAsync(Overwriter[] writers, int processId, string data, HttpClient metrics)
    {
        using var stop = new CancellationTokenSource();
        using var filled = new CountdownEvent(writers.Length);
        Task[] writing = [.. writers.Select(writer => writer.RunAsync(() => filled.Signal(), stop.Token))];
        await Deadline.UntilAsync(() => filled.IsSet || Array.Exists(writing, task => task.IsFaulted), "all keys are written", TimeSpan.FromMinutes(30));
        var minutes = new List<double>();
        using var clock = new PeriodicTimer(s_sampling);
        while (minutes.Count < options.Minutes && !Array.Exists(writing, task => task.IsFaulted))
        {
            long before = writers.Sum(writer => writer.Puts);
            var samples = new List<long>();
            for (int i = 0; i < TimeSpan.FromMinutes(1) / s_sampling; i++)
            {
                await clock.WaitForNextTickAsync(CancellationToken.None);
                samples.Add(ResidentKib(processId));
            }

            minutes.Add(samples.Average());
            string figures = await metrics.GetStringAsync(new Uri("/metrics", UriKind.Relative));
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"minute={minutes.Count} puts={writers.Sum(writer => writer.Puts) - before} rss_kib={samples.Average():F0} rss_least_kib={samples.Min()} rss_most_kib={samples.Max()} store_kib={KibOf(figures, "metastore_store_memory_reserved_bytes")} managed_kib={KibOf(figures, "metastore_managed_heap_committed_bytes")} disk_kib={DiskKib(data)}"));
        }

        await stop.CancelAsync();
        await Task.WhenAll(writing);
        int settledFrom = options.SettledMinute - 1 - (options.WindowMinutes / 2);
        return (minutes.Skip(settledFrom).Take(options.WindowMinutes).Average(), minutes.TakeLast(options.WindowMinutes).Average());
    }

    private static long ResidentKib(int processId)
    {
        string line = File.ReadLines($"/proc/{processId}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan("VmRSS:".Length).TrimStart().ToString().Split(' ')[0], CultureInfo.InvariantCulture);
    }

    private static long KibOf(string figures, string name)
    {
        string line = figures.Split('\n').First(line => line.StartsWith(name + " ", StringComparison.Ordinal));
        return (long)(double.Parse(line.AsSpan(name.Length + 1), CultureInfo.InvariantCulture) / 1024);
    }

    private static long DiskKib(string directory) => new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories)
        .Sum(file => file.Exists ? file.Length : 0) / 1024;
}
