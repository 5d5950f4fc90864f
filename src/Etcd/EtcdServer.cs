using System.Net.Sockets;
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Http;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MetaStore.Etcd;

/// <summary>
/// Serves a store to clients of etcd v3, on connections that others have accepted. It owns its connections, not the store: stop it first, then
/// the store. All members may be called from any thread.
/// </summary>
public sealed class EtcdServer : IAsyncDisposable
{
    // What a caller may send that nobody reads yet, for whoever reads a message has its window opened again. A crowd of connections that each send all they may is to be borne.
    private const int WindowBytesOfStream = 128 << 10;
    private const int WindowBytesOfConnection = 512 << 10;

    // Of 4 KiB each. As many as 1,000 connections need that each have an answer on its way.
    private const int BlocksKept = 4096;

    private readonly EtcdServerOptions _options;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly AdoptedConnections _connections = new();
    private readonly SocketConnectionContextFactory _sockets;
    private readonly BlockPool _blocks = new(BlocksKept);
    private readonly ServiceProvider _noServices = new ServiceCollection().BuildServiceProvider();
    private readonly KestrelServer _kestrel;
    private readonly HttpFront _front;
    private readonly NodeMetrics? _nodeMetrics;
    private int _connectionCount;

    /// <summary>Prepares a server; <see cref="StartAsync"/> opens it.</summary>
    /// <param name="node">The node that it serves.</param>
    /// <param name="options">Settings.</param>
    /// <param name="loggers">For what is not a client's fault.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public EtcdServer(MetaStoreNode node, EtcdServerOptions options, ILoggerFactory loggers)
        : this(EtcdServices.Create(node, MakeServices(options, node.Settings.Limits)), node, options, loggers)
    {
    }

    /// <summary>Prepares a server of any methods.</summary>
    /// <param name="methods">What it serves.</param>
    /// <param name="node">Whose figures it tells; null: its own alone.</param>
    /// <param name="options">Settings.</param>
    /// <param name="loggers">For what is not a client's fault.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    internal EtcdServer(MethodTable methods, MetaStoreNode? node, EtcdServerOptions options, ILoggerFactory loggers)
    {
        options.Validate();
        _options = options;
        _logger = loggers.CreateLogger("etcd");
        _sockets = new SocketConnectionContextFactory(new SocketConnectionFactoryOptions(), _logger);
        _kestrel = new KestrelServer(Options.Create(MakeServerOptions()), _connections, loggers);
        StoreLimits limits = node?.Settings.Limits ?? new StoreLimits();
        EtcdServicesOptions services = MakeServices(options, limits);
        var versions = new EtcdVersions(services.ServerVersion, services.ClusterVersion);
        _nodeMetrics = node is null ? null : new NodeMetrics(node, versions);
        _front = MakeFront(new RpcDesk(methods, options.MeasuresCalls ? options.TimeProvider : null), versions, messageBytesMax: limits.RequestBytesMax + options.MessageOverheadBytes);
    }

    /// <summary>Connections that it has, whatever they have said so far.</summary>
    public int ConnectionCount => Volatile.Read(ref _connectionCount);

    /// <summary>Begins to serve what is handed over.</summary>
    public Task StartAsync(CancellationToken cancellationToken = default) => _kestrel.StartAsync(_front, cancellationToken);

    /// <summary>Serves a connected socket, from whose stream nothing has been taken yet, and owns it from here on. Returns at once.</summary>
    public void Adopt(Socket socket) => Adopt(socket, pages: null);

    /// <summary>The same, for who may see the pages alone: figures, health and version, as on etcd's listener of metrics.</summary>
    public void AdoptForPages(Socket socket) => Adopt(socket, PagesOnly.Instance);

    private void Adopt(Socket socket, PagesOnly? pages)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (Interlocked.Increment(ref _connectionCount) > _options.ConnectionsMax)
        {
            Release();
            socket.Dispose();
            return;
        }

