using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Grpc;

/// <summary>
/// A message on its way, as gRPC frames it. The length is big-endian, as gRPC has it.
/// <code>
///  0      1             5
///  +------+-------------+---------+
///  | flag | length: u32 | message |
///  +------+-------------+---------+
///  flag: 1 where the message is compressed, which is not supported; else 0.
/// </code>
/// </summary>
internal static class MessageFrame
{
    /// <summary>Bytes before the message.</summary>
    public const int PrefixBytes = 5;

    /// <summary>Puts a message, which is so long, with its prefix behind what was written, in place. The number of bytes it took.</summary>
    public static int Write(IBufferWriter<byte> output, IMessage message, int length)
    {
        WritePrefix(output, length);
        message.WriteTo(output);
        return PrefixBytes + length;
    }

    /// <summary>Announces a message of so many bytes; says how many.</summary>
    public static long WritePrefix(IBufferWriter<byte> output, long length)
    {
        Span<byte> prefix = output.GetSpan(PrefixBytes);
        prefix[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(prefix[1..], checked((uint)length));
        output.Advance(PrefixBytes);
        return length;
    }

    /// <summary>Takes a message off the buffer. False while it is not there as a whole; the buffer then stays as it is.</summary>
    /// <exception cref="RpcException">The prefix announces what is not taken, however much of it is there.</exception>
    public static bool TryTake(ref ReadOnlySequence<byte> buffer, int bytesMax, out ReadOnlySequence<byte> message)
    {
        message = default;
        if (buffer.Length < PrefixBytes)
        {
            return false;
        }

        Span<byte> prefix = stackalloc byte[PrefixBytes];
        buffer.Slice(0, PrefixBytes).CopyTo(prefix);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        Check(prefix[0], length, bytesMax);
        if (buffer.Length - PrefixBytes < length)
        {
            return false;
        }

        message = buffer.Slice(PrefixBytes, length);
        buffer = buffer.Slice(message.End);
        return true;
    }

    private static void Check(byte flag, uint length, int bytesMax)
    {
        switch (flag)
        {
            case 0:
                break;
            case 1:
                throw new RpcException(StatusCode.Internal, "grpc: compressed flag set with identity or empty encoding");
            default:
                throw new RpcException(StatusCode.Internal, $"grpc: received unexpected payload format {flag}");
        }

        if (length > (uint)bytesMax)
        {
            throw new RpcException(StatusCode.ResourceExhausted, $"grpc: received message larger than max ({length} vs. {bytesMax})");
        }
    }
}
