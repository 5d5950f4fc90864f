using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>A snapshot file outside a data directory, whatever its name and whosever it is: one that was saved.</summary>
public static class SnapshotFile
{
    /// <summary>Whether the file begins as one. One that does not is something else, not a damaged one.</summary>
    /// <exception cref="DiskException">The disk failed, or there is no such file.</exception>
    public static bool IsOne(IDisk disk, string path)
    {
        ArgumentNullException.ThrowIfNull(disk);
        using IDiskFile file = disk.Open(path, readOnly: true);
        Span<byte> magic = stackalloc byte[sizeof(ulong)];
        return file.Read(magic, 0) == magic.Length && BinaryPrimitives.ReadUInt64LittleEndian(magic) == SnapshotHeader.Magic;
    }

    /// <summary>Opens it for reading its content.</summary>
    /// <exception cref="CorruptionException">Its header is damaged.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed, or there is no such file.</exception>
    public static SnapshotReader OpenRead(IDisk disk, string path)
    {
        ArgumentNullException.ThrowIfNull(disk);
        IDiskFile file = disk.Open(path, readOnly: true);
        try
        {
            SnapshotHeader header = SnapshotHeader.Read(file, clusterId: null, out uint crc);
            return new SnapshotReader(file, header, crc);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Ends the writing of a file that was put together under a temporary name: checks all of it, makes it durable and gives it its name. A file that had the name is replaced.
    /// </summary>
    /// <param name="disk">The disk.</param>
    /// <param name="temporary">The open file.</param>
    /// <param name="path">The name it gets.</param>
    /// <exception cref="CorruptionException">It is damaged, or not whole.</exception>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public static void Publish(IDisk disk, IDiskFile temporary, string path)
    {
        ArgumentNullException.ThrowIfNull(disk);
        ArgumentNullException.ThrowIfNull(temporary);
        SnapshotHeader header = SnapshotHeader.Read(temporary, clusterId: null, out uint crc);
        new SnapshotReader(temporary, header, crc).Verify(); // not disposed: the file stays open until it is published
        SnapshotFiles.Publish(disk, temporary, path);
    }
}
