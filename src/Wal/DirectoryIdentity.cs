using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// The file <c>directory.id</c>: whose the data directory is, and a name of its own, drawn when it was made. A member that comes back with
/// another one has lost everything it ever promised, and its peers must not count on it.
/// <code>
///  offset  bytes
///       0      8  magic "METADIR\n"
///       8      4  format version, 1
///      12      4  zero
///      16      8  cluster id
///      24      8  node id
///      32      8  directory id; not 0
///      40      4  CRC-32C of the 40 bytes before it
/// </code>
/// Little-endian. Part of the disk format: never renumber, never move. Written once, after the log was made: where it is, a log must be.
/// </summary>
public sealed record DirectoryIdentity(WalIdentity Identity, ulong DirectoryId)
{
    /// <summary>The file within a data directory.</summary>
    internal const string FileName = "directory.id";
    private const ulong Magic = 0x0A5249444154454D; // "METADIR\n"
    private const uint Version = 1;
    private const int Bytes = 44;
    private const int CrcOffset = 40;

    /// <summary>What the directory says of itself, or null where it says nothing.</summary>
    /// <exception cref="CorruptionException">The file is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static DirectoryIdentity? TryRead(IDisk disk, string directory)
    {
        ArgumentNullException.ThrowIfNull(disk);
        return SmallFile.TryRead(disk, Path.Combine(directory, FileName), Bytes, Magic, Version, "the directory's name") is { } bytes
            ? new DirectoryIdentity(
                new WalIdentity(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(16)), BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(24))),
                BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(32)))
            : null;
    }

    /// <summary>Reads the name of the directory, or gives it one.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The data directory; its log exists already.</param>
    /// <param name="identity">Whose it must be.</param>
    /// <param name="draw">Draws a name.</param>
    /// <exception cref="CorruptionException">The file is damaged.</exception>
    /// <exception cref="WalIdentityException">It is another's.</exception>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public static DirectoryIdentity ReadOrCreate(IDisk disk, string directory, WalIdentity identity, Func<ulong> draw)
    {
        ArgumentNullException.ThrowIfNull(draw);
        DirectoryIdentity? known = TryRead(disk, directory);
        if (known is not null)
        {
            return known.Identity == identity ? known : throw new WalIdentityException(Path.Combine(directory, FileName), known.Identity, identity);
        }

        ulong id = draw();
        while (id == 0)
        {
            id = draw();
        }

        var made = new DirectoryIdentity(identity, id);
        made.Write(disk, directory);
        return made;
    }

    private void Write(IDisk disk, string directory)
    {
        byte[] bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), Identity.ClusterId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), Identity.NodeId);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(32), DirectoryId);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), Checksum.Crc32C(0, bytes.AsSpan(0, CrcOffset)));
        SmallFile.Publish(disk, directory, FileName, bytes);
    }
}
