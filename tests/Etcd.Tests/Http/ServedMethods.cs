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

    private ServedMethods(EtcdServer server, Action<Socket> adopt)
    {
        Server = server;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAsync(adopt);
    }

    public EtcdServer Server { get; }

    public IPEndPoint EndPoint { get; }

    public static Task<ServedMethods> StartAsync(EtcdServerOptions options, params RpcMethod[] methods) => StartAsync(new MethodTable(methods), options);

    /// <param name="methods">What is served.</param>
    /// <param name="options">Settings.</param>
    /// <param name="adopt">How connections are taken in; null: as those of clients.</param>
    public static async Task<ServedMethods> StartAsync(MethodTable methods, EtcdServerOptions? options = null, Func<EtcdServer, Action<Socket>>? adopt = null)
    {
        var server = new EtcdServer(methods, node: null, options ?? new EtcdServerOptions(), NullLoggerFactory.Instance);
        await server.StartAsync();
        return new ServedMethods(server, adopt?.Invoke(server) ?? server.Adopt);
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

    private async Task AcceptAsync(Action<Socket> adopt)
    {
        try
        {
            while (true)
            {
                adopt(await _listener.AcceptAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It was closed.
        }
    }
}
