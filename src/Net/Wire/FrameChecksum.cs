using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace MetaStore.Net.Wire;

/// <summary>
/// CRC-32C (Castagnoli) of frames. TCP's own sum is 16 bits wide and is recomputed by every middle box, so that damage in one of
/// them would otherwise reach the log of a replica. The processor has an instruction for it: about 0.4 ns per 8 bytes.
/// </summary>
internal static class FrameChecksum
{
    private const uint Start = uint.MaxValue;

    public static uint Compute(ReadOnlySpan<byte> bytes) => ~Append(Start, bytes);

    public static uint Compute(in ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment)
        {
            return Compute(bytes.FirstSpan);
        }

        uint state = Start;
        foreach (ReadOnlyMemory<byte> segment in bytes)
        {
            state = Append(state, segment.Span);
        }

        return ~state;
    }

    private static uint Append(uint state, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte b in bytes)
        {
            state = BitOperations.Crc32C(state, b);
        }

        return state;
    }
}