        _ = DoSortAsync(socket, pages); // it lets no exception out
    }

    /// <summary>
    /// Tells clients to go elsewhere, ends what would last for ever, answers what is under way, and closes. Ends when all connections are closed.
    /// </summary>
    /// <param name="cancellationToken">When it is cancelled, what is left is closed at once.</param>
    public async Task DrainAsync(CancellationToken cancellationToken = default)
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _kestrel.StopAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes all connections at once; clients of requests under way do not learn their outcome.</summary>
    public async ValueTask DisposeAsync()
    {
        await DrainAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        _kestrel.Dispose();
        _nodeMetrics?.Dispose();
        _sockets.Dispose();
        _blocks.Dispose();
        await _noServices.DisposeAsync().ConfigureAwait(false);
        // The token source is not disposed: a call that ends this moment may still look at it, and without a timer it holds nothing.
    }

    private static EtcdServicesOptions MakeServices(EtcdServerOptions options, StoreLimits limits) =>
        new() { Time = options.TimeProvider, TxnOperationsMax = limits.TxnOperationsMax, TxnDepthMax = limits.TxnDepthMax };

    private HttpFront MakeFront(RpcDesk desk, EtcdVersions versions, int messageBytesMax)
    {
        TimeProvider time = _options.TimeProvider;
        var health = new HealthPages(new HealthChecks(desk, time));
        List<Action<PrometheusText>> figures = [new RpcMetrics(desk).Write, health.Write, text => ProcessMetrics.Write(text, _options.OpenFilesMax)];
        if (_nodeMetrics is not null)
        {
            figures.Insert(0, _nodeMetrics.Write);
        }

        var unfinished = new UnfinishedMessages(_options.UnfinishedBytesMax, _options.MessageTimeout, time);
        var unread = new UnreadAnswers(_options.UnreadBytesMax);
        return new HttpFront(
            new GrpcFront(desk, messageBytesMax, unfinished, unread, time, _stopping.Token, _logger),
            new GatewayFront(desk, messageBytesMax, unfinished, unread, time, _stopping.Token, _logger),
            health,
            new MetricsPage(figures),
            versions);
    }

    private KestrelServerOptions MakeServerOptions()
    {
        var options = new KestrelServerOptions
        {
            ApplicationServices = _noServices,
            AddServerHeader = false,
            // Each byte of a header stays what it was: what is to be UTF-8 is read by who asks for it.
            RequestHeaderEncodingSelector = static name => name == UnreadEncoding.Header ? UnreadEncoding.Instance : Encoding.Latin1,
        };
        KestrelServerLimits limits = options.Limits;
        // Clients keep idle connections for days. A limit of none is no limit of the server's clock: it overflows there, and closes what is idle within a second.
        limits.KeepAliveTimeout = TimeSpan.FromDays(3650);
        limits.RequestHeadersTimeout = _options.HeadersTimeout;
        limits.MaxRequestBodySize = null; // a stream has no end; each front has a limit of its own for a message
        limits.MinResponseDataRate = null; // a watcher that does not read holds up its own stream alone
        limits.Http2.MaxStreamsPerConnection = _options.StreamsPerConnectionMax;
        limits.Http2.InitialStreamWindowSize = WindowBytesOfStream;
        limits.Http2.InitialConnectionWindowSize = WindowBytesOfConnection;
        limits.Http2.KeepAlivePingDelay = _options.PingInterval;
        limits.Http2.KeepAlivePingTimeout = _options.PingTimeout;
        options.Listen(_connections.Http1, static endpoint => endpoint.Protocols = HttpProtocols.Http1);
        options.Listen(_connections.Http2, static endpoint => endpoint.Protocols = HttpProtocols.Http2);
        return options;
    }

    private async Task DoSortAsync(Socket socket, PagesOnly? pages)
    {
        ConnectionContext? connection = null;
        try
        {
            HttpSocket.Tune(socket);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            using var deadline = new CancellationTokenSource(_options.FirstBytesTimeout, _options.TimeProvider);
            using CancellationTokenRegistration late = deadline.Token.Register(static source => ((CancellationTokenSource)source!).Cancel(), patience);
            PrefaceKind kind = await Preface.PeekAsync(socket, patience.Token).ConfigureAwait(false);
            connection = Wrap(socket, kind);
            connection.Features.Set(pages);
            if (kind == PrefaceKind.Undecided)
            {
                kind = await Preface.PeekAsync(connection.Transport.Input, patience.Token).ConfigureAwait(false);
            }

            if (kind != PrefaceKind.Undecided && _connections.TryHand(connection, kind == PrefaceKind.Http2))
            {
                return;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            _logger.LogDebug("A connection has ended before it showed what it speaks: {Reason}", e.Message);
        }
        catch (Exception e)
        {
            _logger.LogError(e, "A connection could not be taken over.");
        }

        if (connection is null)
        {
            Release();
            socket.Dispose();
        }
        else
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>
    /// The way that fits what it speaks. A preface that comes in pieces, which no client sends, gets the way of HTTP/1.1, which serves both.
    /// Here is where a connection would be wrapped into TLS.
    /// </summary>
    private ConnectionContext Wrap(Socket socket, PrefaceKind kind)
    {
        if (kind == PrefaceKind.Http2)
        {
            HttpSocket.SetStallTimeout(socket, _options.PingTimeout);
            return new DirectConnection(socket, _blocks, Release);
        }

        ConnectionContext connection = _sockets.Create(socket);
        connection.ConnectionClosed.UnsafeRegister(static server => ((EtcdServer)server!).Release(), this);
        return connection;
    }

    private void Release() => Interlocked.Decrement(ref _connectionCount);
}
