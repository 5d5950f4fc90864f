using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Tells a rotten bit from a torn write in the last batch, where nothing behind it bears witness. A torn write leaves whole sectors old, and an
/// old sector's share of the batch, at least 8 bytes, is wrong in about half of its bits (<see cref="BatchMask"/>). So a batch that is sound
/// but for a single bit was written whole; it may have been acknowledged, and cutting it would lose it.
/// <para>CRC-32C finds the place of a single wrong bit: each place gives a different difference between the sum stored and the sum computed. Whether
/// that bit does mend the batch is for the sum of the batch to say: to a CRC, a long record that was torn may seem mended by chance.</para>
/// </summary>
internal static class BitRot
{
    /// <summary>Whether flipping exactly one bit at the end of the walk makes the batch there sound.</summary>
    public static bool IsOneBitFromSound(SegmentReader reader)
    {
        if (reader.Rest.Length < BatchHead.Bytes || BinaryPrimitives.ReadInt32LittleEndian(reader.Rest) == 0)
        {
            return false; // the length of a batch head has two bits set: no one flip makes it from zero
        }

        byte[] copy = reader.CopyWhole();
        return reader.TryNextHead(copy, out BatchHead head)
            ? IsOneBitInRecords(copy.AsSpan(reader.Offset, head.BatchBytes), head)
            : IsOneBitInHead(reader, copy);
    }

    private static bool IsOneBitInHead(SegmentReader reader, byte[] copy)
    {
        for (int bit = 0; bit < BatchHead.Bytes * 8; bit++)
        {
            Flip(copy, reader.Offset, bit);
            if (reader.TryNextHead(copy, out BatchHead head))
            {
                Span<byte> batch = copy.AsSpan(reader.Offset, head.BatchBytes);
                BatchMask.Apply(batch);
                if (SegmentReader.IsSound(batch, head, out _))
                {
                    return true;
                }

                BatchMask.Apply(batch);
            }

            Flip(copy, reader.Offset, bit);
        }

        return false;
    }

    private static bool IsOneBitInRecords(Span<byte> batch, in BatchHead head)
    {
        BatchMask.Apply(batch);
        int at = FirstDamagedRecord(batch, out uint chain);
        if (at < 0)
        {
            return false;
        }

        // A wrong length hides where the record ends, so the CRC cannot be asked: all its 32 bits are tried, and those of the CRC itself.
        for (int bit = 0; bit < (RecordFormat.CrcOffset + sizeof(uint)) * 8; bit++)
        {
            if (Mends(batch, head, at, bit))
            {
                return true;
            }
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(batch[at..]);
        if (length < RecordFormat.HeaderBytes || length > batch.Length - at || RecordFormat.Padded(length) > batch.Length - at)
        {
            return false;
        }

        const int afterCrc = RecordFormat.CrcOffset + sizeof(uint);
        ReadOnlySpan<byte> record = batch.Slice(at, RecordFormat.Padded(length));
        int place = FindBit(RecordFormat.Crc(chain, record) ^ RecordFormat.StoredCrc(record), record.Length - afterCrc);
        return place >= 0 && Mends(batch, head, at + afterCrc, place);
    }

    /// <summary>The bit, counted from the lowest of the first byte, whose flip changes the CRC over <paramref name="bytes"/> bytes by <paramref name="difference"/>; -1 if none does.</summary>
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

    private static bool Mends(Span<byte> batch, in BatchHead head, int offset, int bit)
    {
        Flip(batch, offset, bit);
        bool sound = SegmentReader.IsSound(batch, head, out _);
        Flip(batch, offset, bit);
        return sound;
    }

    private static void Flip(Span<byte> bytes, int offset, int bit) => bytes[offset + (bit >> 3)] ^= (byte)(1 << (bit & 7));

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
