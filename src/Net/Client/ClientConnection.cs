using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Client;

/// <summary>A request on its way to the socket: the slot, and which use of it; or a frame of a watch.</summary>
internal readonly record struct Outgoing(PendingRequest? Pending, ulong Correlation, WatchFrame? Watch = null);

/// <summary>
/// One connection to one node, from the handshake until it breaks; it is never mended but replaced. Many requests are under way at once.
/// When it breaks, each learns whether it can have reached the node.
/// </summary>
internal sealed class ClientConnection : IFrameSource<Outgoing>
{
    private const int ScratchBytes = 128;

    /// <summary>How late an answer to a request whose deadline has passed is awaited: the node's clock of deadlines may be 0.2 s late.</summary>
    private static readonly TimeSpan s_lateAnswer = TimeSpan.FromMilliseconds(300);

    private readonly SocketPipe _pipe;
    private readonly MetaStoreClientOptions _options;
    private readonly Action<NodeId, NodeId> _leaderLearned;
    private readonly ILogger _logger;
    private readonly Welcome _welcome;
    private readonly PendingTable _pending;
    private readonly ClientWatches _watches;
    private readonly FrameSplitter _splitter;
    private readonly FrameSender<Outgoing> _sender;
    private readonly byte[] _scratch = new byte[ScratchBytes]; // the receive loop's
    private MetaStoreException? _failure; // the first one; set once
    private long _lastReceived;
    private volatile bool _isLeaving;

    private ClientConnection(
        SocketPipe pipe, Welcome welcome, string endpoint, MetaStoreClientOptions options, Action<NodeId, NodeId> leaderLearned, ILogger logger)
    {
        _pipe = pipe;
        _welcome = welcome;
        Endpoint = endpoint;
        _options = options;
        _leaderLearned = leaderLearned;
        _logger = logger;
        _pending = new PendingTable(options.RequestsInFlightMax);
        _splitter = new FrameSplitter(options.FrameBytesMax);
        _sender = new FrameSender<Outgoing>(pipe.Output, this, options.SendBufferBytes);
        _watches = new ClientWatches(options.WatchBytesMax, outgoing => _sender.Enqueue(outgoing, schedule: true));
        _lastReceived = options.TimeProvider.GetTimestamp();
    }

    /// <summary>The endpoint as configured, for messages.</summary>
    public string Endpoint { get; }

    /// <summary>The node at the other end.</summary>
    public NodeId NodeId => _welcome.NodeId;

    /// <summary>Whether new requests may be sent.</summary>
    public bool IsUsable => !_isLeaving && Volatile.Read(ref _failure) is null;

    /// <summary>Pooled handles that are out.</summary>
    public long OutstandingHandles => _pending.Outstanding;

