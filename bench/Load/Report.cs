using System.Diagnostics;
using System.Text.Json.Nodes;

namespace MetaStore.Load;

/// <summary>What a run comes to: exact percentiles over all samples, in milliseconds.</summary>
internal static class Report
{
    private static readonly (string Name, double Quantile)[] Quantiles =
        [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1)];

    public static JsonObject Make(LoadOptions options, IReadOnlyList<Worker> workers, double seconds, Usage before, Usage after)
    {
        long[] reads = Sorted(workers.SelectMany(worker => worker.Reads));
        long[] writes = Sorted(workers.SelectMany(worker => worker.Writes));
        long[] all = Sorted(reads.Concat(writes));
        double[] servers = [.. after.ServerSeconds.Zip(before.ServerSeconds, (a, b) => a - b)];
        var report = new JsonObject
        {
            ["op"] = options.Operation,
            ["clients"] = options.Clients,
            ["connections"] = options.Connections,
            ["endpoints"] = options.Endpoints.Count,
            ["key_size"] = options.KeySize,
            ["value_size"] = options.ValueSize,
            ["label"] = options.Label,
            ["seconds"] = Math.Round(seconds, 2),
            ["errors"] = workers.Sum(worker => worker.Errors),
            ["ops"] = all.Length,
            ["ops_per_s"] = (long)(all.Length / seconds),
        };
        Summarize(report, string.Empty, all);
        if (reads.Length > 0 && writes.Length > 0)
        {
            Summarize(report, "read_", reads);
            Summarize(report, "write_", writes);
        }

        report["cpu_driver"] = Math.Round((after.DriverSeconds - before.DriverSeconds) / seconds, 2);
        report["cpu_servers"] = new JsonArray([.. servers.Select(used => JsonValue.Create(Math.Round(used / seconds, 2)))]);
        report["server_us_per_op"] = all.Length == 0 ? 0 : Math.Round(servers.Sum() * 1e6 / all.Length, 2);
        report["driver_us_per_op"] = all.Length == 0 ? 0 : Math.Round((after.DriverSeconds - before.DriverSeconds) * 1e6 / all.Length, 2);
        report["server_rss_mb"] = new JsonArray([.. after.ServerRssBytes.Select(bytes => JsonValue.Create(bytes >> 20))]);
        return report;
    }

    private static long[] Sorted(IEnumerable<long> samples)
    {
        long[] sorted = [.. samples];
        Array.Sort(sorted);
        return sorted;
    }

    private static void Summarize(JsonObject report, string prefix, long[] sorted)
    {
        if (sorted.Length == 0)
        {
            return;
        }

        report[prefix + "mean_ms"] = Milliseconds(sorted.Average());
        foreach ((string name, double quantile) in Quantiles)
        {
            report[prefix + name] = Milliseconds(sorted[(int)((quantile * (sorted.Length - 1)) + 0.5)]);
        }
    }

    private static double Milliseconds(double ticks) => Math.Round(ticks * 1000 / Stopwatch.Frequency, 3);
}
