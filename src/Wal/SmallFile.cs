using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>A file that is written once, whole, and never changed. It begins with a magic number (8 bytes) and a version (4), and ends with the CRC-32C of all before it.</summary>
internal static class SmallFile
{
    private const int VersionOffset = 8;
    private const int CrcBytes = 4;

    /// <summary>All of the file, checked; null where there is none.</summary>
    /// <param name="disk">Where it is.</param>
    /// <param name="path">Its path.</param>
    /// <param name="length">Bytes that it must have.</param>
    /// <param name="magic">What it begins with.</param>
    /// <param name="version">The one version that is known.</param>
    /// <param name="what">What it says, for the message where it is damaged.</param>
    /// <exception cref="CorruptionException">The file is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static byte[]? TryRead(IDisk disk, string path, int length, ulong magic, uint version, string what)
    {
        if (!disk.FileExists(path))
        {
            return null;
        }

        using IDiskFile file = disk.Open(path, readOnly: true);
        byte[] bytes = new byte[length];
        if (file.Length != length || file.Read(bytes, 0) != length)
        {
            throw new CorruptionException(path, 0, $"the file has {file.Length} bytes; it must have {length}");
        }

        int end = length - CrcBytes;
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes) != magic || Checksum.Crc32C(0, bytes.AsSpan(0, end)) != BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(end)))
        {
            throw new CorruptionException(path, 0, $"magic or checksum of {what}");
        }

        uint found = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(VersionOffset));
        return found == version ? bytes : throw new WalVersionException(path, found, version);
    }

    /// <summary>Content first, then the name, then the directory: the file is there as a whole or not at all.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public static void Publish(IDisk disk, string directory, string name, ReadOnlySpan<byte> bytes)
    {
        string path = Path.Combine(directory, name);
        string temporary = path + ".tmp";
        if (disk.FileExists(temporary))
        {
            disk.Delete(temporary); // Of an attempt that was cut short.
        }

        using (IDiskFile file = disk.Create(temporary))
        {
            file.Write(bytes, 0);
            file.SyncData();
        }

        disk.Rename(temporary, path);
        disk.SyncDirectory(directory);
    }
}
