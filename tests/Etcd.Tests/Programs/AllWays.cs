using System.Net;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Net;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Etcd.Tests.Programs;

/// <summary>A node with all ways to it, on one port.</summary>
public sealed class AllWays : IAsyncLifetime
{
    private readonly EtcdNode _node = new();
    private readonly Dictionary<string, IWay> _ways = [];
    private BinaryServer? _binary;
    private EtcdServer? _etcd;
    private ClientPort? _port;

    public static IReadOnlyList<string> Names { get; } = ["embedded", "binary", "gRPC", "JSON"];

    public async Task InitializeAsync()
    {
        _binary = new BinaryServer(_node.Node, _node.Node, new BinaryServerOptions { Endpoint = null }, NullLogger.Instance);
        _etcd = new EtcdServer(_node.Node, new EtcdServerOptions(), NullLoggerFactory.Instance);
        await _binary.StartAsync();
        await _etcd.StartAsync();
        _port = new ClientPort(new ClientPortOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, _binary.Adopt, _etcd.Adopt, NullLogger.Instance);
        _port.Start();
        var endpoint = (IPEndPoint)_port.LocalEndPoint;
        _ways["embedded"] = new StoreWay(_node.Node);
        _ways["binary"] = new StoreWay(MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [endpoint.ToString()] }));
        _ways["gRPC"] = new GrpcWay(endpoint);
        _ways["JSON"] = new JsonWay(endpoint);
    }

    public async Task DisposeAsync()
    {
        foreach (IWay way in _ways.Values)
        {
            await way.DisposeAsync();
        }

        await _port!.DisposeAsync();
        await _binary!.DisposeAsync();
        await _etcd!.DisposeAsync();
        await _node.DisposeAsync();
    }

    internal IWay Of(string name) => _ways[name];
}
