using System.Globalization;

namespace MetaStore.Load;

/// <summary>CPU seconds and memory of processes, from /proc.</summary>
internal sealed record Usage(double DriverSeconds, double[] ServerSeconds, long[] ServerRssBytes)
{
    private const double TicksPerSecond = 100; // of /proc, on every Linux of today
    private const int UserField = 11, SystemField = 12, RssField = 21; // counted behind the name, which may hold blanks

    /// <exception cref="IOException">There is no such process.</exception>
    public static Usage Read(IReadOnlyList<int> pids)
    {
        (double seconds, long rss)[] servers = [.. pids.Select(pid => Read(pid.ToString(CultureInfo.InvariantCulture)))];
        return new Usage(Read("self").Seconds, [.. servers.Select(server => server.seconds)], [.. servers.Select(server => server.rss)]);
    }

    private static (double Seconds, long RssBytes) Read(string pid)
    {
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        double ticks = double.Parse(fields[UserField], CultureInfo.InvariantCulture) + double.Parse(fields[SystemField], CultureInfo.InvariantCulture);
        return (ticks / TicksPerSecond, long.Parse(fields[RssField], CultureInfo.InvariantCulture) * Environment.SystemPageSize);
    }
}
