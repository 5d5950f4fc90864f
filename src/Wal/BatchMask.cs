using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Noise that the records of a batch are XORed with on their way to the disk and back, another for each batch. It hides nothing. It sees to it that what
/// a sector should hold and what it held before (zeros, bytes of an earlier life of the file, the rest of a torn batch) differ in about half of their
/// bits, however alike the records are. So a sector that a crash has lost never looks like a single rotten bit, and <see cref="BitRot"/>
/// can tell the two apart. (Refused: to stamp each sector, which would cut entries into pieces; to zero all that a file held before, which would
/// write everything twice, and the last bytes of a record may differ from zeros in one bit.)
/// <code>
///  the i-th 8 bytes behind the head, i from 1, little-endian, are XORed with
///      z = key + i * 0x9E3779B97F4A7C15              key = sum of the batch ^ (CRC of its head * 2^32); all modulo 2^64
///      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
///      z = (z ^ (z >> 27)) * 0x94D049BB133111EB
///      z ^ (z >> 31)
/// </code>
/// Part of the disk format: never change. The head itself is not masked: the part of it in one sector always holds its CRC or its sum.
/// </summary>
internal static class BatchMask
{
    /// <summary>Masks the records of a whole batch that has its head, or unmasks them: it is the same.</summary>
    public static void Apply(Span<byte> batch)
    {
        ulong state = BatchHead.StoredSum(batch) ^ ((ulong)RecordFormat.StoredCrc(batch) << 32);
        for (int at = BatchHead.Bytes; batch.Length - at >= sizeof(ulong); at += sizeof(ulong))
        {
            state = unchecked(state + 0x9E37_79B9_7F4A_7C15);
            ulong z = unchecked((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9);
            z = unchecked((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB);
            Span<byte> word = batch.Slice(at, sizeof(ulong));
            BinaryPrimitives.WriteUInt64LittleEndian(word, BinaryPrimitives.ReadUInt64LittleEndian(word) ^ z ^ (z >> 31));
        }
    }
}
