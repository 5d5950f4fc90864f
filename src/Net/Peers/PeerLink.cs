using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net.Peers;

/// <summary>One outbound connection to a peer, from its handshake until it breaks. It only sends.</summary>
internal sealed class PeerLink : IFrameSource<PeerFrame>, IDisposable
{
    private readonly SocketPipe _pipe;
    private readonly Action<PeerLink, int, long> _flushed;
    private readonly FrameSender<PeerFrame> _sender;
    private readonly TaskCompletionSource<Exception> _sendFailed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private PeerLink(SocketPipe pipe, int flushBytes, Action<PeerLink, int, long> flushed)
    {
        _pipe = pipe;
        _flushed = flushed;
        _sender = new FrameSender<PeerFrame>(pipe.Output, this, flushBytes);
    }

    /// <summary>Connects and shakes hands. <paramref name="flushed"/> hears how many messages and bytes have been handed to the socket.</summary>
    /// <exception cref="HandshakeRefusedException">The other side is not the peer, or does not want us.</exception>
    public static async Task<PeerLink> OpenAsync(
        NodeId peer, EndPoint address, PeerTransportOptions options, ulong directoryId, Action<PeerLink, int, long> flushed, CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(options.ConnectTimeout, options.TimeProvider);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stopping);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            SocketTuning.SetStallTimeout(socket, options.StallTimeout);
            await socket.ConnectAsync(address, either.Token).ConfigureAwait(false);
            var pipe = new SocketPipe(socket, receiveBufferBytes: 1 << 10, options.SendBufferBytes);
            var hello = new Hello(
                Handshake.VersionMin, Handshake.VersionMax, ConnectionRole.Peer, Handshake.Capabilities,
                options.ClusterId, options.NodeId, peer, (uint)options.FrameBytesMax, directoryId);
            await HandshakeIo.SendHelloAsync(pipe.Output, hello, either.Token).ConfigureAwait(false);
            Check(await HandshakeIo.ReadWelcomeAsync(pipe.Input, either.Token).ConfigureAwait(false), peer, options.ClusterId);
            return new PeerLink(pipe, options.SendBufferBytes, flushed);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut, $"no connection within {options.ConnectTimeout.TotalMilliseconds} ms");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>How long a round trip to the peer takes; null where that is not known.</summary>
    public TimeSpan? RoundTrip => SocketTuning.ReadRoundTrip(_pipe.Socket);

    /// <summary>Queues a frame. False: the link has broken.</summary>
    public bool Enqueue(in PeerFrame frame) => _sender.Enqueue(frame, schedule: true);

    /// <summary>
    /// Ends, with an exception, when the connection breaks. The peer never says anything, so that a receive ends only when it closes:
    /// without one, the loss would show no sooner than the second message after it.
    /// </summary>
    public async Task ProcessUntilBrokenAsync(CancellationToken stopping)
    {
        using CancellationTokenRegistration stop = stopping.Register(_pipe.Abort);
        ReadResult result = await _pipe.Input.ReadAsync(CancellationToken.None).ConfigureAwait(false);
        if (_sendFailed.Task.IsCompleted)
        {
            throw await _sendFailed.Task.ConfigureAwait(false);
        }

        throw result.Buffer.IsEmpty
            ? new EndOfStreamException("the peer closed the connection")
            : new WireFormatException("the peer sent something on a connection that goes the other way");
    }

    public void Dispose()
    {
        _sender.Close();
        _pipe.Dispose();
    }

    void IFrameSource<PeerFrame>.Encode(PeerFrame item, PipeWriter output) => item.Write(output);

    void IFrameSource<PeerFrame>.Flushed(ReadOnlySpan<PeerFrame> items)
    {
        long bytes = 0;
        foreach (ref readonly PeerFrame frame in items)
        {
            bytes += FrameHeader.Size + frame.BodyLength;
        }

        _flushed(this, items.Length, bytes);
    }

    void IFrameSource<PeerFrame>.SendFailed(Exception exception)
    {
        _sendFailed.TrySetResult(exception);
        _pipe.Abort(); // wakes the receive
    }

    private static void Check(Welcome welcome, NodeId peer, ulong clusterId)
    {
        if (welcome.Result != HandshakeResult.Accepted)
        {
            throw new HandshakeRefusedException(welcome.Result, $"it refused us ({welcome.Result}): {welcome.Text}");
        }

        if (welcome.ClusterId != clusterId)
        {
            throw new HandshakeRefusedException(
                HandshakeResult.ClusterMismatch, $"it belongs to cluster {welcome.ClusterId:x16}, we to {clusterId:x16}");
        }

        if (welcome.NodeId != peer)
        {
            throw new HandshakeRefusedException(HandshakeResult.NodeMismatch, $"it is node {welcome.NodeId}, not {peer}");
        }
    }
}
