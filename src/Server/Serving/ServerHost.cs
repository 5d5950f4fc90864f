using System.Net;
using System.Net.Sockets;
using System.Reflection;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;
using MetaStore.Net;
using MetaStore.Server.Etcd;
using Microsoft.Extensions.Logging;

namespace MetaStore.Server.Serving;

/// <summary>
/// A node with its doors: recovers, listens, serves until it is asked to stop or the node fails, and takes itself down in order: doors first,
/// then the node, then the way to its peers.
/// </summary>
internal sealed class ServerHost
{
    /// <summary>How long requests under way may take when the node is asked to stop; longer than any of them may.</summary>
    private static readonly TimeSpan s_drainPatience = TimeSpan.FromSeconds(10);

    /// <summary>How long a failed node takes to tell its clients. Its loops may hang in the disk, so nothing is waited for beyond.</summary>
    private static readonly TimeSpan s_failurePatience = TimeSpan.FromMilliseconds(300);

    private readonly ILoggerFactory _loggers;
    private readonly TextWriter _output;
    private readonly ILogger _logger;
    private readonly ServiceManager _manager;
    private ServeOptions _options;

    public ServerHost(ServeOptions options, ILoggerFactory loggers, TextWriter output, ServiceManager manager)
    {
        _manager = manager;
        _options = options;
        _loggers = loggers;
        _output = output;
        _logger = loggers.CreateLogger("server");
    }

    /// <summary>Serves; ends with the exit code.</summary>
    /// <exception cref="RefusalException">It cannot start, or the node failed.</exception>
    public async Task<int> RunAsync(Task stopAsked)
    {
        MetaStoreNode node;
        PeerTransport? transport = null;
        try
        {
            EtcdDirectory.Refuse(_options.Node.DataDirectory);

            // Before anything is made: a directory that was is the one member's for good.
            EndpointProbe.Check([
                ("--listen-peer-urls", _options.ListenPeerUrl),
                .. _options.ListenClientUrls.Select(url => ("--listen-client-urls", url)),
                .. _options.ListenMetricsUrls.Select(url => ("--listen-metrics-urls", url))]);
            _options = await MemberIdentity.ResolveAsync(_options);
            transport = MakeTransport();
            node = MetaStoreNode.Open(_options.Node, transport, _loggers.CreateLogger("node"));
        }
        catch (Exception exception) when (StartFailure.IsOperatingError(exception))
        {
            throw StartFailure.ToRefusal(exception, _options.Node);
        }

        var doors = new ClientDoors(
            node,
            [.. _options.ListenClientUrls.Select(url => url.ToListenEndPoint("--listen-client-urls"))],
            [.. _options.ListenMetricsUrls.Select(url => url.ToListenEndPoint("--listen-metrics-urls"))],
            _options.Etcd,
            _loggers);
        try
        {
            await OpenDoorsAsync(node, transport, doors);
        }
        catch (Exception exception) when (StartFailure.IsOperatingError(exception))
        {
            await StopAsync(node, transport, doors, CancellationToken.None);
            throw StartFailure.ToRefusal(exception, _options.Node);
        }

        Say(DescribeStart(node, transport, doors));
        Task ready = LeaderKnownAsync(node);
        if (await Task.WhenAny(stopAsked, node.Failed, ready) == ready)
        {
            // The words are etcd's: service managers and scripts wait for them.
            Say($"ready to serve client requests on {string.Join(',', doors.EndPoints)}");
            Tell(_manager.TellReady);
        }

        if (await Task.WhenAny(stopAsked, node.Failed) == node.Failed)
        {
            await AbandonAsync(doors);
            Exception failure = node.Failed.Exception!.InnerException!;
            throw failure.InnerException is MemberRefusedException refused
                ? new RefusalException(ExitCode.MemberRefused, $"the cluster has no place for this member, which stops: {refused.Message}")
                : new RefusalException(ExitCode.NodeFailed, $"the node has failed and stops: {failure.Message}");
        }

        Tell(_manager.TellStopping);
        _logger.LogInformation("asked to stop: finishing {Requests} requests", doors.RequestsInFlight);
        using var patience = new CancellationTokenSource(s_drainPatience);
        await StopAsync(node, transport, doors, patience.Token);
        if (node.Failed.IsFaulted)
        {
            throw new RefusalException(ExitCode.NodeFailed, $"the node failed while it stopped: {node.Failed.Exception!.InnerException!.Message}");
        }

        _logger.LogInformation("stopped");
        return ExitCode.Success;
    }

