using MetaStore.Wal;

namespace MetaStore.Testing;

/// <summary>
/// A disk in memory that keeps apart what a program sees and what would survive a power cut. Everything random comes from the
/// <see cref="Random"/> passed in, so a seed gives the same run. Not thread-safe.
/// <para>Writes are durable after a sync of their file, sector by sector (512 bytes); names after a sync of their directory; existing
/// directories always. After a failed sync the unsynced sectors count as clean, as on Linux: no later sync saves them.</para>
/// </summary>
public sealed class FaultyDisk : IDisk
{
    internal const int SectorBytes = 512;

    private readonly Dictionary<string, FaultyDirectory> _directories = new(StringComparer.Ordinal);
    private readonly HashSet<string> _locks = new(StringComparer.Ordinal);
    private string? _misdirectedSuffix;
    private (Inode Inode, long Offset, int Length) _lastWrite;

    /// <summary>An empty disk.</summary>
    public FaultyDisk(Random random)
    {
        Random = random;
    }

    /// <summary>What goes wrong, and how often. May be changed at any time.</summary>
    public DiskFaults Faults { get; set; } = new();

    /// <summary>Operations that change something or make it durable, since the start or <see cref="ResetCounters"/>; numbered from 1.</summary>
    public long Operations { get; private set; }

    /// <summary>Syncs of files.</summary>
    public long Syncs { get; private set; }

    /// <summary>Syncs of directories.</summary>
    public long DirectorySyncs { get; private set; }

    /// <summary>Bytes written.</summary>
    public long BytesWritten { get; private set; }

    /// <summary>Reads.</summary>
    public long Reads { get; private set; }

    /// <summary>Whether the power is off: every operation throws <see cref="SimulatedCrashException"/> until <see cref="Crash"/>.</summary>
    public bool IsPoweredOff { get; private set; }

    /// <summary>Told when <see cref="MisdirectNext"/> has come about.</summary>
    public Action<string>? Misdirected { get; set; }

    /// <summary>A line for each operation, if set.</summary>
    public Action<string>? Trace { get; set; }

    internal Random Random { get; set; }

    internal int Generation { get; private set; }

    /// <summary>A copy of the disk as it is, unsynced state and all, that draws from <paramref name="random"/>. Open files stay with the original.</summary>
    public FaultyDisk Clone(Random random)
    {
        var copy = new FaultyDisk(random) { IsPoweredOff = IsPoweredOff };
        var inodes = new Dictionary<Inode, Inode>();
        foreach ((string path, FaultyDirectory directory) in _directories)
        {
            copy._directories.Add(path, directory.Clone(inodes));
        }

        return copy;
    }

    /// <summary>Sets all counters to zero, so that the next operation is number 1.</summary>
    public void ResetCounters()
    {
        Operations = 0;
        Syncs = 0;
        DirectorySyncs = 0;
        BytesWritten = 0;
        Reads = 0;
    }

    /// <summary>Cuts the power now: operations throw until <see cref="Crash"/>.</summary>
    public void PowerOff() => IsPoweredOff = true;

    /// <summary>
    /// What the machine finds when it comes back: unsynced sectors and names are kept or lost as the policy says, files opened before are dead,
    /// locks are free, and the power is on.
    /// </summary>
    public void Crash(CrashPolicy policy)
    {
        if (policy != CrashPolicy.ProcessKill)
        {
            var seen = new HashSet<Inode>();
            foreach (FaultyDirectory directory in _directories.Values)
            {
                directory.Crash(policy, Random, seen);
            }
        }

        IsPoweredOff = false;
        Generation++;
        _misdirectedSuffix = null;
        _locks.Clear();
    }

    /// <summary>The file's bytes as a program would read them.</summary>
    public byte[] ReadAllBytes(string path) => Find(path, "read").ToArray();

    /// <summary>Puts a file in place, durably, whatever was there.</summary>
    public void WriteAllBytes(string path, ReadOnlySpan<byte> bytes)
    {
        FaultyDirectory directory = DirectoryOf(path);
        var inode = new Inode();
        inode.Write(bytes, 0);
        inode.Sync();
        directory.PutDurable(System.IO.Path.GetFileName(path), inode);
    }

    /// <summary>Bit rot: turns one bit of what is stored and what is cached.</summary>
    public void FlipBit(string path, long offset, int bit) => Find(path, "rot").FlipBit(offset, bit);

