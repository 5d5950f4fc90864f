using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Tells a rotten bit from a torn write in the last batch, where nothing behind it bears witness. A torn write leaves whole sectors old;
/// a batch that is sound but for a single bit was written whole, so it may have been acknowledged, and cutting it would lose it.
/// CRC-32C finds the place of a single wrong bit: each place gives a different difference between the sum stored and the sum computed.
/// </summary>
internal static class BitRot
{
    private const int RecordBytesMax = 16 * 1024 * 1024;

    /// <summary>Whether flipping exactly one bit at the end of the walk makes the batch there sound.</summary>
    public static bool IsOneBitFromSound(SegmentReader reader)
    {
        int offset = reader.Offset;
        if (reader.Rest.Length < BatchHead.Bytes || BinaryPrimitives.ReadInt32LittleEndian(reader.Rest) == 0)
        {
            return false; // the length of a batch head has two bits set: no one flip makes it from zero
        }

        ReadOnlyMemory<byte> original = reader.Whole;
        byte[] copy = original.ToArray();
        for (int bit = 0; bit < BatchHead.Bytes * 8; bit++)
        {
            if (Flipped(reader, copy, offset, bit))
            {
                return true;
            }
        }

        if (!BatchHead.TryDecode(copy, offset, reader.Seed, out BatchHead head) || head.BatchBytes > copy.Length - offset || head.BatchBytes < BatchHead.Bytes)
        {
            return false;
        }

        int damaged = FirstDamagedRecord(copy.AsSpan(offset, head.BatchBytes), out uint chain);
        return damaged >= 0 && IsOneBitInRecord(reader, copy, offset + damaged, offset + head.BatchBytes, chain);
    }

    private static bool IsOneBitInRecord(SegmentReader reader, byte[] copy, int at, int end, uint chain)
    {
        // A wrong length hides where the record ends, so the sum cannot be asked: all its 32 bits are tried, and those of the stored sum.
        for (int bit = 0; bit < (RecordFormat.CrcOffset + sizeof(uint)) * 8; bit++)
        {
            if (Flipped(reader, copy, at, bit))
            {
                return true;
            }
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(copy.AsSpan(at));
        if (length < RecordFormat.HeaderBytes || length > Math.Min(end - at, RecordBytesMax) || RecordFormat.Padded(length) > end - at)
        {
            return false;
        }

        Span<byte> record = copy.AsSpan(at, RecordFormat.Padded(length));
        int place = FindBit(RecordFormat.Crc(chain, record) ^ RecordFormat.StoredCrc(record), record.Length - RecordFormat.CrcOffset - sizeof(uint));
        return place >= 0 && Flipped(reader, copy, at + RecordFormat.CrcOffset + sizeof(uint), place);
    }

    /// <summary>The bit, counted from the lowest of the first byte, whose flip changes the sum over <paramref name="bytes"/> bytes by <paramref name="difference"/>; -1 if none does.</summary>
    private static int FindBit(uint difference, int bytes)
    {
        // Backwards from the last bit: one step back is one multiplication by x.
        uint effect = Checksum.ReflectedPolynomial;
        for (int bit = (bytes * 8) - 1; bit >= 0; bit--)
        {
            if (effect == difference)
            {
                return bit;
            }

            effect = (effect >> 1) ^ ((effect & 1) != 0 ? Checksum.ReflectedPolynomial : 0);
        }

        return -1;
    }

    private static bool Flipped(SegmentReader reader, byte[] copy, int offset, int bit)
    {
        byte mask = (byte)(1 << (bit & 7));
        copy[offset + (bit >> 3)] ^= mask;
        bool sound = reader.IsNextBatch(copy);
        copy[offset + (bit >> 3)] ^= mask;
        return sound;
    }

    private static int FirstDamagedRecord(ReadOnlySpan<byte> batch, out uint chain)
    {
        chain = RecordFormat.StoredCrc(batch);
        for (int at = BatchHead.Bytes; batch.Length - at >= RecordFormat.HeaderBytes;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(batch[at..]);
            if (length < RecordFormat.HeaderBytes || length > batch.Length - at || RecordFormat.Padded(length) > batch.Length - at)
            {
                return at;
            }

            ReadOnlySpan<byte> record = batch.Slice(at, RecordFormat.Padded(length));
            if (RecordFormat.Crc(chain, record) != RecordFormat.StoredCrc(record))
            {
                return at;
            }

            chain = RecordFormat.StoredCrc(record);
            at += record.Length;
        }

        return -1;
    }
}
