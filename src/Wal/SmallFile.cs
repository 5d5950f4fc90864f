namespace MetaStore.Wal;

/// <summary>A file that is written once, whole, and never changed.</summary>
internal static class SmallFile
{
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
