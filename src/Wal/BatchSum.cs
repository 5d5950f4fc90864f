using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// A sum of 64 bits over the records of a batch, as they are before their CRCs are filled in. A CRC of 32 bits is too small for one purpose: it names a bit
/// that would mend a record for each of a long record's bits, so it would do so for one torn megabyte in five hundred by chance.
/// <code>
///  over all 8-byte words w, little-endian, from 0:   s = (s ^ w) * 0x9E3779B97F4A7C15 (mod 2^64);  s = s ^ (s >> 32)
/// </code>
/// Each step can be undone, so a change of a single word never goes unseen. Part of the disk format: never change.
/// </summary>
internal static class BatchSum
{
    public static ulong Add(ulong sum, ReadOnlySpan<byte> words)
    {
        for (; words.Length >= sizeof(ulong); words = words[sizeof(ulong)..])
        {
            sum = AddWord(sum, BinaryPrimitives.ReadUInt64LittleEndian(words));
        }

        return sum;
    }

    /// <summary>Adds a whole record with its padding, whatever its CRC is.</summary>
    public static ulong AddRecord(ulong sum, ReadOnlySpan<byte> record)
        => Add(AddWord(sum, BinaryPrimitives.ReadUInt32LittleEndian(record)), record[sizeof(ulong)..]);

    private static ulong AddWord(ulong sum, ulong word)
    {
        sum = unchecked((sum ^ word) * 0x9E37_79B9_7F4A_7C15);
        return sum ^ (sum >> 32);
    }
}
