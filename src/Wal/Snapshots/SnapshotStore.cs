namespace MetaStore.Wal;

/// <summary>
/// The snapshot files of a data directory, <c>snap/*.snap</c>. A file gets its name only when all of it is on stable storage.
/// One thread a time; files it hands out may be used by other threads.
/// </summary>
public sealed class SnapshotStore
{
    /// <summary>Directory of the snapshots within a data directory.</summary>
    internal const string DirectoryName = "snap";

    private const string TemporarySuffix = ".tmp";
    private const string PartSuffix = ".part";

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly WalIdentity _identity;

    /// <summary>The snapshots in the data directory <paramref name="directory"/>. Changes nothing: their place is made when it is first needed.</summary>
    public SnapshotStore(IDisk disk, string directory, WalIdentity identity)
    {
        _disk = disk;
        _directory = Path.Combine(directory, DirectoryName);
        _identity = identity;
    }

    /// <summary>The group's snapshots, the newest (highest index) first. Headers are read and checked; contents are not.</summary>
    /// <exception cref="CorruptionException">A snapshot's header is damaged. The log may rely on that snapshot, so it is not passed over.</exception>
    /// <exception cref="WalIdentityException">A snapshot is of another cluster.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public IReadOnlyList<SnapshotInfo> List(uint groupId)
    {
        var found = new List<SnapshotInfo>();
        foreach (string name in _disk.DirectoryExists(_directory) ? _disk.ListFiles(_directory) : [])
        {
            if (SnapshotHeader.TryParseFileName(name, out uint group, out ulong index, out ulong term) && group == groupId)
            {
                using IDiskFile file = OpenChecked(groupId, index, term, out SnapshotHeader header, out _);
                found.Add(header.Info);
            }
        }

        // By number, not by name: "newest" must survive any change of how names are written.
        found.Sort((left, right) => KnownBugs.NewestSnapshotByTermText
            ? string.CompareOrdinal($"{right.Term}", $"{left.Term}")
            : (right.Index, right.Term).CompareTo((left.Index, left.Term)));
        return found;
    }

    /// <summary>Begins a snapshot under a temporary name.</summary>
    /// <exception cref="DiskException">The disk failed or is full, or the same snapshot is being written.</exception>
    public SnapshotWriter Create(uint groupId, SnapshotInfo info)
    {
        ArgumentOutOfRangeException.ThrowIfZero(info.Index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(info.Configuration.Length, SnapshotInfo.ConfigurationBytesMax);
        _disk.CreateDirectory(_directory);
        string path = PathOf(groupId, info.Index, info.Term);
        return new SnapshotWriter(_disk, path + TemporarySuffix, path, new SnapshotHeader(_identity, groupId, info));
    }

    /// <summary>Opens a snapshot for reading its content.</summary>
    /// <exception cref="CorruptionException">Its header or length is damaged.</exception>
    /// <exception cref="WalIdentityException">It is of another cluster.</exception>
    /// <exception cref="DiskException">The disk failed, or there is no such snapshot.</exception>
    public SnapshotReader OpenRead(uint groupId, SnapshotInfo info)
    {
        IDiskFile file = OpenChecked(groupId, info.Index, info.Term, out SnapshotHeader header, out uint crc);
        return new SnapshotReader(file, header, crc);
    }

    /// <summary>Opens the file as it is, to be sent to a peer in pieces.</summary>
    /// <exception cref="DiskException">The disk failed, or there is no such snapshot.</exception>
    public IDiskFile OpenRaw(uint groupId, SnapshotInfo info) => _disk.Open(PathOf(groupId, info.Index, info.Term), readOnly: true);

    /// <summary>Begins to take in a snapshot file of <paramref name="length"/> bytes from a peer.</summary>
    /// <exception cref="DiskException">The disk failed or is full, or the same snapshot is being received.</exception>
    public SnapshotReceiver Receive(uint groupId, SnapshotInfo info, ulong length)
    {
        _disk.CreateDirectory(_directory);
        string path = PathOf(groupId, info.Index, info.Term);
        return new SnapshotReceiver(_disk, path + PartSuffix, path, _identity.ClusterId, groupId, info, length);
    }

    /// <summary>
    /// Removes the group's snapshots before <paramref name="index"/>; the one at it and all newer stay. Does nothing where none would be left.
    /// </summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public void DeleteOlderThan(uint groupId, ulong index)
    {
        var older = new List<string>();
        bool isOneLeft = false;
        foreach (string name in _disk.ListFiles(_directory))
        {
            if (SnapshotHeader.TryParseFileName(name, out uint group, out ulong found, out _) && group == groupId)
            {
                if (found < index)
                {
                    older.Add(name);
                }
                else
                {
                    isOneLeft = true;
                }
            }
        }

        if (!isOneLeft || older.Count == 0)
        {
            return;
        }

        // The name of the newer one must be durable before the older is gone.
        _disk.SyncDirectory(_directory);
        foreach (string name in older)
        {
            _disk.Delete(Path.Combine(_directory, name));
        }

        _disk.SyncDirectory(_directory);
    }

    /// <summary>Removes one that is of no use to this node. The log must not rely on it.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public void Delete(uint groupId, SnapshotInfo info)
    {
        _disk.Delete(PathOf(groupId, info));
        _disk.SyncDirectory(_directory);
    }

    /// <summary>Makes the place for snapshots, and removes what a crash left half written or half received. At start, before anything is written.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public void DeleteTemporary()
    {
        _disk.CreateDirectory(_directory);
        foreach (string name in _disk.ListFiles(_directory))
        {
            if (name.EndsWith(TemporarySuffix, StringComparison.Ordinal) || name.EndsWith(PartSuffix, StringComparison.Ordinal))
            {
                _disk.Delete(Path.Combine(_directory, name));
            }
        }

        // Also makes durable a name that was given just before the program was killed, and will now be relied on.
        _disk.SyncDirectory(_directory);
    }

    /// <summary>Where a snapshot is.</summary>
    public string PathOf(uint groupId, SnapshotInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        return PathOf(groupId, info.Index, info.Term);
    }

    private string PathOf(uint groupId, ulong index, ulong term) => Path.Combine(_directory, SnapshotHeader.FileName(groupId, index, term));

    private IDiskFile OpenChecked(uint groupId, ulong index, ulong term, out SnapshotHeader header, out uint crc)
    {
        IDiskFile file = _disk.Open(PathOf(groupId, index, term), readOnly: true);
        try
        {
            header = SnapshotHeader.Read(file, _identity.ClusterId, out crc);
            SnapshotReader.RequireNamed(file, header, groupId, index, term);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}
