using System.Buffers;
using System.IO.Pipelines;
using MetaStore.Engine;
using MetaStore.Net.Connections;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Peers;

/// <summary>One inbound connection of a peer, after its handshake. It only receives.</summary>
internal sealed class PeerReceiver(SocketPipe pipe, NodeId peer, ulong directoryId, PeerTransportOptions options, PeerTraffic traffic, IPeerMessageSink sink, ILogger logger)
{
    private readonly FrameSplitter _splitter = new(options.FrameBytesMax);

    /// <summary>The sender at the other end.</summary>
    public NodeId Peer => peer;

    /// <summary>The data directory that it comes with.</summary>
    public ulong DirectoryId => directoryId;

    /// <summary>Closes the connection.</summary>
    public void Close() => pipe.Abort();

    /// <summary>Delivers until either side closes. Lets no exception out.</summary>
    public async Task DoReceiveAsync()
    {
        try
        {
            await ProcessReceiveAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LoopEnd end = SocketFailure.Classify(e);
            LogLevel level = end switch
            {
                LoopEnd.Unexpected => LogLevel.Error,
                LoopEnd.ProtocolBroken => LogLevel.Warning,
                _ => LogLevel.Debug,
            };
            logger.Log(level, e, "The connection from peer {Peer} at {Address} ended: {End}.", peer, pipe.RemoteName, end);
        }
    }

    private async Task ProcessReceiveAsync()
    {
        while (true)
        {
            ReadResult result = await pipe.Input.ReadAsync().ConfigureAwait(false);
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
                    throw new WireFormatException($"A message of {header.BodyLength} bytes comes; a frame carries {options.FrameBytesMax}.");
                }

                Deliver(header, body);
            }

            pipe.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }

    private void Deliver(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        if (header.Kind != FrameKind.RaftMessage || header.Correlation != 0)
        {
            throw new WireFormatException($"A frame of kind 0x{(byte)header.Kind:x2} came from a peer; only Raft messages do.");
        }

        // Entries live on in the log: they get memory of their own, all of one message together.
        byte[] owned = GC.AllocateUninitializedArray<byte>((int)body.Length);
        body.CopyTo(owned);
        PeerFrame frame = PeerFrame.Read(owned);
        if (frame.Message.From != peer || frame.Message.To != options.NodeId)
        {
            throw new WireFormatException(
                $"A message from {frame.Message.From} to {frame.Message.To} came on the connection from {peer} to {options.NodeId}.");
        }

        traffic.CountReceived(FrameHeader.Size + body.Length);
        sink.ReceiveHere(frame.Group, frame.Message);
    }
}
