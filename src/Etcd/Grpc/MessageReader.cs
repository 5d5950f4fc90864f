using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Grpc;

/// <summary>The messages of a request body. They are read from the body's own buffers; what a message holds on to is its own.</summary>
internal sealed class MessageReader(PipeReader body, MessageParser parser, int bytesMax, RpcCounters counters) : IRpcReader<IMessage>
{
    /// <inheritdoc/>
    /// <remarks>A message that is too large is refused by its prefix, before there is room for it.</remarks>
    public async ValueTask<IMessage?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            bool isWhole = false;
            try
            {
                isWhole = MessageFrame.TryTake(ref buffer, bytesMax, out ReadOnlySequence<byte> message);
                if (isWhole)
                {
                    counters.CountReceived(MessageFrame.PrefixBytes + message.Length);
                    return parser.ParseFrom(message);
                }

                if (result.IsCompleted)
                {
                    return buffer.IsEmpty ? null : throw new RpcException(StatusCode.Internal, "unexpected EOF");
                }
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or IndexOutOfRangeException or ArgumentException or OverflowException)
            {
                // The parser ends in the last three where a length of about 2^31 lies inside another. In which, and with what text, depends on the pieces that the bytes came in.
                throw new RpcException(StatusCode.Internal, "grpc: error unmarshalling request: the bytes are not the message that the method takes");
            }
            finally
            {
                // Who has not got a whole message has looked at all there is, so that the next read waits for more.
                body.AdvanceTo(buffer.Start, isWhole ? buffer.Start : buffer.End);
            }
        }
    }
}
