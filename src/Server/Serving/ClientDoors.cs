using System.Net;
using System.Net.Sockets;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd;
using MetaStore.Net;
using Microsoft.Extensions.Logging;

namespace MetaStore.Server.Serving;

/// <summary>Where clients come in: any number of ports, each of which takes the binary protocol and etcd's; and ports for those who watch over the server, which have its pages alone.</summary>
internal sealed class ClientDoors : IAsyncDisposable
{
    private readonly ILogger _logger;
    private readonly IReadOnlyList<IPEndPoint> _endpoints;
    private readonly IReadOnlyList<IPEndPoint> _pages;
    private readonly ConnectionRoom _room;
    private readonly BinaryServer _binary;
    private readonly EtcdServer _etcd;
    private readonly List<ClientPort> _ports = [];

    /// <param name="node">What is served.</param>
    /// <param name="endpoints">Where clients come in.</param>
    /// <param name="pages">Where figures and health are told and nothing else.</param>
    /// <param name="etcd">What etcd's clients may ask for; how many they may be follows from what the process may open.</param>
    /// <param name="loggers">For what is not a client's fault.</param>
    public ClientDoors(MetaStoreNode node, IReadOnlyList<IPEndPoint> endpoints, IReadOnlyList<IPEndPoint> pages, EtcdServerOptions etcd, ILoggerFactory loggers)
    {
        _logger = loggers.CreateLogger("clients");
        _endpoints = endpoints;
        _pages = pages;
        long? files = OpenFiles.Limit();
        _room = ConnectionRoom.Of(files, endpoints.Count + pages.Count);
        _binary = new BinaryServer(node, node, new BinaryServerOptions { Endpoint = null, ConnectionsMax = _room.Binary, RequestBytesMax = node.Settings.Limits.RequestBytesMax }, _logger);
        _etcd = new EtcdServer(node, etcd with { ConnectionsMax = _room.Http, OpenFilesMax = files }, loggers);
    }

    /// <summary>Where it listens, with the ports it got.</summary>
    public IEnumerable<EndPoint> EndPoints => _ports.Take(_endpoints.Count).Select(port => port.LocalEndPoint);

    /// <summary>Where the pages alone are, with the ports they got.</summary>
    public IEnumerable<EndPoint> PageEndPoints => _ports.Skip(_endpoints.Count).Select(port => port.LocalEndPoint);

    /// <summary>Requests under way.</summary>
    public int RequestsInFlight => _binary.RequestsInFlight;

    /// <exception cref="SocketException">An endpoint cannot be had; the message names it.</exception>
    public async Task OpenAsync()
    {
        await _binary.StartAsync();
        await _etcd.StartAsync();
        foreach (IPEndPoint endpoint in _endpoints)
        {
            Open(endpoint, _binary.Adopt, _etcd.Adopt);
        }

        foreach (IPEndPoint endpoint in _pages)
        {
            Open(endpoint, static socket => socket.Dispose(), _etcd.AdoptForPages);
        }
    }

    /// <summary>Takes no more connections, answers what is under way, and closes. What is left when the token is cancelled is closed at once.</summary>
    public async Task DrainAsync(CancellationToken patience)
    {
        foreach (ClientPort port in _ports)
        {
            await port.DisposeAsync();
        }

        await Task.WhenAll(_binary.DrainAsync(patience), _etcd.DrainAsync(patience));
    }

    private void Open(IPEndPoint endpoint, Action<Socket> binary, Action<Socket> http)
    {
        var port = new ClientPort(new ClientPortOptions { Endpoint = endpoint, SilentConnectionsMax = _room.Silent }, binary, http, _logger);
        _ports.Add(port);
        port.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await _binary.DisposeAsync();
        await _etcd.DisposeAsync();
    }
}