    /// <summary>Connects and shakes hands. <paramref name="leaderLearned"/> gets (the node that says so, the leader).</summary>
    /// <exception cref="MetaStoreException">It did not work; nothing was sent.</exception>
    public static async Task<ClientConnection> OpenAsync(
        string name, EndPoint address, MetaStoreClientOptions options, ClusterPin cluster, Action<NodeId, NodeId> leaderLearned, ILogger logger,
        CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(options.ConnectTimeout, options.TimeProvider);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stopping);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, either.Token).ConfigureAwait(false);
            var pipe = new SocketPipe(socket, options.ReceiveBufferBytes, options.SendBufferBytes);
            var hello = new Hello(
                Handshake.VersionMin, Handshake.VersionMax, ConnectionRole.Client, Handshake.Capabilities,
                options.ClusterId, NodeId.None, NodeId.None, (uint)options.FrameBytesMax);
            await HandshakeIo.SendHelloAsync(pipe.Output, hello, either.Token).ConfigureAwait(false);
            Welcome welcome = await HandshakeIo.ReadWelcomeAsync(pipe.Input, either.Token).ConfigureAwait(false);
            ThrowIfRefused(name, welcome);
            cluster.Check(name, welcome.ClusterId);
            var connection = new ClientConnection(pipe, welcome, name, options, leaderLearned, logger);
            leaderLearned(welcome.NodeId, welcome.LeaderId);
            _ = connection.DoReceiveAsync(); // it lets no exception out
            return connection;
        }
        catch (Exception e)
        {
            socket.Dispose();
            throw ToFailure(name, e, patience.IsCancellationRequested ? options.ConnectTimeout : null);
        }
    }

    /// <summary>
    /// Sends a request; the answer is a <see cref="StoreResponse"/>, or null for a ping. Encoding happens later, on the writer: the request's
    /// lists must not change meanwhile.
    /// </summary>
    /// <exception cref="MetaStoreException">As the outcome says.</exception>
    public ValueTask<object?> SendAsync(in RequestContent content, CancellationToken cancellationToken)
    {
        if ((uint)content.BodyLength > _welcome.BodyBytesMax)
        {
            throw new MetaStoreException(
                MetaStoreError.RequestTooLarge, $"The request takes {content.BodyLength} bytes; the node takes {_welcome.BodyBytesMax} at most.");
        }

        PendingRequest? pending = _pending.Rent(content, out bool isFull);
        if (pending is null)
        {
            throw isFull
                ? new MetaStoreException(MetaStoreError.Busy, $"{_options.RequestsInFlightMax} requests are under way on the connection to {Endpoint}.")
                : Volatile.Read(ref _failure) ?? new MetaStoreException(MetaStoreError.ConnectionLost, $"The connection to {Endpoint} is closed.");
        }

        ValueTask<object?> task = pending.Task;
        var outgoing = new Outgoing(pending, pending.Correlation);
        if (cancellationToken.CanBeCanceled)
        {
            pending.ObeyToken(cancellationToken);
        }

        // A lone caller writes at once, on its own thread: no detour. Where others wait for answers too, more requests are about to come,
        // and the pool's thread takes them all in one flush.
        bool isLone = _pending.Waiting == 1;
        _sender.Enqueue(outgoing, schedule: !isLone);
        if (isLone)
        {
            _ = _sender.DrainAsync(once: true); // it lets no exception out
        }

        return task;
    }

    /// <summary>Begins a watch on this connection; it ends with it.</summary>
    /// <exception cref="MetaStoreException">The connection takes nothing any more, or the request is too large.</exception>
    public ClientStream<WatchResponse> OpenWatch(WatchRequest request)
    {
        int length = WatchCodec.GetLength(request);
        if ((uint)length > _welcome.BodyBytesMax)
        {
            throw new MetaStoreException(MetaStoreError.RequestTooLarge, $"The request takes {length} bytes; the node takes {_welcome.BodyBytesMax} at most.");
        }

        return _watches.Open(request);
    }

    /// <summary>Begins a snapshot of the node at the other end; it ends with the connection.</summary>
    /// <exception cref="MetaStoreException">The connection takes nothing any more.</exception>
    public ClientStream<SnapshotPart> OpenSnapshot() => _watches.OpenSnapshot();

    /// <summary>Somebody watches, and the node has said nothing for so long: it should be asked for a sign of life.</summary>
    public bool IsQuiet(long now, TimeSpan patience) =>
        IsUsable && _watches.Count > 0 && _pending.Waiting == 0 && _options.TimeProvider.GetElapsedTime(Volatile.Read(ref _lastReceived), now) > patience;

    /// <summary>Fails what has waited too long, and gives up on a node that has been silent all the while.</summary>
    public void Sweep(long now)
    {
        // The node's own answer at the deadline says more than silence, above all whether a write can have been applied: it has time to arrive.
        List<PendingRequest>? expired = _pending.TakeExpired(now - (long)(s_lateAnswer.TotalSeconds * _options.TimeProvider.TimestampFrequency));
        if (expired is null)
        {
            return;
        }

        long lastReceived = Volatile.Read(ref _lastReceived);
        bool isSilent = false;
        foreach (PendingRequest pending in expired)
        {
            isSilent |= pending.IsWritten && pending.Content.Sent > lastReceived;
            string message = $"No answer from {Endpoint} within {_options.RequestTimeout.TotalMilliseconds} ms.";
            pending.SetException(new MetaStoreException(MetaStoreError.Timeout, message, OutcomeOf(pending)));
        }

        if (isSilent)
        {
            Fail(new MetaStoreException(MetaStoreError.ConnectionLost, $"{Endpoint} has fallen silent."));
        }
    }

    /// <summary>Closes the connection; all that waits fails.</summary>
    public void Fail(MetaStoreException reason)
    {
        if (Interlocked.CompareExchange(ref _failure, reason, null) is not null)
        {
            return;
        }

        _sender.Close();
        _pipe.Abort();
        _watches.Close(reason);
        foreach (PendingRequest pending in _pending.Close())
        {
            pending.SetException(new MetaStoreException(reason.Error, reason.Message, OutcomeOf(pending), reason.InnerException));
        }
    }

    void IFrameSource<Outgoing>.Encode(Outgoing item, PipeWriter output)
    {
        if (item.Watch is { } frame)
        {
            frame.Write(output, item.Correlation);
            return;
        }

        if (!_pending.TryMarkWritten(item.Pending!, item.Correlation, out RequestContent content))
        {
            return;
        }

        try
        {
            double left = _options.TimeProvider.GetElapsedTime(_options.TimeProvider.GetTimestamp(), content.Deadline).TotalMilliseconds;
            FrameOutput.WriteRequest(output, item.Correlation, content.Kind, content.Request, content.BodyLength, (uint)Math.Max(left, 1));
        }
        catch (Exception e) when (e is InvariantException or ArgumentException or IndexOutOfRangeException or NullReferenceException)
        {
            // Nothing of it has been taken into the output: the others are not harmed.
            if (_pending.TryTake(item.Correlation, out PendingRequest? pending))
            {
                pending.SetException(new MetaStoreException(
                    MetaStoreError.InvalidArgument, "The request was changed by its owner while it was being sent.", Outcome.NotApplied, e));
            }
        }
    }

    void IFrameSource<Outgoing>.Flushed(ReadOnlySpan<Outgoing> items)
    {
    }

    void IFrameSource<Outgoing>.SendFailed(Exception exception) => Fail(ToFailure(Endpoint, exception, timeout: null));

    private static void ThrowIfRefused(string name, Welcome welcome)
    {
        if (welcome.Result == HandshakeResult.Accepted)
        {
            return;
        }

        MetaStoreError error = welcome.Result switch
        {
            HandshakeResult.ClusterMismatch => MetaStoreError.ClusterMismatch,
            HandshakeResult.TooManyConnections => MetaStoreError.Busy,
            HandshakeResult.Stopping => MetaStoreError.Stopped,
            _ => MetaStoreError.Protocol,
        };
        throw new MetaStoreException(error, $"{name} refused the connection ({welcome.Result}): {welcome.Text}");
    }

    private static MetaStoreException ToFailure(string name, Exception exception, TimeSpan? timeout) => exception switch
    {
        MetaStoreException known => known,
        WireFormatException or HandshakeRefusedException => new MetaStoreException(
            MetaStoreError.Protocol, $"{name} does not keep to the protocol: {exception.Message}", Outcome.NotApplied, exception),
        _ when timeout is { } passed => new MetaStoreException(
            MetaStoreError.ConnectionLost, $"No connection to {name} within {passed.TotalMilliseconds} ms.", Outcome.NotApplied, exception),
        _ => new MetaStoreException(
            MetaStoreError.ConnectionLost, $"No connection to {name}: {exception.Message}", Outcome.NotApplied, exception),
    };

    private static Outcome OutcomeOf(PendingRequest pending) =>
        pending.IsWritten && !pending.Content.IsReadOnly ? Outcome.Unknown : Outcome.NotApplied;

    private async Task DoReceiveAsync()
    {
        try
        {
            await ProcessReceiveAsync().ConfigureAwait(false);
            Fail(new MetaStoreException(MetaStoreError.ConnectionLost, $"{Endpoint} closed the connection."));
        }
        catch (Exception e)
        {
            if (SocketFailure.Classify(e) is LoopEnd.Unexpected or LoopEnd.ProtocolBroken && e is not MetaStoreException)
            {
                _logger.LogError(e, "The connection to {Endpoint} failed.", Endpoint);
            }

            Fail(ToFailure(Endpoint, e, timeout: null));
        }
        finally
        {
            _pipe.Dispose();
        }
    }

    private async Task ProcessReceiveAsync()
    {
        while (true)
        {
            ReadResult result = await _pipe.Input.ReadAsync().ConfigureAwait(false);
            Volatile.Write(ref _lastReceived, _options.TimeProvider.GetTimestamp());
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (true)
            {
                FrameFound found = _splitter.Next(ref buffer, out FrameHeader header, out ReadOnlySequence<byte> body);
                if (found == FrameFound.Incomplete)
                {
                    break;
                }

                if (found == FrameFound.TooLong)
                {
                    throw new WireFormatException($"An answer of {header.BodyLength} bytes came; {_options.FrameBytesMax} were agreed on.");
                }

                Handle(header, body);
            }

            _pipe.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted || (_isLeaving && _pending.Waiting == 0))
            {
                return;
            }
        }
    }

    private void Handle(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        ReadOnlyMemory<byte> owned = Own(header, body);
        if (header.Correlation == 0)
        {
            HandleNotice(header.Kind, owned);
            return;
        }

        if (ClientWatches.IsOfWatch(header.Correlation))
        {
            _watches.Handle(header, owned);
            return;
        }

        if (!_pending.TryTake(header.Correlation, out PendingRequest? pending))
        {
            return; // too late: its caller has given up
        }

        try
        {
            if (header.Kind == FrameKind.Error)
            {
                pending.SetException(NoticeCodec.ReadError(owned));
                return;
            }

            if (header.Kind != FrameHeader.AnswerTo(pending.Content.Kind))
            {
                throw new WireFormatException($"A request of kind {pending.Content.Kind} was answered with kind 0x{(byte)header.Kind:x2}.");
            }

            pending.SetResult(header.Kind == FrameKind.PingAnswer ? null : ResponseCodec.Read(header.Kind, owned));
        }
        catch (WireFormatException e)
        {
            pending.SetException(new MetaStoreException(MetaStoreError.Protocol, $"{Endpoint}: {e.Message}", OutcomeOf(pending), e));
            throw;
        }
    }

    private void HandleNotice(FrameKind kind, ReadOnlyMemory<byte> body)
    {
        switch (kind)
        {
            case FrameKind.LeaderChanged:
                _leaderLearned(NodeId, NoticeCodec.ReadLeaderChanged(body));
                break;
            case FrameKind.Goodbye:
                _isLeaving = true;
                _watches.Close(new MetaStoreException(MetaStoreError.Stopped, $"{Endpoint} is stopping."));
                break;
            case FrameKind.Error:
                throw NoticeCodec.ReadError(body);
            default:
                throw new WireFormatException($"A frame of kind 0x{(byte)kind:x2} came without a correlation.");
        }
    }

    /// <summary>A copy of the body to keep, or where nothing of it will be kept, one in the scratch buffer.</summary>
    private ReadOnlyMemory<byte> Own(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        int length = (int)body.Length;
        byte[] target = length <= ScratchBytes && ResponseCodec.HoldsNoBytes(header.Kind, length)
            ? _scratch
            : GC.AllocateUninitializedArray<byte>(length);
        body.CopyTo(target);
        return target.AsMemory(0, length);
    }
}
