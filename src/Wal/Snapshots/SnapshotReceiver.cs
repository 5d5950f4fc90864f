namespace MetaStore.Wal;

/// <summary>Takes in a snapshot file from a peer, piece by piece. Until <see cref="Complete"/> it has a temporary name and does not count.</summary>
public sealed class SnapshotReceiver : IDisposable
{
    private readonly IDisk _disk;
    private readonly string _path;
    private readonly ulong _clusterId;
    private readonly uint _groupId;
    private readonly SnapshotInfo _info;
    private readonly IDiskFile _file;
    private bool _isOpen = true;

    internal SnapshotReceiver(IDisk disk, string partPath, string path, ulong clusterId, uint groupId, SnapshotInfo info, ulong length)
    {
        _disk = disk;
        _path = path;
        _clusterId = clusterId;
        _groupId = groupId;
        _info = info;
        Length = length;
        _file = disk.Create(partPath);
    }

    /// <summary>Bytes of the whole file.</summary>
    public ulong Length { get; }

    /// <summary>Bytes taken so far: the offset at which the next piece must begin.</summary>
    public ulong BytesHeld { get; private set; }

    /// <summary>Takes the next piece.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not begin at <see cref="BytesHeld"/>, or goes beyond <see cref="Length"/>. Nothing was taken.</exception>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public void WriteAt(ulong offset, ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        ArgumentOutOfRangeException.ThrowIfNotEqual(offset, BytesHeld);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((ulong)bytes.Length, Length - BytesHeld, nameof(bytes));
        _file.Write(bytes, checked((long)offset));
        BytesHeld += (ulong)bytes.Length;
    }

    /// <summary>
    /// Checks the whole file and gives it its name. When this returns the snapshot is on stable storage. It must be of this cluster, this group
    /// and the announced index and term; which node wrote it does not matter.
    /// </summary>
    /// <exception cref="CorruptionException">It is damaged, not complete, or not the one announced.</exception>
    /// <exception cref="WalIdentityException">It is of another cluster.</exception>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        if (BytesHeld != Length)
        {
            throw new CorruptionException(_file.Path, checked((long)BytesHeld), $"{BytesHeld} of {Length} bytes were received");
        }

        SnapshotHeader header = SnapshotHeader.Read(_file, _clusterId, out uint crc);
        SnapshotReader.RequireNamed(_file, header, _groupId, _info.Index, _info.Term);
        if (!header.Info.Equals(_info))
        {
            throw new CorruptionException(_file.Path, SnapshotHeader.FixedBytes, "the voters are not the ones announced");
        }

        new SnapshotReader(_file, header, crc).Verify(); // not disposed: the file stays open until it is published
        SnapshotFiles.Publish(_disk, _file, _path);
        _isOpen = false;
    }

    /// <summary>Removes what was received, unless it is complete.</summary>
    public void Dispose()
    {
        if (_isOpen)
        {
            _isOpen = false;
            SnapshotFiles.Abandon(_disk, _file);
        }
    }
}
