using System.Buffers.Binary;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// The rolling hash of the applied state: order-dependent, the same on every machine, fast enough to run on every write.
/// Not cryptographic: it finds divergence, not forgery.
/// </summary>
internal static class StateDigest
{
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;

    public static ulong Add(ulong digest, ulong value)
    {
        digest = (digest ^ value) * Multiplier;
        return digest ^ (digest >> 29);
    }

    public static ulong Add(ulong digest, ReadOnlySpan<byte> bytes)
    {
        digest = Add(digest, (ulong)bytes.Length);
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
}