    /// <summary>Bit rot at a random place of a random file with the suffix; returns the place, or null where there is no such file.</summary>
    public (string Path, long Offset, int Bit)? FlipRandomBit(string directory, string suffix)
    {
        string[] names = [.. ListNames(directory).Where(name => name.EndsWith(suffix, StringComparison.Ordinal))];
        if (names.Length == 0)
        {
            return null;
        }

        string path = System.IO.Path.Combine(directory, names[Random.Next(names.Length)]);
        long length = Find(path, "rot").Length;
        if (length == 0)
        {
            return null;
        }

        (string Path, long Offset, int Bit) place = (path, Random.NextInt64(length), Random.Next(8));
        FlipBit(place.Path, place.Offset, place.Bit);
        return place;
    }

    /// <summary>
    /// The next write to a file with the suffix that is synced, and does not stand at its beginning, goes astray as well: one of its sectors lands on an
    /// earlier sector of the file too, over what was synced there, unseen. Only once the write itself is durable: until then it could be taken
    /// for a torn one, and with it what it destroyed.
    /// </summary>
    public void MisdirectNext(string suffix) => _misdirectedSuffix = suffix;

    /// <summary>Wipes everything, as a reformat does.</summary>
    public void Reformat()
    {
        _directories.Clear();
        _locks.Clear();
        Generation++;
    }

    /// <inheritdoc/>
    public IDiskFile Create(string path)
    {
        FaultyDirectory directory = DirectoryOf(path);
        string name = System.IO.Path.GetFileName(path);
        Change("create", path, DiskOperation.Create);
        if (directory.Find(name) is not null)
        {
            throw Error("create", path, 17, "File exists");
        }

        var inode = new Inode();
        directory.Link(name, inode);
        return new FaultyFile(this, path, inode, readOnly: false);
    }

    /// <inheritdoc/>
    public IDiskFile Open(string path, bool readOnly)
    {
        ThrowIfPoweredOff();
        return new FaultyFile(this, path, Find(path, "open"), readOnly);
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        ThrowIfPoweredOff();
        return _directories.TryGetValue(Parent(path), out FaultyDirectory? directory) && directory.Find(System.IO.Path.GetFileName(path)) is not null;
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path)
    {
        ThrowIfPoweredOff();
        return _directories.ContainsKey(path);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        ThrowIfPoweredOff();
        return ListNames(directory);
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        ThrowIfPoweredOff();
        for (string? at = path; !string.IsNullOrEmpty(at); at = System.IO.Path.GetDirectoryName(at))
        {
            _directories.TryAdd(at, new FaultyDirectory());
        }
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        FaultyDirectory directory = DirectoryOf(from);
        FaultyDirectory target = DirectoryOf(to);
        Change("rename", $"{from} -> {to}", DiskOperation.Rename);
        Inode inode = Find(from, "rename");
        if (!ReferenceEquals(directory, target))
        {
            // Two directories, two changes: a crash may leave both names, or none.
            target.Link(System.IO.Path.GetFileName(to), inode);
            directory.Unlink(System.IO.Path.GetFileName(from), inode);
            return;
        }

        directory.Rename(System.IO.Path.GetFileName(from), System.IO.Path.GetFileName(to), inode);
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        FaultyDirectory directory = DirectoryOf(path);
        Change("delete", path, DiskOperation.Delete);
        Inode inode = Find(path, "delete");
        directory.Unlink(System.IO.Path.GetFileName(path), inode);
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        if (!_directories.TryGetValue(path, out FaultyDirectory? directory))
        {
            throw Error("sync directory", path, 2, "No such file or directory");
        }

        DirectorySyncs++;
        Change("sync directory", path, DiskOperation.SyncDirectory);
        directory.Sync();
    }

    /// <inheritdoc/>
    public IDisposable LockDirectory(string path)
    {
        ThrowIfPoweredOff();
        return _locks.Add(path) ? new DirectoryLock(this, path, Generation) : throw Error("lock", path, 11, "the data directory is in use");
    }

    internal void CountRead(string path, int generation)
    {
        ThrowIfDead(generation);
        Reads++;
        if (Faults.ReadErrorProbability > 0 && Random.NextDouble() < Faults.ReadErrorProbability)
        {
            throw Error("read", path, DiskFaults.IoError, "Input/output error");
        }
    }

