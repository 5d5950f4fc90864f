using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Three nodes, each a real process, that can be killed and started again.</summary>
internal sealed class ProcessCluster : IAsyncDisposable
{
    private const int Size = 3;

    private readonly TestDirectory _directory = new();
    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;
    private readonly ServerProcess?[] _nodes = new ServerProcess?[Size];
    private readonly MetaStoreClient[] _clients;
    private readonly string[] _flags;

    private ProcessCluster(string[] flags)
    {
        _flags = flags;
        int[] ports = FreePorts.Take(2 * Size);
        _clientPorts = ports[..Size];
        _peerPorts = ports[Size..];
        _clients = [.. Endpoints.Select(endpoint => MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [endpoint], RequestTimeout = TimeSpan.FromSeconds(20) }))];
    }

    public IReadOnlyList<string> Endpoints => [.. _clientPorts.Select(port => $"127.0.0.1:{port}")];

    /// <param name="flags">Further flags of each node.</param>
    public static async Task<ProcessCluster> StartAsync(params string[] flags)
    {
        var cluster = new ProcessCluster(flags);
        await Task.WhenAll(Enumerable.Range(0, Size).Select(cluster.StartNodeAsync));
        await cluster.FindLeaderAsync();
        return cluster;
    }

    /// <summary>A client that asks this node alone.</summary>
    public IMetaStore Node(int node) => _clients[node];

    public async Task StartNodeAsync(int node) => _nodes[node] = await ServerProcess.StartAsync(Arguments(node));

    /// <summary>Where a node has its data.</summary>
    public string DataDirectory(int node) => _directory.Of($"n{node}");

    /// <summary>The process of a node that runs.</summary>
    public ChildProcess Child(int node) => _nodes[node]!.Child;

    /// <summary>Starts a node that is to refuse; its exit code and what it said.</summary>
    /// <param name="flags">Flags beside those that it has otherwise.</param>
    public async Task<(int ExitCode, string Errors)> StartRefusedAsync(int node, params string[] flags)
    {
        (int exitCode, _, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "serve", .. Arguments(node), .. flags]);
        return (exitCode, errors);
    }

    /// <summary>kill -9, and forget.</summary>
    public async Task KillAsync(int node)
    {
        await _nodes[node]!.Child.KillAsync();
        await _nodes[node]!.DisposeAsync();
        _nodes[node] = null;
    }

    private string[] Arguments(int node)
    {
        string members = string.Join(',', Enumerable.Range(0, Size).Select(i => $"n{i}=http://127.0.0.1:{_peerPorts[i]}"));
        return
        [
            "--name", $"n{node}", "--data-dir", DataDirectory(node), "--initial-cluster", members, "--initial-cluster-token", "conformance",
            "--listen-client-urls", $"http://{Endpoints[node]}", "--listen-peer-urls", $"http://127.0.0.1:{_peerPorts[node]}", .. _flags,
        ];
    }

    public async Task<int[]> StopAllAsync() => await Task.WhenAll(_nodes.Select(node => node!.StopAsync()));

    /// <summary>The node that says itself that it leads.</summary>
    public async Task<int> FindLeaderAsync()
    {
        int leader = -1;
        await Deadline.UntilAsync(
            async () =>
            {
                for (int node = 0; node < Size && leader < 0; node++)
                {
                    StatusResponse? status = await TryStatusAsync(node);
                    leader = status is not null && status.LeaderId == status.Header.NodeId ? node : leader;
                }

                return leader >= 0;
            },
            "a node leads");
        return leader;
    }

    public async Task<StatusResponse?> TryStatusAsync(int node)
    {
        try
        {
            return _nodes[node] is null ? null : await _clients[node].StatusAsync();
        }
        catch (MetaStoreException)
        {
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (MetaStoreClient client in _clients)
        {
            await client.DisposeAsync();
        }

        foreach (ServerProcess? node in _nodes)
        {
            if (node is not null)
            {
                await node.DisposeAsync();
            }
        }

        _directory.Dispose();
    }
}
