using System.Net;
using System.Net.Sockets;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Net;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Etcd.Tests.BadInput;

/// <summary>A node with one port for all, as the server has it.</summary>
internal sealed class OnePort : IAsyncDisposable
{
    private readonly EtcdNode _node = new();
    private readonly BinaryServer _binary;
    private readonly EtcdServer _etcd;
    private readonly ClientPort _port;

    private OnePort(EtcdServerOptions options, int silentMax)
    {
        _binary = new BinaryServer(_node.Node, _node.Node, new BinaryServerOptions { Endpoint = null }, NullLogger.Instance);
        _etcd = new EtcdServer(_node.Node, options, NullLoggerFactory.Instance);
        _port = new ClientPort(
            new ClientPortOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0), SilentConnectionsMax = silentMax }, _binary.Adopt, _etcd.Adopt, NullLogger.Instance);
    }

    public IPEndPoint EndPoint => (IPEndPoint)_port.LocalEndPoint;

    public EtcdServer Etcd => _etcd;

    /// <summary>In which term it leads: another one, and it has lost its office meanwhile.</summary>
    public ulong Term => _node.Node.Header.Term;

    public static async Task<OnePort> StartAsync(EtcdServerOptions? options = null, int silentMax = 4096)
    {
        var port = new OnePort(options ?? new EtcdServerOptions(), silentMax);
        await port._binary.StartAsync();
        await port._etcd.StartAsync();
        port._port.Start();
        await Support.Until(() => !port._node.Node.LeaderId.IsNone, "the node leads");
        return port;
    }

    public async Task<NetworkStream> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }

    public async ValueTask DisposeAsync()
    {
        await _port.DisposeAsync();
        await _binary.DisposeAsync();
        await _etcd.DisposeAsync();
        await _node.DisposeAsync();
    }
}
