using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Chaos;

/// <summary>
/// Three nodes, each a real process, with a proxy in front of each client port and each peer port. What runs the cluster asks the nodes
/// directly; the clients of the workload and the peers go through the proxies.
/// </summary>
internal sealed class ChaosCluster : IAsyncDisposable
{
    public const int Size = 3;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly TestDirectory _directory = new();
    private readonly ChaosOptions _options;
    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;
    private readonly int[] _clientProxyPorts;
    private readonly int[] _peerProxyPorts;
    private readonly LinkProxy[] _clientProxies;
    private readonly LinkProxy[] _peerProxies;
    private readonly ServerProcess?[] _nodes = new ServerProcess?[Size];
    private readonly bool[] _isPaused = new bool[Size];
    private readonly ulong[] _ids = new ulong[Size];
    private readonly MetaStoreClient[] _direct;

    private ChaosCluster(ChaosOptions options)
    {
        _options = options;
        int[] ports = FreePorts.Take(4 * Size);
        _clientPorts = ports[..Size];
        _peerPorts = ports[Size..(2 * Size)];
        _clientProxyPorts = ports[(2 * Size)..(3 * Size)];
        _peerProxyPorts = ports[(3 * Size)..];
        _clientProxies = [.. Nodes.Select(node => LinkProxy.OfAnybody(_clientProxyPorts[node], _clientPorts[node]))];
        _peerProxies = [.. Nodes.Select(node => LinkProxy.OfPeers(_peerProxyPorts[node], _peerPorts[node]))];
        _direct = [.. Nodes.Select(node => MetaStoreClient.Connect(new MetaStoreClientOptions
        {
            Endpoints = [$"127.0.0.1:{_clientPorts[node]}"],
            RequestTimeout = TimeSpan.FromSeconds(5),
            BackoffMax = TimeSpan.FromMilliseconds(50),
        }))];
    }

    public static IEnumerable<int> Nodes => Enumerable.Range(0, Size);

    /// <summary>Where the workload's clients connect, node by node.</summary>
    public IReadOnlyList<string> Endpoints => [.. _clientProxyPorts.Select(port => $"127.0.0.1:{port}")];

    public static async Task<ChaosCluster> StartAsync(ChaosOptions options)
    {
        var cluster = new ChaosCluster(options);
        try
        {
            await Task.WhenAll(Nodes.Select(cluster.StartNodeAsync));
            foreach (int node in Nodes)
            {
                cluster._ids[node] = (await cluster._direct[node].StatusAsync()).Header.NodeId;
            }

            await cluster.WaitUntilWellAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks this node alone, past the proxies.</summary>
    public IMetaStore Node(int node) => _direct[node];

    /// <summary>Starts a node that does not run, on the data it left; fails if it refuses to start.</summary>
    public async Task StartNodeAsync(int node)
    {
        string members = string.Join(',', Nodes.Select(i => $"n{i}=http://127.0.0.1:{_peerProxyPorts[i]}"));
        _nodes[node] = await ServerProcess.StartAsync(
        [
            "--name", $"n{node}", "--data-dir", _directory.Of($"n{node}"), "--initial-cluster", members, "--initial-cluster-token", "chaos",
            "--listen-client-urls", $"http://127.0.0.1:{_clientPorts[node]}", "--listen-peer-urls", $"http://127.0.0.1:{_peerPorts[node]}",
            "--heartbeat-interval", $"{_options.HeartbeatMilliseconds}", "--election-timeout", $"{_options.ElectionMilliseconds}",
            "--snapshot-count", $"{_options.SnapshotCount}",
        ]);
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync(int node)
    {
        ServerProcess killed = _nodes[node]!;
        _nodes[node] = null;
        await killed.Child.KillAsync();
        await killed.DisposeAsync();
    }

    public async Task PauseAsync(int node)
    {
        _isPaused[node] = true;
        await _nodes[node]!.Child.SignalAsync("STOP");
    }

    public async Task ResumeAsync(int node)
    {
        await _nodes[node]!.Child.SignalAsync("CONT");
        _isPaused[node] = false;
    }

    /// <summary>What one node sends to another no longer arrives.</summary>
    public void CutPeers(int from, int to, LinkCut cut) => _peerProxies[to].Cut(_ids[from], cut);

    public void CutClients(int node, LinkCut cut, LinkDirections directions) => _clientProxies[node].Cut(LinkProxy.Anybody, cut, directions);

    public void HealLinks()
    {
        foreach (LinkProxy proxy in _peerProxies.Concat(_clientProxies))
        {
            proxy.Heal();
        }
    }

    /// <summary>Waits until all nodes answer, agree on who leads, and have applied what was committed; returns who leads.</summary>
    public async Task<int> WaitUntilWellAsync()
    {
        int leader = -1;
        await Deadline.UntilAsync(
            async () =>
            {
                StatusResponse?[] all = await Task.WhenAll(Nodes.Select(TryStatusAsync));
                ulong committed = all.Max(status => status?.CommitIndex ?? 0);
                bool isWell = all.All(status => status is not null && status.LeaderId != 0 && status.LeaderId == all[0]!.LeaderId && status.AppliedIndex >= committed);
                leader = isWell ? Array.FindIndex(all, status => status!.LeaderId == status.Header.NodeId) : -1;
                return leader >= 0;
            },
            "all nodes are up, agree on the leader and have applied what is committed",
            s_patience);
        return leader;
    }

    /// <summary>The last lines that each running node has printed.</summary>
    public string DescribeNodes() => string.Join('\n', Nodes.Select(node =>
        $"n{node} ({_ids[node]:x16}): " + (_nodes[node] is { } process
            ? string.Join('\n', (process.Child.Output + process.Child.Errors).Split('\n').TakeLast(15))
            : "does not run")));

    public async Task<int[]> StopAllAsync() => await Task.WhenAll(_nodes.Select(node => node!.StopAsync()));

    public async ValueTask DisposeAsync()
    {
        foreach (MetaStoreClient client in _direct)
        {
            await client.DisposeAsync();
        }

        foreach (ServerProcess node in _nodes.OfType<ServerProcess>())
        {
            await node.DisposeAsync();
        }

        foreach (LinkProxy proxy in _peerProxies.Concat(_clientProxies))
        {
            await proxy.DisposeAsync();
        }

        _directory.Dispose();
    }

    private async Task<StatusResponse?> TryStatusAsync(int node)
    {
        if (_nodes[node] is not { } process || _isPaused[node])
        {
            return null;
        }

        if (process.Child.HasExited)
        {
            throw new InvalidOperationException($"n{node} has ended by itself: {process.Child.Output}{process.Child.Errors}");
        }

        try
        {
            return await _direct[node].StatusAsync();
        }
        catch (MetaStoreException)
        {
            return null;
        }
    }
}
