using System.Buffers.Binary;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// The rolling hash of the applied state: order-dependent, the same on every machine, fast enough to run on every write.
/// Not cryptographic: it finds divergence, not forgery.
/// </summary>
internal static class StateDigest
{
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;
    private const int LaneBytes = 32;

    public static ulong Add(ulong digest, ulong value)
    {
        digest = (digest ^ value) * Multiplier;
        return digest ^ (digest >> 29);
    }

    public static ulong Add(ulong digest, ReadOnlySpan<byte> bytes)
    {
        digest = Add(digest, (ulong)bytes.Length);
        if (bytes.Length >= LaneBytes)
        {
            digest = AddLanes(digest, ref bytes);
        }

        while (bytes.Length >= sizeof(ulong))
        {
            digest = Add(digest, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        ulong tail = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            tail |= (ulong)bytes[i] << (8 * i);
        }

        return bytes.IsEmpty ? digest : Add(digest, tail);
    }

    /// <summary>Four sums side by side, each of every fourth word: one alone would wait for each of its multiplications.</summary>
    private static ulong AddLanes(ulong digest, ref ReadOnlySpan<byte> bytes)
    {
        ulong a = digest;
        ulong b = ~digest;
        ulong c = digest ^ Multiplier;
        ulong d = ~digest ^ Multiplier;
        while (bytes.Length >= LaneBytes)
        {
            a = Add(a, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            b = Add(b, BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]));
            c = Add(c, BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]));
            d = Add(d, BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]));
            bytes = bytes[LaneBytes..];
        }

        return Add(Add(Add(a, b), c), d);
    }
}
