namespace MetaStore.Wal;

/// <summary>Writes one snapshot file. Until <see cref="Complete"/> it has a temporary name and does not count.</summary>
public sealed class SnapshotWriter : IDisposable
{
    private readonly IDisk _disk;
    private readonly string _path;
    private readonly IDiskFile _file;
    private readonly SnapshotEncoder _encoder;
    private long _offset;
    private bool _isOpen = true;

    internal SnapshotWriter(IDisk disk, string temporaryPath, string path, WalIdentity identity, uint groupId, SnapshotInfo info)
    {
        _disk = disk;
        _path = path;
        _file = disk.Create(temporaryPath);
        try
        {
            _encoder = new SnapshotEncoder(identity, groupId, info, Append);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes of content written so far.</summary>
    public ulong PayloadBytes => _encoder.PayloadBytes;

    /// <summary>Appends to the content.</summary>
    /// <exception cref="DiskException">The disk failed or is full: the snapshot cannot be completed.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        _encoder.Write(bytes);
    }

    /// <summary>Ends the content and gives the file its name. When this returns the snapshot is on stable storage.</summary>
    /// <exception cref="DiskException">The disk failed or is full: there is no such snapshot.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        _encoder.Complete();
        SnapshotFiles.Publish(_disk, _file, _path);
        _isOpen = false;
    }

    /// <summary>Removes what was written, unless it is complete.</summary>
    public void Dispose()
    {
        if (_isOpen)
        {
            _isOpen = false;
            SnapshotFiles.Abandon(_disk, _file);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _file.Write(bytes, _offset);
        _offset += bytes.Length;
    }
}

/// <summary>How a snapshot file gets its name, or goes.</summary>
internal static class SnapshotFiles
{
    /// <summary>Content first, then the name, then the directory: at no moment does the name stand for a file that is not all there.</summary>
    public static void Publish(IDisk disk, IDiskFile file, string path)
    {
        if (!KnownBugs.LogCutBeforeSnapshotIsDurable)
        {
            file.SyncData();
        }

        file.Dispose();
        disk.Rename(file.Path, path);
        if (!KnownBugs.DirectoryNotSynced)
        {
            disk.SyncDirectory(Path.GetDirectoryName(path)!);
        }
    }

    public static void Abandon(IDisk disk, IDiskFile file)
    {
        file.Dispose();
        try
        {
            disk.Delete(file.Path);
        }
        catch (DiskException)
        {
            // It does not count under its temporary name, and the next start removes it.
        }
    }
}