    /// <summary>Writes with all that can go wrong: an error or a power cut may leave a part of it written.</summary>
    internal void Write(Inode inode, string path, ReadOnlySpan<byte> buffer, long offset, int generation)
    {
        ThrowIfDead(generation);

        // Neither a disk nor a page cache tears inside a sector.
        long end = offset + (buffer.IsEmpty ? 0 : Random.Next(buffer.Length));
        int partial = (int)Math.Max(0, end - (end % SectorBytes) - offset);
        try
        {
            Change("write", path, DiskOperation.Write);
        }
        catch (Exception exception) when (exception is DiskException || Faults.CrashLeavesPartialWrite)
        {
            inode.Write(buffer[..partial], offset);
            throw;
        }

        inode.Write(buffer, offset);
        _lastWrite = (inode, offset, buffer.Length);
        BytesWritten += buffer.Length;
    }

    internal void SetLength(Inode inode, string path, long length, int generation)
    {
        ThrowIfDead(generation);
        Change("set length of", path, DiskOperation.SetLength);
        inode.SetLength(length);
    }

    internal void Sync(Inode inode, string path, int generation)
    {
        ThrowIfDead(generation);
        Syncs++;
        try
        {
            Change("sync", path, DiskOperation.Sync);
        }
        catch (DiskException)
        {
            inode.MarkUnsyncedClean();
            throw;
        }

        inode.Sync();
        if (_misdirectedSuffix is { } suffix && path.EndsWith(suffix, StringComparison.Ordinal))
        {
            Misdirect(inode, path);
        }
    }

    private void Misdirect(Inode inode, string path)
    {
        (Inode written, long offset, int length) = _lastWrite;
        int before = (int)(offset / SectorBytes);
        if (!ReferenceEquals(written, inode) || before == 0 || length == 0)
        {
            return;
        }

        _misdirectedSuffix = null;
        int from = before + Random.Next(((int)(offset + length - 1) / SectorBytes) - before + 1);
        int to = Random.Next(before);
        inode.CopySector(from, to);
        Misdirected?.Invoke($"sector {from} of {path} went to sector {to} as well");
    }

    internal static DiskException Error(string operation, string path, int error, string reason) => new(operation, path, error, reason);

    private IReadOnlyList<string> ListNames(string directory)
        => _directories.TryGetValue(directory, out FaultyDirectory? found) ? found.Names() : throw Error("list", directory, 2, "No such file or directory");

    private static string Parent(string path) => System.IO.Path.GetDirectoryName(path) ?? "";

    private FaultyDirectory DirectoryOf(string path)
        => _directories.TryGetValue(Parent(path), out FaultyDirectory? directory) ? directory : throw Error("open", path, 2, "No such file or directory");

    private Inode Find(string path, string operation)
        => DirectoryOf(path).Find(System.IO.Path.GetFileName(path)) ?? throw Error(operation, path, 2, "No such file or directory");

    /// <summary>Counts an operation, and lets it fail or the power go out before it has an effect.</summary>
    private void Change(string operation, string path, DiskOperation kind)
    {
        ThrowIfPoweredOff();
        Operations++;
        Trace?.Invoke($"{Operations} {operation} {path}");
        if (Operations == Faults.PowerOffAtOperation)
        {
            IsPoweredOff = true;
            throw new SimulatedCrashException($"power cut at operation {Operations}: {operation} {path}");
        }

        if (Faults.ErrorFor(kind, Operations, Random) is { } error)
        {
            throw Error(operation, path, error, error == DiskFaults.NoSpace ? "No space left on device" : "Input/output error");
        }
    }

    private void ThrowIfDead(int generation)
    {
        if (generation != Generation)
        {
            throw new SimulatedCrashException("the file was opened before the power cut");
        }

        ThrowIfPoweredOff();
    }

    private void ThrowIfPoweredOff()
    {
        if (IsPoweredOff)
        {
            throw new SimulatedCrashException("the power is off");
        }
    }

    private sealed class DirectoryLock(FaultyDisk disk, string path, int generation) : IDisposable
    {
        public void Dispose()
        {
            if (generation == disk.Generation)
            {
                disk._locks.Remove(path);
            }
        }
    }
}
