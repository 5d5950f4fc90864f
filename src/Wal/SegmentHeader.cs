using System.Buffers.Binary;
using System.Globalization;

namespace MetaStore.Wal;

/// <summary>
/// The head of a segment file <c>wal/SSSSSSSSSSSSSSSS.wal</c> (S: the sequence number, 16 hexadecimal digits).
/// <code>
///  offset  bytes
///       0      8  magic "METAWAL\n"
///       8      4  format version
///      12      4  CRC-32C of bytes 0..11 and 16..71; the seed of every batch head in the segment
///      16      8  cluster id
///      24      8  node id
///      32      8  sequence number, equal to the one in the file's name
///      40      8  segment bytes: the length of the file
///      48      8  number of the segment's first batch
///      56      8  previous segment: offset at which its log ended (0: there was none)
///      64      4  previous segment: its closing chain value
///      68      4  zero
///      72         the first batch
/// </code>
/// Little-endian throughout. Part of the disk format: never renumber, never move.
/// Header and first batch are on stable storage before the file gets its .wal name; so a .wal file without a sound header is damaged,
/// never half made.
/// </summary>
internal readonly record struct SegmentHeader(
    WalIdentity Identity,
    ulong Sequence,
    long SegmentBytes,
    ulong FirstBatchNumber,
    long PreviousEnd,
    uint PreviousChain)
{
    public const int Bytes = 72;
    public const uint Version = 2;
    public const ulong Magic = 0x0A4C41574154454D; // "METAWAL\n"
    public const string FileSuffix = ".wal";

    private const int CrcOffset = 12;

    public static string FileName(ulong sequence) => sequence.ToString("x16", CultureInfo.InvariantCulture) + FileSuffix;

    /// <summary>The sequence number in a segment's file name; false where it is not the name of a segment.</summary>
    public static bool TryParseFileName(string name, out ulong sequence)
    {
        sequence = 0;
        return name.Length == 16 + FileSuffix.Length
            && name.EndsWith(FileSuffix, StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out sequence)
            && FileName(sequence).Equals(name, StringComparison.Ordinal);
    }

    /// <summary>Writes the header and returns its CRC, the seed of the segment.</summary>
    public uint Encode(Span<byte> target)
    {
        target = target[..Bytes];
        target.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(target, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], Version);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], Identity.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], Identity.NodeId);
        BinaryPrimitives.WriteUInt64LittleEndian(target[32..], Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(target[40..], SegmentBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(target[48..], FirstBatchNumber);
        BinaryPrimitives.WriteInt64LittleEndian(target[56..], PreviousEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(target[64..], PreviousChain);
        uint crc = Crc(target);
        BinaryPrimitives.WriteUInt32LittleEndian(target[CrcOffset..], crc);
        return KnownBugs.StaleRecordsCount ? 0 : crc;
    }

    /// <summary>Reads and checks a header that must be the one of segment <paramref name="sequence"/> in a file of <paramref name="fileBytes"/> bytes.</summary>
    /// <exception cref="CorruptionException">It is not sound.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    public static SegmentHeader Decode(string file, ReadOnlySpan<byte> source, ulong sequence, long fileBytes, out uint seed)
    {
        if (source.Length < Bytes)
        {
            throw new CorruptionException(file, source.Length, $"the file ends inside the segment header of {Bytes} bytes");
        }

        source = source[..Bytes];
        seed = BinaryPrimitives.ReadUInt32LittleEndian(source[CrcOffset..]);
        if (BinaryPrimitives.ReadUInt64LittleEndian(source) != Magic)
        {
            throw new CorruptionException(file, 0, "not a log segment (magic)");
        }

        if (Crc(source) != seed)
        {
            throw new CorruptionException(file, CrcOffset, "checksum of the segment header");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(source[8..]);
        if (version != Version)
        {
            throw new WalVersionException(file, version, Version);
        }

        var header = new SegmentHeader(
            new WalIdentity(
                BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
                BinaryPrimitives.ReadUInt64LittleEndian(source[24..])),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[48..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[56..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[64..]));
        if (header.Sequence != sequence)
        {
            throw new CorruptionException(file, 32, $"the header says segment {header.Sequence}, the name says {sequence}");
        }

        if (header.SegmentBytes > int.MaxValue)
        {
            throw new CorruptionException(file, 40, $"a segment of {header.SegmentBytes} bytes");
        }

        if (header.SegmentBytes != fileBytes)
        {
            throw new CorruptionException(file, Math.Min(header.SegmentBytes, fileBytes), $"the file has {fileBytes} bytes, its header says {header.SegmentBytes}");
        }

        seed = KnownBugs.StaleRecordsCount ? 0 : seed;
        return header;
    }

    private static uint Crc(ReadOnlySpan<byte> header)
        => Checksum.Crc32C(Checksum.Crc32C(0, header[..CrcOffset]), header[(CrcOffset + sizeof(uint))..Bytes]);
}
