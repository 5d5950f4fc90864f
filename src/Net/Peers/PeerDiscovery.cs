using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net;

/// <summary>What a running member tells one that is about to start.</summary>
/// <param name="ClusterId">The cluster.</param>
/// <param name="NodeId">The member that answered.</param>
/// <param name="Members">The members, as it knows them.</param>
public sealed record ClusterView(ulong ClusterId, NodeId NodeId, IReadOnlyList<Member> Members);

/// <summary>Asks a running member, at its peer address, which cluster it is of and who belongs to it. For a member before its first start.</summary>
public static class PeerDiscovery
{
    /// <param name="peerUrl">The member's peer address, as "http://host:port".</param>
    /// <param name="timeout">How long connecting and the answer may take.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="SocketException">It cannot be reached.</exception>
    /// <exception cref="ArgumentException">The address is none.</exception>
    /// <exception cref="IOException">It answered something else.</exception>
    public static async Task<ClusterView> AskAsync(string peerUrl, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        EndPoint address = EndpointText.Parse(peerUrl);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(timeout);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, patience.Token).ConfigureAwait(false);
            using var pipe = new SocketPipe(socket, receiveBufferBytes: 4 << 10, sendBufferBytes: 1 << 10);
            return await AskAsync(pipe, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SocketException((int)SocketError.TimedOut, $"{peerUrl} did not answer within {timeout.TotalMilliseconds} ms");
        }
        catch (Exception e) when (e is HandshakeRefusedException or WireFormatException)
        {
            throw new IOException($"{peerUrl} does not answer as a member: {e.Message}", e);
        }
    }

    private static async Task<ClusterView> AskAsync(SocketPipe pipe, CancellationToken patience)
    {
        var hello = new Hello(
            Handshake.VersionMin, Handshake.VersionMax, ConnectionRole.Discovery, Handshake.Capabilities, 0, NodeId.None, NodeId.None, Handshake.BodyBytesMaxMin);
        await HandshakeIo.SendHelloAsync(pipe.Output, hello, patience).ConfigureAwait(false);
        Welcome welcome = await HandshakeIo.ReadWelcomeAsync(pipe.Input, patience).ConfigureAwait(false);
        if (welcome.Result != HandshakeResult.Accepted)
        {
            throw new HandshakeRefusedException(welcome.Result, welcome.Text);
        }

        var splitter = new FrameSplitter(1 << 20);
        while (true)
        {
            ReadResult result = await pipe.Input.ReadAsync(patience).ConfigureAwait(false);
            if (TryRead(splitter, result.Buffer, out MembersResponse? answer))
            {
                return new ClusterView(welcome.ClusterId, welcome.NodeId, answer!.Members);
            }

            if (result.IsCompleted)
            {
                throw new EndOfStreamException("it closed the connection before it had said who the members are");
            }

            pipe.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    private static bool TryRead(FrameSplitter splitter, ReadOnlySequence<byte> buffer, out MembersResponse? answer)
    {
        answer = null;
        if (splitter.Next(ref buffer, out FrameHeader header, out ReadOnlySequence<byte> body) != FrameFound.Frame)
        {
            return false;
        }

        if (header.Kind != FrameKind.MembersAnswer)
        {
            throw new WireFormatException($"Frame kind 0x{(byte)header.Kind:x2} came where the members were expected.");
        }

        answer = (MembersResponse)ResponseCodec.Read(header.Kind, body.ToArray());
        return true;
    }
}
