using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// The file <c>recovering</c>: the member has lost a part of what it had acknowledged, and must not vote before its log has caught up with
/// its peers. Written when a damaged directory is repaired, removed when the member has caught up.
/// <code>
///  offset  bytes
///       0      8  magic "METAREC\n"
///       8      4  format version, 1
///      12      4  zero
///      16      8  cluster id
///      24      8  node id
///      32      4  CRC-32C of the 32 bytes before it
/// </code>
/// Little-endian. Part of the disk format: never renumber, never move. That the file is there is what counts: one that cannot be read says the same.
/// </summary>
public static class RecoveryMarker
{
    /// <summary>The file within a data directory.</summary>
    internal const string FileName = "recovering";

    internal const int Bytes = 36;
    private const ulong Magic = 0x0A4345524154454D; // "METAREC\n"
    private const uint Version = 1;
    private const int CrcOffset = 32;

    /// <summary>Whether the member of this directory is recovering.</summary>
    public static bool Exists(IDisk disk, string directory)
    {
        ArgumentNullException.ThrowIfNull(disk);
        return disk.FileExists(Path.Combine(directory, FileName));
    }

    /// <summary>Makes the member a recovering one, durably.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    internal static void Write(IDisk disk, string directory, WalIdentity identity)
    {
        byte[] bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), identity.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), identity.NodeId);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), Checksum.Crc32C(0, bytes.AsSpan(0, CrcOffset)));
        SmallFile.Publish(disk, directory, FileName, bytes);
    }

    /// <summary>The member has caught up. What it has caught up with must be durable by now.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    internal static void Remove(IDisk disk, string directory)
    {
        if (Exists(disk, directory))
        {
            disk.Delete(Path.Combine(directory, FileName));
            disk.SyncDirectory(directory);
        }
    }
}
