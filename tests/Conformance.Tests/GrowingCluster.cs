using System.Globalization;
using System.Text.Json;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Processes that become a cluster by the command line: the first is started alone, the others are added and join.</summary>
internal sealed class GrowingCluster : IAsyncDisposable
{
    private readonly int _electionMilliseconds;
    private readonly TestDirectory _directory = new();
    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;
    private readonly ServerProcess?[] _running;

    /// <param name="size">Processes.</param>
    /// <param name="electionMilliseconds">Election timeout of all of them.</param>
    public GrowingCluster(int size, int electionMilliseconds = 500)
    {
        _electionMilliseconds = electionMilliseconds;
        int[] ports = FreePorts.Take(2 * size);
        _clientPorts = ports[..size];
        _peerPorts = ports[size..];
        _running = new ServerProcess?[size];
    }

    public int Size => _running.Length;

    public bool IsUp(int node) => _running[node] is not null;

    public ChildProcess Child(int node) => _running[node]!.Child;

    public string DataDirectory(int node) => _directory.Of($"n{node}");

    public string Endpoint(int node) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_clientPorts[node]}");

    /// <summary>What --initial-cluster is to say for these members.</summary>
    public string ClusterText(params IEnumerable<int> nodes) => string.Join(',', nodes.Select(node => $"n{node}={PeerUrl(node)}"));

    /// <summary>Starts the founder, or a member again as it was started when the cluster was its own.</summary>
    public Task StartAloneAsync(int node) => StartAsync(node, "--initial-cluster", ClusterText(node));

    /// <summary>Starts a member of a cluster that others of the list belong to.</summary>
    public Task StartJoinedAsync(int node, params IEnumerable<int> members) =>
        StartAsync(node, "--initial-cluster-state", "existing", "--initial-cluster", ClusterText(members));

    /// <summary>A start that must fail: exit code and what it said.</summary>
    public async Task<(int ExitCode, string Errors)> StartRefusedAsync(int node, params string[] flags)
    {
        await using ServerProcess refused = ServerProcess.Launch(Arguments(node, flags));
        return (await refused.Child.WaitForExitAsync(), refused.Child.Errors);
    }

    /// <summary>Starts a node that runs, and says what is expected of it; then it is killed.</summary>
    public async Task StartStrangerAsync(int node, string expected, params string[] flags)
    {
        await using ServerProcess stranger = ServerProcess.Launch(Arguments(node, flags));
        await Deadline.UntilAsync(() => stranger.Child.Errors.Contains(expected, StringComparison.Ordinal), $"node {node} says \"{expected}\"");
        await stranger.Child.KillAsync();
    }

    /// <summary>Adds the next member through the founder, or through another, and starts it: its id.</summary>
    public async Task<ulong> AddAndStartAsync(int node, int through, params string[] flags)
    {
        string output = string.Empty;
        await Deadline.UntilAsync(
            async () =>
            {
                (int exitCode, output, _) = await RunAsync(["member", "add", $"n{node}", "--peer-urls", PeerUrl(node), "-w", "json", "--endpoints", Endpoint(through), .. flags]);
                return exitCode == 0;
            },
            $"member {node} may be added");
        await StartJoinedAsync(node, Enumerable.Range(0, node + 1));
        return JsonDocument.Parse(output).RootElement.GetProperty("member").GetUInt64();
    }

    public async Task AwaitVotersAsync(int count, int seenBy) => await Deadline.UntilAsync(
        async () => (await MembersAsync(seenBy)).Count(member => !member.IsLearner && member.Name.Length > 0) == count, $"{count} voters");

    public async Task KillAsync(int node)
    {
        await _running[node]!.Child.KillAsync();
        await ForgetAsync(node);
    }

    /// <summary>A process that has ended.</summary>
    public async Task ForgetAsync(int node)
    {
        await _running[node]!.DisposeAsync();
        _running[node] = null;
    }

    public Task<int> StopAsync(int node) => _running[node]!.StopAsync();

    public MetaStoreClient Client(params IEnumerable<int> nodes) => MetaStoreClient.Connect(new MetaStoreClientOptions
    {
        Endpoints = [.. nodes.Select(Endpoint)],
        RequestTimeout = Deadline.Generous,
    });

    public async Task<IReadOnlyList<Member>> MembersAsync(int node)
    {
        await using MetaStoreClient client = Client(node);
        return (await client.MembersAsync()).Members;
    }

    public async Task<StatusResponse> StatusAsync(int node)
    {
        await using MetaStoreClient client = Client(node);
        return await client.StatusAsync();
    }

    public static Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments) => ChildProcess.RunAsync([.. ProgramPath.Find(), .. arguments]);

    public static async Task CommandAsync(params string[] arguments)
    {
        (int exitCode, string _, string errors) = await RunAsync([.. arguments, "--command-timeout", "30s"]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: {errors}");
    }

    public static async Task RefusedAsync(string reason, params string[] arguments)
    {
        (int exitCode, string _, string errors) = await RunAsync([.. arguments, "--command-timeout", "10s"]);
        Assert.Equal(1, exitCode);
        Assert.Contains(reason, errors, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ServerProcess? server in _running)
        {
            if (server is not null)
            {
                await server.DisposeAsync();
            }
        }

        _directory.Dispose();
    }

    private string PeerUrl(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_peerPorts[node]}");

    private async Task StartAsync(int node, params string[] flags) => _running[node] = await ServerProcess.StartAsync(Arguments(node, flags));

    private string[] Arguments(int node, string[] flags) =>
    [
        "--name", $"n{node}", "--data-dir", DataDirectory(node), "--listen-client-urls", $"http://{Endpoint(node)}", "--listen-peer-urls", PeerUrl(node),
        "--heartbeat-interval", "50", "--election-timeout", _electionMilliseconds.ToString(CultureInfo.InvariantCulture), .. flags,
    ];
}
