using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>A disk that tells how long the syncs of its log and of its snapshots take, and how much is written to the log. It hands on everything, failures too, as it comes.</summary>
internal sealed class MeasuredDisk(IDisk inner, TimeProvider time) : IDisk
{
    private const string LogSuffix = ".wal";

    private long _logBytesWritten;

    /// <summary>Syncs of the log's segments.</summary>
    public DurationHistogram LogSyncs { get; } = DurationHistogram.OfDisk();

    /// <summary>Syncs of all other files.</summary>
    public DurationHistogram OtherSyncs { get; } = DurationHistogram.OfDisk();

    /// <summary>Bytes written to the log's segments.</summary>
    public long LogBytesWritten => Interlocked.Read(ref _logBytesWritten);

    public IDiskFile Create(string path) => new MeasuredFile(inner.Create(path), this);

    public IDiskFile Open(string path, bool readOnly) => new MeasuredFile(inner.Open(path, readOnly), this);

    public bool FileExists(string path) => inner.FileExists(path);

    public bool DirectoryExists(string path) => inner.DirectoryExists(path);

    public IReadOnlyList<string> ListFiles(string directory) => inner.ListFiles(directory);

    public void CreateDirectory(string path) => inner.CreateDirectory(path);

    public void Rename(string from, string to) => inner.Rename(from, to);

    public void Delete(string path) => inner.Delete(path);

    public void SyncDirectory(string path) => inner.SyncDirectory(path);

    public IDisposable LockDirectory(string path) => inner.LockDirectory(path);

    private static bool IsLog(IDiskFile file) => file.Path.EndsWith(LogSuffix, StringComparison.Ordinal);

    private void Write(IDiskFile file, ReadOnlySpan<byte> buffer, long offset)
    {
        file.Write(buffer, offset);
        if (IsLog(file))
        {
            Interlocked.Add(ref _logBytesWritten, buffer.Length);
        }
    }

    private void Sync(IDiskFile file)
    {
        long start = time.GetTimestamp();
        file.SyncData();
        (IsLog(file) ? LogSyncs : OtherSyncs).Add(time.GetElapsedTime(start));
    }

    private sealed class MeasuredFile(IDiskFile inner, MeasuredDisk disk) : IDiskFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public void Rename(string to) => inner.Rename(to);

        public int Read(Span<byte> buffer, long offset) => inner.Read(buffer, offset);

        public void Write(ReadOnlySpan<byte> buffer, long offset) => disk.Write(inner, buffer, offset);

        public void SetLength(long length) => inner.SetLength(length);

        public void SyncData() => disk.Sync(inner);

        public void Dispose() => inner.Dispose();
    }
}
