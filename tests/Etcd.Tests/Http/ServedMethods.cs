using System.Net;
using System.Net.Sockets;
using MetaStore.Etcd.Rpc;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>A server of given methods on a free port.</summary>
internal sealed class ServedMethods : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Task _accepting;

    private ServedMethods(EtcdServer server)
    {
        Server = server;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    public EtcdServer Server { get; }

    public IPEndPoint EndPoint { get; }

    public static async Task<ServedMethods> StartAsync(EtcdServerOptions options, params RpcMethod[] methods)
    {
        var server = new EtcdServer(new MethodTable(methods), node: null, options, NullLoggerFactory.Instance);
        await server.StartAsync();
        return new ServedMethods(server);
    }

    public static Task<ServedMethods> StartAsync(params RpcMethod[] methods) => StartAsync(new EtcdServerOptions(), methods);

    public async Task<NetworkStream> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        await Server.DisposeAsync();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Server.Adopt(await _listener.AcceptAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It was closed.
        }
    }
}
