using System.Diagnostics;
using System.Globalization;

namespace MetaStore.Server.Checking;

/// <summary>Writes at a rate for a while, and judges as etcdctl does: at least nine tenths of the rate, nothing slower than half a second, a standard deviation of at most a tenth.</summary>
/// <param name="keys">What it writes.</param>
/// <param name="model">How much.</param>
/// <param name="duration">How long.</param>
internal sealed class PerformanceCheck(CheckKeys keys, LoadModel model, TimeSpan duration)
{
    private const double SlowestMax = 0.5;
    private const double DeviationMax = 0.1;
    private const double ShareMin = 0.9;

    private readonly WriteTimes _times = new();
    private long _tickets;
    private long _start;

    /// <summary>What it has to say, a line each, and whether all is well.</summary>
    public async Task<(IReadOnlyList<string> Lines, bool Passed)> RunAsync(CancellationToken cancel)
    {
        _start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, model.Clients).Select(client => WriteAsync(new Random(client), cancel)));
        return Judge(_times, Stopwatch.GetElapsedTime(_start), model.WritesPerSecond);
    }

    /// <summary>The verdict.</summary>
    internal static (IReadOnlyList<string> Lines, bool Passed) Judge(WriteTimes times, TimeSpan took, int writesPerSecond)
    {
        double rate = times.Count / Math.Max(took.TotalSeconds, 1e-9);
        List<string> lines = [.. times.DescribeErrors()];
        bool isFast = rate / writesPerSecond > ShareMin;
        lines.Add(isFast ? $"PASS: Throughput is {(long)rate + 1} writes/s" : $"FAIL: Throughput too low: {(long)rate + 1} writes/s");
        bool isQuick = times.Slowest <= SlowestMax;
        lines.Add(isQuick ? $"PASS: Slowest request took {Seconds(times.Slowest)}" : $"Slowest request took too long: {Seconds(times.Slowest)}");
        bool isEven = times.Deviation <= DeviationMax;
        lines.Add(isEven ? $"PASS: Stddev is {Seconds(times.Deviation)}" : $"Stddev too high: {Seconds(times.Deviation)}");
        bool passed = times.Errors.Count == 0 && isFast && isQuick && isEven;
        lines.Add(passed ? "PASS" : "FAIL");
        return (lines, passed);
    }

    private static string Seconds(double seconds) => seconds.ToString("0.000000", CultureInfo.InvariantCulture) + "s";

    /// <summary>One client: takes a ticket, waits for the time that it is for, writes, and so on until the time is over.</summary>
    private async Task WriteAsync(Random random, CancellationToken cancel)
    {
        while (true)
        {
            var due = TimeSpan.FromSeconds((double)(Interlocked.Increment(ref _tickets) - 1) / model.WritesPerSecond);
            if (due >= duration || Stopwatch.GetElapsedTime(_start) >= duration)
            {
                return;
            }

            TimeSpan pause = due - Stopwatch.GetElapsedTime(_start);
            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, cancel);
            }

            await keys.WriteAsync(random, _times, cancel);
        }
    }
}
