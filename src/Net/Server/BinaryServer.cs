using System.Net;
using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Server;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Net;

/// <summary>
/// Serves a store to clients that speak the binary protocol. It owns its connections, not the store: stop the server first, then the
/// store. All members may be called from any thread.
/// </summary>
public sealed class BinaryServer : IAsyncDisposable
{
    private const int RefusalsMax = 64;

    private readonly INodeInfo _node;
    private readonly BinaryServerOptions _options;
    private readonly ILogger _logger;
    private readonly DeadlineClock _deadlines;
    private readonly RequestDispatcher _dispatcher;
    private readonly SocketListener _listener;
    private readonly Lock _gate = new();
    private readonly HashSet<ServerConnection> _connections = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly Action _leaderChanged;
    private int _sockets;
    private int _admitted;

    /// <summary>Prepares a server; <see cref="StartAsync"/> opens it.</summary>
    /// <param name="store">What it serves.</param>
    /// <param name="node">The node behind the store: what handshakes say, and when the leader changes.</param>
    /// <param name="options">Settings.</param>
    /// <param name="logger">For what is not a client's fault, and who was refused.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public BinaryServer(IMetaStore store, INodeInfo node, BinaryServerOptions options, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _node = node;
        _options = options;
        _logger = logger ?? NullLogger.Instance;
        _deadlines = new DeadlineClock(options.RequestTimeoutMax, options.TimeProvider, _logger);
        _dispatcher = new RequestDispatcher(store, _deadlines, options.OperationsMax, _logger);
        _listener = new SocketListener(options.Endpoint, Adopt, _logger);
        // The event is raised on the node's own thread, which must not be kept: the pool tells the connections.
        _leaderChanged = () => ThreadPool.UnsafeQueueUserWorkItem(static server => server.NotifyAll(FrameKind.LeaderChanged), this, preferLocal: false);
        node.LeaderChanged += _leaderChanged;
    }

    /// <summary>Where it listens, with the port it got.</summary>
    /// <exception cref="InvalidOperationException">It does not listen.</exception>
    public EndPoint LocalEndPoint => _listener.LocalEndPoint;

    /// <summary>Connections past their handshake.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Requests under way on all connections.</summary>
    public int RequestsInFlight => Connections().Sum(connection => connection.RequestsInFlight);

    /// <summary>Watches under way on all connections.</summary>
    public int WatchesInFlight => Connections().Sum(connection => connection.Watches);

    /// <summary>Pooled handles that are out: 0 when nothing is under way.</summary>
    internal long OutstandingHandles => _dispatcher.Outstanding;

    /// <summary>
    /// Whether the first bytes of a connection are this protocol's, for a port that several protocols share. One byte decides: no HTTP verb,
    /// no HTTP/2 preface and no TLS record begins with it.
    /// </summary>
    /// <param name="firstBytes">At least one byte, as peeked (not taken) from the socket.</param>
    public static bool IsBinaryProtocol(ReadOnlySpan<byte> firstBytes) => !firstBytes.IsEmpty && firstBytes[0] == Handshake.Magic[0];

    /// <summary>Begins to listen.</summary>
    /// <exception cref="SocketException">The endpoint cannot be had; the message names it.</exception>
    public Task StartAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _listener.Start();
        return Task.CompletedTask;
    }

    /// <summary>Serves a connected socket, from whose stream nothing has been taken yet, and owns it from here on. Returns at once.</summary>
    public void Adopt(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (Interlocked.Increment(ref _sockets) > _options.ConnectionsMax + RefusalsMax)
        {
            // Too many even to be told so one by one.
            Interlocked.Decrement(ref _sockets);
            socket.Dispose();
            return;
        }

        _ = DoConnectionAsync(socket); // it lets no exception out
    }

    /// <summary>
    /// Stops accepting, answers what is under way, tells clients to go elsewhere, and closes. Ends when all connections are closed.
    /// </summary>
    /// <param name="cancellationToken">When it is cancelled, what is left is closed at once.</param>
    public async Task DrainAsync(CancellationToken cancellationToken = default)
    {
        await StopListeningAsync().ConfigureAwait(false);
        ServerConnection[] connections = Connections();
        try
        {
            await Task.WhenAll(connections.Select(connection => connection.DrainAsync())).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _logger.LogWarning("Draining was cut short with {Requests} requests under way.", RequestsInFlight);
        }

        await CloseAllAsync().ConfigureAwait(false);
    }

    /// <summary>Closes all connections at once; clients of requests under way do not learn their outcome.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopListeningAsync().ConfigureAwait(false);
        await CloseAllAsync().ConfigureAwait(false);
        _deadlines.Dispose();
        // The token source is not disposed: a handshake that ends this moment may still look at it, and without a timer it holds nothing.
    }

    private async Task StopListeningAsync()
    {
        _node.LeaderChanged -= _leaderChanged;
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _listener.DisposeAsync().ConfigureAwait(false);
    }

    private async Task CloseAllAsync()
    {
        ServerConnection[] connections = Connections();
        foreach (ServerConnection connection in connections)
        {
            connection.Close();
        }

        await Task.WhenAll(connections.Select(connection => connection.Ended)).ConfigureAwait(false);
    }

    private ServerConnection[] Connections()
    {
        lock (_gate)
        {
            return [.. _connections];
        }
    }

    private void NotifyAll(FrameKind kind)
    {
        foreach (ServerConnection connection in Connections())
        {
            connection.Notify(kind);
        }
    }

    private async Task DoConnectionAsync(Socket socket)
    {
        SocketPipe? pipe = null;
        try
        {
            pipe = new SocketPipe(socket, _options.ReceiveBufferBytes, _options.SendBufferBytes);
            ServerConnection? connection = await ShakeHandsAsync(pipe).ConfigureAwait(false);
            if (connection is not null)
            {
                await connection.DoRequestsAsync().ConfigureAwait(false);
                Remove(connection);
            }
        }
        catch (Exception e)
        {
            LoopEnd end = SocketFailure.Classify(e);
            LogLevel level = end == LoopEnd.Unexpected ? LogLevel.Error : LogLevel.Debug;
            _logger.Log(level, e, "The handshake of {Client} ended: {End}.", pipe?.RemoteName, end);
        }
        finally
        {
            pipe?.Dispose();
            socket.Dispose();
            Interlocked.Decrement(ref _sockets);
        }
    }

    /// <summary>The connection, or null where it was refused.</summary>
    private async Task<ServerConnection?> ShakeHandsAsync(SocketPipe pipe)
    {
        using var patience = new CancellationTokenSource(_options.HandshakeTimeout, _options.TimeProvider);
        using CancellationTokenRegistration stop = _stopping.Token.Register(pipe.Abort);
        try
        {
            Hello hello = await HandshakeIo.ReadHelloAsync(pipe.Input, patience.Token).ConfigureAwait(false);
            ushort version = Check(hello);
            Admit();
            try
            {
                return await WelcomeAsync(pipe, hello, version, patience.Token).ConfigureAwait(false);
            }
            catch
            {
                Interlocked.Decrement(ref _admitted);
                throw;
            }
        }
        catch (HandshakeRefusedException e)
        {
            _logger.LogWarning("A connection of {Client} was refused ({Result}): {Reason}", pipe.RemoteName, e.Result, e.Message);
            await HandshakeIo.SendWelcomeAsync(pipe.Output, MakeWelcome(e.Result, e.Message), patience.Token).ConfigureAwait(false);
            await pipe.ShutdownGentlyAsync(patience.Token).ConfigureAwait(false);
            return null;
        }
    }

    private async Task<ServerConnection> WelcomeAsync(SocketPipe pipe, Hello hello, ushort version, CancellationToken patience)
    {
        NodeId leader = _node.LeaderId;
        Welcome welcome = MakeWelcome(HandshakeResult.Accepted, string.Empty) with
        {
            Version = version,
            Capabilities = hello.Capabilities & Handshake.Capabilities,
            LeaderId = leader,
        };
        await HandshakeIo.SendWelcomeAsync(pipe.Output, welcome, patience).ConfigureAwait(false);

        // Only now can others write to it: nothing may come before the welcome.
        var connection = new ServerConnection(pipe, hello, _dispatcher, _node, _options, _logger);
        bool stopping;
        lock (_gate)
        {
            _connections.Add(connection);
            stopping = _stopping.IsCancellationRequested;
        }

        if (stopping)
        {
            _ = connection.DrainAsync(); // it came too late for those who close the others
        }

        if (_node.LeaderId != leader)
        {
            connection.Notify(FrameKind.LeaderChanged);
        }

        return connection;
    }

    private ushort Check(in Hello hello)
    {
        ushort version = Handshake.ChooseVersion(hello);
        Handshake.CheckCluster(hello.ClusterId, _node.ClusterId);
        if (hello.Role != ConnectionRole.Client)
        {
            throw new HandshakeRefusedException(HandshakeResult.RoleNotServed, "This endpoint serves clients; peers have an endpoint of their own.");
        }

        if (!hello.ExpectedNodeId.IsNone && hello.ExpectedNodeId != _node.NodeId)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.NodeMismatch, $"The caller expected node {hello.ExpectedNodeId} here; this is node {_node.NodeId}.");
        }

        if (hello.BodyBytesMax < Handshake.BodyBytesMaxMin)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.Malformed, $"The caller takes bodies of {hello.BodyBytesMax} bytes; at least {Handshake.BodyBytesMaxMin} are needed.");
        }

        return version;
    }

    private Welcome MakeWelcome(HandshakeResult result, string text) =>
        new(result, Version: 0, Capabilities: 0, _node.ClusterId, _node.NodeId, _node.LeaderId, (uint)_options.RequestBytesMax, text);

    private void Admit()
    {
        if (_stopping.IsCancellationRequested)
        {
            throw new HandshakeRefusedException(HandshakeResult.Stopping, "The node is stopping; ask another one.");
        }

        if (Interlocked.Increment(ref _admitted) > _options.ConnectionsMax)
        {
            Interlocked.Decrement(ref _admitted);
            throw new HandshakeRefusedException(
                HandshakeResult.TooManyConnections, $"All {_options.ConnectionsMax} connections of this node are taken.");
        }
    }

    private void Remove(ServerConnection connection)
    {
        Interlocked.Decrement(ref _admitted);
        lock (_gate)
        {
            _connections.Remove(connection);
        }
    }
}
