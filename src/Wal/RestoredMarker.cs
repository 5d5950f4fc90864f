using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// The file <c>restored</c>: the directory was made from a saved snapshot. The ids of such a cluster and its members are new ones, which nobody else can have; the file says in
/// place of which the directory has them: those that follow from the configuration that the member is started with.
/// <code>
///  offset  bytes
///       0      8  magic "METARES\n"
///       8      4  format version, 1
///      12      4  zero
///      16      8  cluster id of the configuration
///      24      8  node id of the configuration
///      32      4  CRC-32C of the 32 bytes before it
/// </code>
/// Little-endian. Part of the disk format: never renumber, never move. Written once, before <c>directory.id</c>.
/// </summary>
public static class RestoredMarker
{
    /// <summary>The file within a data directory.</summary>
    internal const string FileName = "restored";

    internal const int Bytes = 36;
    private const ulong Magic = 0x0A5345524154454D; // "METARES\n"
    private const uint Version = 1;
    private const int CrcOffset = 32;

    /// <summary>The configured ids that the directory stands for, or null where it was not restored.</summary>
    /// <exception cref="CorruptionException">The file is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static WalIdentity? TryRead(IDisk disk, string directory)
    {
        ArgumentNullException.ThrowIfNull(disk);
        return SmallFile.TryRead(disk, Path.Combine(directory, FileName), Bytes, Magic, Version, "the word on what the directory was restored for") is { } bytes
            ? new WalIdentity(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(16)), BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(24)))
            : null;
    }

    /// <summary>Says for which configured ids the directory stands.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public static void Write(IDisk disk, string directory, WalIdentity configured) => SmallFile.Publish(disk, directory, FileName, Encode(configured));

    internal static byte[] Encode(WalIdentity configured)
    {
        byte[] bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), configured.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), configured.NodeId);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), Checksum.Crc32C(0, bytes.AsSpan(0, CrcOffset)));
        return bytes;
    }
}
