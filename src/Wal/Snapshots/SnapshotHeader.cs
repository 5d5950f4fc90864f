using System.Buffers.Binary;
using System.Globalization;

namespace MetaStore.Wal;

/// <summary>
/// The head of a snapshot file <c>snap/GGGGGGGG-IIIIIIIIIIIIIIII-TTTTTTTTTTTTTTTT.snap</c> (group, index, term in hexadecimal).
/// <code>
///  offset  bytes
///       0      8  magic "METASNP\n"
///       8      4  format version
///      12      4  header bytes: 64 and the configuration
///      16      8  cluster id
///      24      8  id of the node that wrote it (a received file keeps the sender's)
///      32      4  group id
///      36      4  bytes of configuration
///      40      8  index
///      48      8  term
///      56      4  zero
///      60      4  CRC-32C of the header without this field
///      64         configuration: who belongs to the group, as the membership entries of the log say it
///               chunks: length u32 (1 to 65,536), CRC-32C u32 of length and payload, payload
///               footer: length 0 u32, CRC-32C u32 of length and the rest, payload bytes u64, chunks u64
/// </code>
/// Each CRC is seeded with the one before, the first with the header's. The file ends with the footer.
/// Little-endian throughout. Part of the disk and wire format: never renumber, never move.
/// A file has its .snap name only when all of it is on stable storage; so a .snap file that is not sound is damaged, never half made.
/// </summary>
internal sealed record SnapshotHeader(WalIdentity Identity, uint GroupId, SnapshotInfo Info)
{
    public const int FixedBytes = 64;
    public const int ChunkHeaderBytes = 8;
    public const int ChunkBytesMax = 64 * 1024;
    public const int FooterBytes = 24;
    public const uint Version = 2;
    public const ulong Magic = 0x0A504E534154454D; // "METASNP\n"
    public const string FileSuffix = ".snap";

    private const int CrcOffset = 60;

    public int Bytes => FixedBytes + Info.Configuration.Length;

    public static string FileName(uint groupId, ulong index, ulong term)
        => string.Create(CultureInfo.InvariantCulture, $"{groupId:x8}-{index:x16}-{term:x16}{FileSuffix}");

    /// <summary>Group, index and term in a file name; false where it is not the name of a snapshot.</summary>
    public static bool TryParseFileName(string name, out uint groupId, out ulong index, out ulong term)
    {
        index = 0;
        term = 0;
        groupId = 0;
        return name.Length == 8 + 1 + 16 + 1 + 16 + FileSuffix.Length
            && uint.TryParse(name.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out groupId)
            && ulong.TryParse(name.AsSpan(9, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out index)
            && ulong.TryParse(name.AsSpan(26, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out term)
            && FileName(groupId, index, term).Equals(name, StringComparison.Ordinal);
    }

    /// <summary>The header as bytes, and its CRC: the seed of the first chunk.</summary>
    public byte[] Encode(out uint crc)
    {
        byte[] target = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(target, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(target.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(target.AsSpan(12), Bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(target.AsSpan(16), Identity.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(target.AsSpan(24), Identity.NodeId);
        BinaryPrimitives.WriteUInt32LittleEndian(target.AsSpan(32), GroupId);
        BinaryPrimitives.WriteInt32LittleEndian(target.AsSpan(36), Info.Configuration.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(target.AsSpan(40), Info.Index);
        BinaryPrimitives.WriteUInt64LittleEndian(target.AsSpan(48), Info.Term);
        Info.Configuration.Span.CopyTo(target.AsSpan(FixedBytes));
        crc = Crc(target);
        BinaryPrimitives.WriteUInt32LittleEndian(target.AsSpan(CrcOffset), crc);
        return target;
    }

    /// <summary>Reads and checks the header of an open file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="clusterId">The cluster it must be of.</param>
    /// <param name="crc">The seed of the first chunk.</param>
    /// <exception cref="CorruptionException">It is not sound.</exception>
    /// <exception cref="WalIdentityException">It is of another cluster.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    public static SnapshotHeader Read(IDiskFile file, ulong? clusterId, out uint crc)
    {
        Span<byte> start = stackalloc byte[FixedBytes];
        int read = file.Read(start, 0);
        if (read < FixedBytes)
        {
            throw new CorruptionException(file.Path, read, "the file ends inside the snapshot header");
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(start) != Magic)
        {
            throw new CorruptionException(file.Path, 0, "not a snapshot (magic)");
        }

        int configurationBytes = BinaryPrimitives.ReadInt32LittleEndian(start[36..]);
        int headerBytes = BinaryPrimitives.ReadInt32LittleEndian(start[12..]);
        if (configurationBytes is < 0 or > SnapshotInfo.ConfigurationBytesMax || headerBytes != FixedBytes + configurationBytes || headerBytes > file.Length)
        {
            throw new CorruptionException(file.Path, 12, $"a snapshot header of {headerBytes} bytes with {configurationBytes} bytes of configuration");
        }

        byte[] source = new byte[headerBytes];
        read = file.Read(source, 0);
        crc = BinaryPrimitives.ReadUInt32LittleEndian(source.AsSpan(CrcOffset));
        if (read != headerBytes || Crc(source) != crc)
        {
            throw new CorruptionException(file.Path, CrcOffset, "checksum of the snapshot header");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(source.AsSpan(8));
        if (version != Version)
        {
            throw new WalVersionException(file.Path, version, Version);
        }

        SnapshotHeader header = DecodeSound(source);
        if (clusterId is { } expected && header.Identity.ClusterId != expected)
        {
            throw new WalIdentityException(file.Path, header.Identity, header.Identity with { ClusterId = expected });
        }

        return header;
    }

    private static SnapshotHeader DecodeSound(byte[] source)
    {
        return new SnapshotHeader(
            new WalIdentity(BinaryPrimitives.ReadUInt64LittleEndian(source.AsSpan(16)), BinaryPrimitives.ReadUInt64LittleEndian(source.AsSpan(24))),
            BinaryPrimitives.ReadUInt32LittleEndian(source.AsSpan(32)),
            new SnapshotInfo(
                BinaryPrimitives.ReadUInt64LittleEndian(source.AsSpan(40)),
                BinaryPrimitives.ReadUInt64LittleEndian(source.AsSpan(48)),
                source.AsMemory(FixedBytes)));
    }

    private static uint Crc(ReadOnlySpan<byte> header)
        => Checksum.Crc32C(Checksum.Crc32C(0, header[..CrcOffset]), header[(CrcOffset + sizeof(uint))..]);
}
