using System.Globalization;

namespace MetaStore.Server.Checking;

/// <summary>How much memory a server takes, by its own word: its metrics.</summary>
internal static class ResidentMemory
{
    private const string Metric = "process_resident_memory_bytes ";

    /// <summary>In bytes.</summary>
    /// <exception cref="RefusalException">The server does not tell.</exception>
    public static async Task<double> OfAsync(string endpoint, CancellationToken cancel)
    {
        string address = endpoint.Contains("://", StringComparison.Ordinal) ? endpoint : $"http://{endpoint}";
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        try
        {
            string metrics = await http.GetStringAsync(new Uri($"{address.TrimEnd('/')}/metrics"), cancel);
            return Parse(metrics) ?? throw new RefusalException(ExitCode.Failed, $"{address}/metrics does not have {Metric.TrimEnd()}");
        }
        catch (Exception e) when (e is HttpRequestException or UriFormatException)
        {
            throw new RefusalException(ExitCode.Failed, $"{address}/metrics cannot be read: {e.Message}", e);
        }
    }

    internal static double? Parse(string metrics)
    {
        string? line = metrics.Split('\n').FirstOrDefault(line => line.StartsWith(Metric, StringComparison.Ordinal));
        return line is not null && double.TryParse(line[Metric.Length..], NumberStyles.Float, CultureInfo.InvariantCulture, out double bytes) ? bytes : null;
    }
}