    private static async Task StopAsync(MetaStoreNode node, PeerTransport? transport, ClientDoors doors, CancellationToken patience)
    {
        await doors.DrainAsync(patience);
        await doors.DisposeAsync();

        // The transport last: the node's loops send until they have ended.
        await node.DisposeAsync();
        if (transport is not null)
        {
            await transport.DisposeAsync();
        }
    }

    /// <summary>Gives the doors a moment to answer what is under way with the failure. The node itself is left to the end of the process.</summary>
    private static async Task AbandonAsync(ClientDoors doors)
    {
        using var patience = new CancellationTokenSource(s_failurePatience);
        Task drained = doors.DrainAsync(patience.Token);
        await Task.WhenAny(drained, Task.Delay(2 * s_failurePatience, CancellationToken.None));
    }

    private static string ListenText(EndPoint endPoint) => $"http://{endPoint}";

    /// <summary>Ends once the node knows a leader, and so can answer.</summary>
    private static async Task LeaderKnownAsync(MetaStoreNode node)
    {
        var known = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Action look = () =>
        {
            if (!node.LeaderId.IsNone)
            {
                known.TrySetResult();
            }
        };
        node.LeaderChanged += look;
        look();
        await known.Task;
        node.LeaderChanged -= look;
    }

    private void Say(string line)
    {
        _output.WriteLine(line);
        _output.Flush();
    }

    /// <summary>A service manager that does not listen keeps nobody from serving.</summary>
    private void Tell(Action tell)
    {
        try
        {
            tell();
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            _logger.LogWarning("The service manager could not be told at {Variable}: {Reason}", ServiceManager.Variable, e.Message);
        }
    }

    private PeerTransport MakeTransport()
    {
        var options = new PeerTransportOptions
        {
            ClusterId = _options.Node.ClusterId,
            NodeId = _options.Node.NodeId,
            Endpoint = _options.ListenPeerUrl.ToListenEndPoint("--listen-peer-urls"),
        };
        return new PeerTransport(options, sink: null, _loggers.CreateLogger("peers"));
    }

    private async Task OpenDoorsAsync(MetaStoreNode node, PeerTransport transport, ClientDoors doors)
    {
        await doors.OpenAsync();

        if (node.NeedsContacts)
        {
            ClusterView view = await MemberIdentity.AskAsync(_options);
            transport.SetMembers([.. view.Members], []);
        }

        transport.Start(node.PeerSink);
    }

    private string DescribeStart(MetaStoreNode node, PeerTransport? transport, ClientDoors doors)
    {
        string version = typeof(ServerHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";
        string advertised = _options.AdvertiseClientUrls.SequenceEqual(_options.ListenClientUrls) ? string.Empty : $" (advertised {string.Join(',', _options.AdvertiseClientUrls)})";
        return $"metastore {version} serves: name {_options.Node.Name}, node {node.NodeId.Value:x16}, cluster {node.ClusterId:x16}, members {node.MemberCount}, "
            + $"clients {string.Join(',', doors.EndPoints.Select(ListenText))}{advertised}, "
            + (_options.ListenMetricsUrls.Count == 0 ? string.Empty : $"metrics {string.Join(',', doors.PageEndPoints.Select(ListenText))}, ")
            + $"peers {(transport is null ? "none" : ListenText(transport.LocalEndPoint))}, data {Path.GetFullPath(_options.Node.DataDirectory)}, "
            + $"recovered term {node.Recovery.Term} index {node.Recovery.LastIndex} snapshot {node.Recovery.SnapshotIndex}, seed {_options.Node.Seed}";
    }
}
