using MetaStore.Wal;

namespace MetaStore.Testing;

/// <summary>An open file of a <see cref="FaultyDisk"/>; dead after a crash.</summary>
internal sealed class FaultyFile(FaultyDisk disk, string path, Inode inode, bool readOnly) : IDiskFile
{
    private readonly int _generation = disk.Generation;

    public string Path { get; private set; } = path;

    public void Rename(string to)
    {
        disk.Rename(Path, to);
        Path = to;
    }

    public long Length => inode.Length;

    public int Read(Span<byte> buffer, long offset)
    {
        disk.CountRead(Path, _generation);
        return inode.Read(buffer, offset);
    }

    public void Write(ReadOnlySpan<byte> buffer, long offset)
    {
        ThrowIfReadOnly();
        disk.Write(inode, Path, buffer, offset, _generation);
    }

    public void SetLength(long length)
    {
        ThrowIfReadOnly();
        disk.SetLength(inode, Path, length, _generation);
    }

    public void SyncData() => disk.Sync(inode, Path, _generation);

    public void Dispose()
    {
        // Nothing is held; closing makes nothing durable.
    }

    private void ThrowIfReadOnly()
    {
        if (readOnly)
        {
            throw FaultyDisk.Error("write", Path, 9, "Bad file descriptor");
        }
    }
}

/// <summary>
/// The content of a file: as seen now, and for each sector written since the last sync, what the disk holds in its place.
/// </summary>
internal sealed class Inode
{
    private const int SectorBytes = FaultyDisk.SectorBytes;

    // In the order of first writing. A sector beyond the durable length holds zeros there.
    private readonly OrderedDictionary<int, byte[]> _durable = [];
    private readonly HashSet<int> _wronglyClean = [];
    private byte[] _content = [];
    private long? _durableLength;

    public long Length { get; private set; }

    public byte[] ToArray() => _content.AsSpan(0, (int)Length).ToArray();

    public int Read(Span<byte> buffer, long offset)
    {
        int count = (int)Math.Clamp(Length - offset, 0, buffer.Length);
        if (count > 0)
        {
            _content.AsSpan((int)offset, count).CopyTo(buffer);
        }

        return count;
    }

    public void Write(ReadOnlySpan<byte> buffer, long offset)
    {
        if (buffer.IsEmpty)
        {
            return;
        }

        int end = checked((int)offset + buffer.Length);
        Reserve(end);
        Remember((int)offset, end);
        buffer.CopyTo(_content.AsSpan((int)offset));
        if (end > Length)
        {
            _durableLength ??= Length;
            Length = end;
        }
    }

    public void SetLength(long length)
    {
        int first = (int)Math.Min(length, Length);
        int end = (int)Math.Max(length, Length);
        Reserve(end);
        Remember(first, end);
        _content.AsSpan(first, end - first).Clear();
        _durableLength ??= Length;
        Length = length;
    }

    public void Sync()
    {
        if (_wronglyClean.Count == 0)
        {
            _durable.Clear();
            _durableLength = null;
            return;
        }

        // What a failed sync has lost stays lost; the length with it, for it was part of that.
        foreach (int sector in _durable.Keys.Where(sector => !_wronglyClean.Contains(sector)).ToArray())
        {
            _durable.Remove(sector);
        }
    }

    public void MarkUnsyncedClean() => _wronglyClean.UnionWith(_durable.Keys);

    public void FlipBit(long offset, int bit)
    {
        byte mask = (byte)(1 << bit);
        _content[offset] ^= mask;
        int sector = (int)offset / SectorBytes;
        if (_durable.TryGetValue(sector, out byte[]? old))
        {
            old[offset - (sector * (long)SectorBytes)] ^= mask;
        }
    }

    /// <summary>Overwrites a sector that is durable with a copy of another, durably.</summary>
    public void CopySector(int from, int to)
    {
        int bytes = (int)Math.Min(SectorBytes, Length - (from * (long)SectorBytes));
        _content.AsSpan(from * SectorBytes, bytes).CopyTo(_content.AsSpan(to * SectorBytes));
    }

    public Inode Clone()
    {
        var copy = new Inode { _content = (byte[])_content.Clone(), _durableLength = _durableLength, Length = Length };
        foreach ((int sector, byte[] old) in _durable)
        {
            copy._durable.Add(sector, (byte[])old.Clone());
        }

        copy._wronglyClean.UnionWith(_wronglyClean);
        return copy;
    }

