using System.Text.RegularExpressions;

namespace MetaStore.Testing.Processes;

/// <summary>A running "metastore serve".</summary>
public sealed class ServerProcess : IAsyncDisposable
{
    private static readonly Regex s_serves = new(@"^metastore \S+ serves: .*clients http://(?<endpoint>[^ ,]+).* seed \d+$", RegexOptions.Multiline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    private ServerProcess(ChildProcess child)
    {
        Child = child;
    }

    public ChildProcess Child { get; }

    /// <summary>host:port of its clients; empty before it serves.</summary>
    public string Endpoint { get; private set; } = string.Empty;

    /// <summary>Starts it and returns at once.</summary>
    public static ServerProcess Launch(IReadOnlyList<string> arguments, IReadOnlyList<string>? wrapper = null) =>
        new(ChildProcess.Start([.. wrapper ?? [], .. ProgramPath.Find(), "serve", .. arguments]));

    /// <summary>Starts a single node on a free port and returns when it serves.</summary>
    public static Task<ServerProcess> StartSingleAsync(string dataDirectory, IReadOnlyList<string>? wrapper = null) =>
        StartAsync(SingleArguments(dataDirectory), wrapper);

    public static async Task<ServerProcess> StartAsync(IReadOnlyList<string> arguments, IReadOnlyList<string>? wrapper = null)
    {
        ServerProcess server = Launch(arguments, wrapper);
        if (!await server.WaitUntilItServesAsync())
        {
            int exitCode = await server.Child.WaitForExitAsync();
            string errors = server.Child.Errors;
            await server.DisposeAsync();
            throw new InvalidOperationException($"The server ended at its start with {exitCode}: {errors}");
        }

        return server;
    }

    /// <summary>Arguments of a single node: quick elections, so that tests need not wait for them.</summary>
    public static string[] SingleArguments(string dataDirectory) =>
        ["--data-dir", dataDirectory, "--listen-client-urls", "http://127.0.0.1:0", "--listen-peer-urls", "http://127.0.0.1:0", "--heartbeat-interval", "20", "--election-timeout", "100"];

    /// <summary>True when it serves, false when it ended before that.</summary>
    public async Task<bool> WaitUntilItServesAsync()
    {
        await Deadline.UntilAsync(() => s_serves.IsMatch(Child.Output) || Child.HasExited, "the server serves or ends");
        if (!s_serves.IsMatch(Child.Output))
        {
            await Child.WaitForExitAsync(); // It may have served for a moment: only now has all that it said been read.
        }

        Match match = s_serves.Match(Child.Output);
        Endpoint = match.Groups["endpoint"].Value;
        return match.Success;
    }

    /// <summary>Asks it to stop, and returns its exit code.</summary>
    public async Task<int> StopAsync()
    {
        await Child.SignalAsync("TERM");
        return await Child.WaitForExitAsync();
    }

    public ValueTask DisposeAsync() => Child.DisposeAsync();
}
