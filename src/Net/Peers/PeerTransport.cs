using System.Net;
using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Peers;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Net;

/// <summary>
/// Carries Raft messages between the members of a cluster: one connection per direction and pair of nodes, shared by all groups. Messages
/// arrive in order while a connection lives; when it breaks some are lost, and Raft sends what matters again. Both ends
/// check cluster and node ids before the first message. All members may be called from any thread.
/// </summary>
public sealed class PeerTransport : IPeerTransport, IAsyncDisposable
{
    private readonly PeerTransportOptions _options;
    private readonly ILogger _logger;
    private readonly Backoff _backoff;
    private readonly SocketListener _listener;
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeId, PeerReceiver> _receivers = [];
    private readonly HashSet<SocketPipe> _inbound = [];
    private readonly CancellationTokenSource _stopping = new();
    private Dictionary<NodeId, PeerSender> _senders = []; // replaced, never changed
    private IPeerMessageSink? _sink;
    private IReadOnlyDictionary<NodeId, EndPoint>? _wanted;
    private bool _isStarted;
    private MemberDirectory _known = MemberDirectory.Nobody;

    /// <summary>Prepares a transport; <see cref="StartAsync"/> opens it.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="sink">Where messages are delivered; null where <see cref="Start"/> gives it.</param>
    /// <param name="logger">For peers that come, go, or are refused.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public PeerTransport(PeerTransportOptions options, IPeerMessageSink? sink = null, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
        _sink = sink;
        _logger = logger ?? NullLogger.Instance;
        _backoff = new Backoff(options.BackoffMin, options.BackoffMax, options.JitterSeed);
        _listener = new SocketListener(options.Endpoint, Accept, _logger);
    }

    /// <summary>Where it listens, with the port it got.</summary>
    /// <exception cref="InvalidOperationException">It has not been started.</exception>
    public EndPoint LocalEndPoint => _listener.LocalEndPoint;

    /// <summary>Messages dropped so far, to all present peers.</summary>
    public long DroppedMessages => Volatile.Read(ref _senders).Values.Sum(sender => sender.Traffic.Dropped);

    /// <summary>Peers to which a connection stands.</summary>
    public IReadOnlyList<NodeId> ConnectedPeers =>
        [.. Volatile.Read(ref _senders).Values.Where(sender => sender.IsConnected).Select(sender => sender.Peer)];

    /// <summary>Begins to listen and to connect, delivering to <paramref name="sink"/>.</summary>
    /// <exception cref="SocketException">The endpoint cannot be had; the message names it.</exception>
    public void Start(IPeerMessageSink sink)
    {
        ArgumentNullException.ThrowIfNull(sink);
        _sink = sink;
        lock (_gate)
        {
            // In one go: what the node's loop has to say of the members comes before or after it, and is never undone.
            _isStarted = true;
            SetPeers(_wanted ?? _options.Peers); // before listening: a peer that comes at once must be known
        }

        _listener.Start();
    }

    /// <summary>As <see cref="Start"/>, with the sink that the constructor was given.</summary>
    /// <exception cref="InvalidOperationException">It was given none.</exception>
    /// <exception cref="SocketException">The endpoint cannot be had; the message names it.</exception>
    public Task StartAsync()
    {
        Start(_sink ?? throw new InvalidOperationException("The transport was made without a sink; start it with Start(sink)."));
        return Task.CompletedTask;
    }

    /// <summary>Changes who the other members are: connections to new ones are made, those of and to old ones are closed.</summary>
    /// <param name="peers">All of them; this node itself is left out.</param>
    public void SetPeers(IReadOnlyDictionary<NodeId, EndPoint> peers)
    {
        ArgumentNullException.ThrowIfNull(peers);
        var senders = new Dictionary<NodeId, PeerSender>();
        lock (_gate)
        {
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            foreach ((NodeId peer, EndPoint address) in peers)
            {
                if (peer == _options.NodeId)
                {
                    continue;
                }

                if (!_senders.TryGetValue(peer, out PeerSender? sender) || !sender.Address.Equals(address))
                {
                    PeerTraffic traffic = sender?.Traffic ?? new PeerTraffic(peer);
                    sender = new PeerSender(peer, address, _options, _backoff, traffic, _sink!, _logger);
                    sender.Start();
                }

                senders.Add(peer, sender);
            }

            foreach ((NodeId peer, PeerSender sender) in _senders)
            {
                if (!senders.TryGetValue(peer, out PeerSender? kept) || !ReferenceEquals(kept, sender))
                {
                    _ = sender.StopAsync();
                }
            }

            Volatile.Write(ref _senders, senders);
            foreach (PeerReceiver receiver in _receivers.Values.Where(receiver => !IsWelcome(receiver)))
            {
                receiver.Close();
            }
        }
    }

    /// <inheritdoc/>
    public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
    {
        ArgumentNullException.ThrowIfNull(members);
        ArgumentNullException.ThrowIfNull(removed);
        var peers = new Dictionary<NodeId, EndPoint>();
        foreach (Member member in members)
        {
            try
            {
                peers.Add(new NodeId(member.Id), EndpointText.Parse(member.PeerUrls[0]));
            }
            catch (Exception e) when (e is ArgumentException or ArgumentOutOfRangeException)
            {
                _logger.LogError("Member {Member} cannot be reached: its peer address is \"{Url}\".", new NodeId(member.Id), string.Join(',', member.PeerUrls));
            }
        }

        Volatile.Write(ref _known, new MemberDirectory(members, removed));
        lock (_gate)
        {
            _wanted = peers; // The node's loop may be ahead of the door.
            if (_isStarted)
            {
                SetPeers(peers);
            }
        }
    }

    /// <inheritdoc/>
    public void Send(GroupId group, Message message)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (Volatile.Read(ref _senders).TryGetValue(message.To, out PeerSender? sender))
        {
            sender.Send(group, message);
        }
        else
        {
            _logger.LogDebug("A {Kind} message to {Peer} is dropped: it is no peer.", message.Kind, message.To);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<PeerFigures> MeasurePeers() => [.. Volatile.Read(ref _senders).Values.OrderBy(sender => sender.Peer.Value).Select(sender => sender.Measure())];

    /// <summary>Closes all connections. What is queued is lost.</summary>
    public async ValueTask DisposeAsync()
    {
        PeerSender[] senders;
        lock (_gate)
        {
            _stopping.Cancel();
            senders = [.. _senders.Values];
        }

        await _listener.DisposeAsync().ConfigureAwait(false);
        lock (_gate)
        {
            foreach (SocketPipe pipe in _inbound)
            {
                pipe.Abort();
            }
        }

        await Task.WhenAll(senders.Select(sender => sender.StopAsync())).ConfigureAwait(false);
    }

    private void Accept(Socket socket) => _ = DoInboundAsync(socket); // it lets no exception out

    private async Task DoInboundAsync(Socket socket)
    {
        SocketPipe? pipe = null;
        try
        {
            pipe = new SocketPipe(socket, _options.ReceiveBufferBytes, sendBufferBytes: 1 << 10);
            if (TryTrack(pipe))
            {
                await ProcessInboundAsync(pipe).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            LoopEnd end = SocketFailure.Classify(e);
            _logger.Log(end == LoopEnd.Unexpected ? LogLevel.Error : LogLevel.Debug, e, "An inbound connection of {Address} ended: {End}.", pipe?.RemoteName, end);
        }
        finally
        {
            pipe?.Dispose();
            socket.Dispose();
            Untrack(pipe);
        }
    }

    private async Task ProcessInboundAsync(SocketPipe pipe)
    {
        Hello hello;
        using (var patience = new CancellationTokenSource(_options.ConnectTimeout, _options.TimeProvider))
        {
            try
            {
                hello = await HandshakeIo.ReadHelloAsync(pipe.Input, patience.Token).ConfigureAwait(false);
                if (hello.Role == ConnectionRole.Discovery)
                {
                    await TellMembersAsync(pipe, hello, patience.Token).ConfigureAwait(false);
                    return;
                }

                ushort version = Check(hello);
                Welcome welcome = MakeWelcome(HandshakeResult.Accepted, string.Empty) with { Version = version };
                await HandshakeIo.SendWelcomeAsync(pipe.Output, welcome, patience.Token).ConfigureAwait(false);
            }
            catch (HandshakeRefusedException e)
            {
                _logger.LogWarning("A peer connection of {Address} was refused ({Result}): {Reason}", pipe.RemoteName, e.Result, e.Message);
                await HandshakeIo.SendWelcomeAsync(pipe.Output, MakeWelcome(e.Result, e.Message), patience.Token).ConfigureAwait(false);
                await pipe.ShutdownGentlyAsync(patience.Token).ConfigureAwait(false);
                return;
            }
        }

        PeerReceiver? receiver = Volatile.Read(ref _senders).TryGetValue(hello.NodeId, out PeerSender? way)
            ? new PeerReceiver(pipe, hello.NodeId, hello.DirectoryId, _options, way.Traffic, _sink!, _logger)
            : null;
        if (receiver is null || !TryReplace(receiver))
        {
            return; // Removed while hands were shaken; when it calls again it is told so.
        }

        try
        {
            await receiver.DoReceiveAsync().ConfigureAwait(false);
        }
        finally
        {
            Remove(receiver);
        }
    }

    private ushort Check(in Hello hello)
    {
        ushort version = Handshake.ChooseVersion(hello);
        if (hello.ClusterId != _options.ClusterId && !KnownBugs.OtherClusterAccepted)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.ClusterMismatch, $"The caller belongs to cluster {hello.ClusterId:x16}, this node to cluster {_options.ClusterId:x16}.");
        }

        if (hello.Role != ConnectionRole.Peer)
        {
            throw new HandshakeRefusedException(HandshakeResult.RoleNotServed, "This endpoint serves peers; clients have an endpoint of their own.");
        }

        if (hello.ExpectedNodeId != _options.NodeId)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.NodeMismatch, $"The caller expected node {hello.ExpectedNodeId} here; this is node {_options.NodeId}.");
        }

        CheckMember(hello);
        return Volatile.Read(ref _senders).ContainsKey(hello.NodeId)
            ? version
            : throw new HandshakeRefusedException(
                HandshakeResult.UnknownPeer, $"The caller says it is node {hello.NodeId}, which is no other member that this node knows.");
    }

    private void CheckMember(in Hello hello)
    {
        MemberDirectory known = Volatile.Read(ref _known);
        switch (known.Judge(hello.NodeId.Value, hello.DirectoryId))
        {
            case MemberRefusal.Removed:
                throw new HandshakeRefusedException(HandshakeResult.Removed, $"Member {hello.NodeId} was removed from the cluster.");
            case MemberRefusal.DirectoryReplaced:
                throw new HandshakeRefusedException(
                    HandshakeResult.DirectoryReplaced,
                    $"Member {hello.NodeId} ran on data directory {known.DirectoryOf(hello.NodeId.Value):x16} and comes with {hello.DirectoryId:x16}: what it had promised is lost. Remove it, and add a new member.");
            default:
                break;
        }
    }

    private async Task TellMembersAsync(SocketPipe pipe, Hello hello, CancellationToken patience)
    {
        Welcome welcome = MakeWelcome(HandshakeResult.Accepted, string.Empty) with { Version = Handshake.ChooseVersion(hello) };
        await HandshakeIo.SendWelcomeAsync(pipe.Output, welcome, patience).ConfigureAwait(false);
        var answer = new MembersResponse
        {
            Header = new ResponseHeader(_options.ClusterId, _options.NodeId.Value, default, 0),
            Members = Volatile.Read(ref _known).Members,
        };
        FrameOutput.WriteResponse(pipe.Output, correlation: 0, answer, long.MaxValue);
        await pipe.Output.FlushAsync(patience).ConfigureAwait(false);
        await pipe.ShutdownGentlyAsync(patience).ConfigureAwait(false);
    }

    private Welcome MakeWelcome(HandshakeResult result, string text) => new(
        result, Version: 0, Capabilities: 0, _options.ClusterId, _options.NodeId, NodeId.None, (uint)_options.FrameBytesMax, text);

    private bool TryTrack(SocketPipe pipe)
    {
        lock (_gate)
        {
            bool hasRoom = !_stopping.IsCancellationRequested && _inbound.Count < _options.InboundConnectionsMax;
            return hasRoom && _inbound.Add(pipe);
        }
    }

    private void Untrack(SocketPipe? pipe)
    {
        lock (_gate)
        {
            _ = pipe is not null && _inbound.Remove(pipe);
        }
    }

    /// <summary>A peer that connects again has lost its earlier connection, whether or not we have noticed: the newest counts.</summary>
    private bool TryReplace(PeerReceiver receiver)
    {
        lock (_gate)
        {
            if (!IsWelcome(receiver))
            {
                return false;
            }

            if (_receivers.TryGetValue(receiver.Peer, out PeerReceiver? earlier))
            {
                earlier.Close();
            }

            _receivers[receiver.Peer] = receiver;
            return true;
        }
    }

    /// <summary>What the handshake checked, asked again under the lock that changes it.</summary>
    private bool IsWelcome(PeerReceiver receiver) =>
        _senders.ContainsKey(receiver.Peer) && Volatile.Read(ref _known).Judge(receiver.Peer.Value, receiver.DirectoryId) is null;

    private void Remove(PeerReceiver receiver)
    {
        lock (_gate)
        {
            if (_receivers.TryGetValue(receiver.Peer, out PeerReceiver? current) && ReferenceEquals(current, receiver))
            {
                _receivers.Remove(receiver.Peer);
            }
        }
    }
}
