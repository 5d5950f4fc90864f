using System.Buffers.Binary;
using System.Numerics;

namespace MetaStore.Wal;

/// <summary>CRC-32C (Castagnoli), in the form that can be continued: the sum of a+b is the sum of b seeded with the sum of a.</summary>
internal static class Checksum
{
    /// <summary>The polynomial, bit-reflected, as the sum processes the lowest bit of a byte first.</summary>
    public const uint ReflectedPolynomial = 0x82F63B78;

    public static uint Crc32C(uint seed, ReadOnlySpan<byte> bytes)
    {
        uint crc = ~seed;
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }
}