    public void Crash(CrashPolicy policy, Random random)
    {
        int prefix = policy == CrashPolicy.KeepPrefix ? random.Next(_durable.Count + 1) : 0;
        for (int i = 0; i < _durable.Count; i++)
        {
            bool keep = policy switch
            {
                CrashPolicy.LoseAll => false,
                CrashPolicy.KeepAll => true,
                CrashPolicy.KeepPrefix => i < prefix,
                _ => random.Next(2) == 0,
            };
            (int sector, byte[] old) = _durable.GetAt(i);
            if (!keep)
            {
                old.CopyTo(_content.AsSpan(sector * SectorBytes));
            }
        }

        bool keepLength = policy switch
        {
            CrashPolicy.LoseAll => false,
            CrashPolicy.KeepAll => true,
            _ => random.Next(2) == 0,
        };
        if (_durableLength is { } length && !keepLength)
        {
            Reserve((int)length);
            Length = length;
            _content.AsSpan((int)length).Clear();
        }

        _durable.Clear();
        _wronglyClean.Clear();
        _durableLength = null;
    }

    /// <summary>Keeps what the disk holds of the sectors that [start, end) touches; they are unsynced now.</summary>
    private void Remember(int start, int end)
    {
        for (int sector = start / SectorBytes; sector * SectorBytes < end; sector++)
        {
            _wronglyClean.Remove(sector);
            if (!_durable.ContainsKey(sector))
            {
                _durable.Add(sector, _content.AsSpan(sector * SectorBytes, SectorBytes).ToArray());
            }
        }
    }

    private void Reserve(int bytes)
    {
        int rounded = (bytes + SectorBytes - 1) / SectorBytes * SectorBytes;
        if (rounded > _content.Length)
        {
            Array.Resize(ref _content, Math.Max(rounded, _content.Length * 2));
        }
    }
}

/// <summary>The names in a directory: as seen now, and what has been done to them since the last sync.</summary>
internal sealed class FaultyDirectory
{
    private readonly Dictionary<string, Inode> _durable = new(StringComparer.Ordinal);
    private readonly List<Change> _unsynced = [];
    private Dictionary<string, Inode> _names = new(StringComparer.Ordinal);

    public Inode? Find(string name) => _names.GetValueOrDefault(name);

    public string[] Names()
    {
        string[] names = [.. _names.Keys];
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }

    public void Link(string name, Inode inode) => Do(new Change(null, name, inode));

    public void Unlink(string name, Inode inode) => Do(new Change(name, null, inode));

    public void Rename(string from, string to, Inode inode) => Do(new Change(from, to, inode));

    public void Sync()
    {
        foreach (Change change in _unsynced)
        {
            change.Apply(_durable);
        }

        _unsynced.Clear();
    }

    public void PutDurable(string name, Inode inode)
    {
        _names[name] = inode;
        _durable[name] = inode;
    }

    public void Crash(CrashPolicy policy, Random random, HashSet<Inode> seen)
    {
        int prefix = policy == CrashPolicy.KeepPrefix ? random.Next(_unsynced.Count + 1) : 0;
        for (int i = 0; i < _unsynced.Count; i++)
        {
            bool keep = policy switch
            {
                CrashPolicy.LoseAll => false,
                CrashPolicy.KeepAll => true,
                CrashPolicy.KeepPrefix => i < prefix,
                _ => random.Next(2) == 0,
            };
            if (keep)
            {
                _unsynced[i].Apply(_durable);
            }
        }

        _unsynced.Clear();
        _names = new Dictionary<string, Inode>(_durable, StringComparer.Ordinal);
        foreach (Inode inode in _names.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Value))
        {
            if (seen.Add(inode))
            {
                inode.Crash(policy, random);
            }
        }
    }

    public FaultyDirectory Clone(Dictionary<Inode, Inode> inodes)
    {
        var copy = new FaultyDirectory();
        foreach ((string name, Inode inode) in _names)
        {
            copy._names.Add(name, CloneOf(inode, inodes));
        }

        foreach ((string name, Inode inode) in _durable)
        {
            copy._durable.Add(name, CloneOf(inode, inodes));
        }

        copy._unsynced.AddRange(_unsynced.Select(change => change with { Inode = CloneOf(change.Inode, inodes) }));
        return copy;
    }

    private static Inode CloneOf(Inode inode, Dictionary<Inode, Inode> inodes)
    {
        if (!inodes.TryGetValue(inode, out Inode? copy))
        {
            copy = inode.Clone();
            inodes.Add(inode, copy);
        }

        return copy;
    }

    private void Do(Change change)
    {
        change.Apply(_names);
        _unsynced.Add(change);
    }

    /// <summary>A rename takes effect as one: both names or none.</summary>
    private sealed record Change(string? From, string? To, Inode Inode)
    {
        public void Apply(Dictionary<string, Inode> names)
        {
            if (From is not null && names.TryGetValue(From, out Inode? current) && ReferenceEquals(current, Inode))
            {
                names.Remove(From);
            }

            if (To is not null)
            {
                names[To] = Inode;
            }
        }
    }
}
