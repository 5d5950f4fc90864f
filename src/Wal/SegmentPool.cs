using System.Globalization;

namespace MetaStore.Wal;

/// <summary>
/// The files that the next segments are made of: <c>wal/NNNNNNNNNNNNNNNN.spare</c>. Only blocks that were written before make a sync
/// cheap (nothing but data has to go out), so a spare is a segment nobody needs any more, or a file filled with real zeros ahead of need,
/// in slices that hold nobody up. What a spare contains means nothing.
/// </summary>
internal sealed class SegmentPool
{
    private const string Suffix = ".spare";
    private const int SliceBytes = 256 * 1024;

    /// <summary>Filled bytes between two syncs, so that no sync has the whole segment to write.</summary>
    private const int BytesPerSync = 4 * 1024 * 1024;

    private static readonly byte[] Zeros = new byte[SliceBytes];

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly WalOptions _options;
    private readonly Queue<string> _spares = new();
    private IDiskFile? _filling;
    private long _filled;
    private long _unsynced;
    private bool _fillingFailed;
    private ulong _nextNumber;

    private SegmentPool(IDisk disk, string directory, WalOptions options)
    {
        _disk = disk;
        _directory = directory;
        _options = options;
    }

    /// <summary>Bytes of all spare files.</summary>
    public long DiskBytes { get; private set; }

    public bool WantsMore => _spares.Count < _options.RecycledSegmentsMax;

    /// <summary>
    /// Removes the spares of former runs. One of them may be a file whose sync failed: it looks whole while the system holds it, and no later sync
    /// makes its length durable, so as a segment it could be found empty after a power cut.
    /// </summary>
    public static SegmentPool Open(IDisk disk, string directory, WalOptions options)
    {
        var pool = new SegmentPool(disk, directory, options);
        foreach (string name in disk.ListFiles(directory))
        {
            if (!name.EndsWith(Suffix, StringComparison.Ordinal))
            {
                continue;
            }

            string path = Path.Combine(directory, name);
            if (ulong.TryParse(name.AsSpan(0, name.Length - Suffix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong number))
            {
                pool._nextNumber = Math.Max(pool._nextNumber, number + 1);
            }

            disk.Delete(path);
        }

        return pool;
    }

    /// <summary>Does one slice of the work of having the next segment ready. A full disk is not an error before the segment is needed.</summary>
    public void PrepareAhead()
    {
        if (_fillingFailed || (_filling is null && _spares.Count > 0))
        {
            return;
        }

        try
        {
            FillSlice(SliceBytes);
        }
        catch (DiskException)
        {
            _fillingFailed = true;
            AbandonFilling();
        }
    }

    /// <summary>
    /// An open file of at least <paramref name="bytes"/> bytes, all of them written before, for the next segment; its name is a spare's.
    /// </summary>
    public IDiskFile Take(long bytes)
    {
        _fillingFailed = false;
        if (bytes > _options.SegmentBytes)
        {
            return FillAtOnce(bytes);
        }

        if (_spares.TryDequeue(out string? path))
        {
            DiskBytes -= _options.SegmentBytes;
            return _disk.Open(path, readOnly: false);
        }

        while (_spares.Count == 0)
        {
            FillSlice(BytesPerSync);
        }

        return Take(bytes);
    }

    /// <summary>A name for a file to become a spare; <see cref="Add"/> it when it is one.</summary>
    public string NewPath() => Path.Combine(_directory, (_nextNumber++).ToString("x16", CultureInfo.InvariantCulture) + Suffix);

    public void Add(string path)
    {
        _spares.Enqueue(path);
        DiskBytes += _options.SegmentBytes;
    }

    public void Close() => _filling?.Dispose();

    private void FillSlice(int bytes)
    {
        if (_filling is null)
        {
            _filling = _disk.Create(NewPath());
            _filled = 0;
            _unsynced = 0;
        }

        long end = Math.Min(_filled + bytes, _options.SegmentBytes);
        while (_filled < end)
        {
            int slice = (int)Math.Min(Zeros.Length, end - _filled);
            _filling.Write(Zeros.AsSpan(0, slice), _filled);
            _filled += slice;
            _unsynced += slice;
        }

        bool isFull = _filled == _options.SegmentBytes;
        if (isFull || _unsynced >= BytesPerSync)
        {
            _filling.SyncData();
            _unsynced = 0;
        }

        if (isFull)
        {
            string path = _filling.Path;
            _filling.Dispose();
            _filling = null;
            Add(path);
        }
    }

    private IDiskFile FillAtOnce(long bytes)
    {
        IDiskFile file = _disk.Create(NewPath());
        for (long at = 0; at < bytes; at += Zeros.Length)
        {
            file.Write(Zeros.AsSpan(0, (int)Math.Min(Zeros.Length, bytes - at)), at);
        }

        file.SyncData();
        return file;
    }

    private void AbandonFilling()
    {
        if (_filling is not { } file)
        {
            return;
        }

        _filling = null;
        file.Dispose();
        try
        {
            _disk.Delete(file.Path);
        }
        catch (DiskException)
        {
            // It is in nobody's way: the next start removes it.
        }
    }
}
