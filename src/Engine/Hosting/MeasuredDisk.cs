using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>A disk that tells how long the syncs of its log and of its snapshots take. It hands on everything, failures too, as it comes.</summary>
internal sealed class MeasuredDisk(IDisk inner, TimeProvider time) : IDisk
{
    private const string LogSuffix = ".wal";

    /// <summary>Syncs of the log's segments.</summary>
    public DurationHistogram LogSyncs { get; } = DurationHistogram.OfDisk();

    /// <summary>Syncs of all other files.</summary>
    public DurationHistogram OtherSyncs { get; } = DurationHistogram.OfDisk();

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

    private void Sync(IDiskFile file)
    {
        long start = time.GetTimestamp();
        file.SyncData();
        (file.Path.EndsWith(LogSuffix, StringComparison.Ordinal) ? LogSyncs : OtherSyncs).Add(time.GetElapsedTime(start));
    }

    private sealed class MeasuredFile(IDiskFile inner, MeasuredDisk disk) : IDiskFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public void Rename(string to) => inner.Rename(to);

        public int Read(Span<byte> buffer, long offset) => inner.Read(buffer, offset);

        public void Write(ReadOnlySpan<byte> buffer, long offset) => inner.Write(buffer, offset);

        public void SetLength(long length) => inner.SetLength(length);

        public void SyncData() => disk.Sync(inner);

        public void Dispose() => inner.Dispose();
    }
}
