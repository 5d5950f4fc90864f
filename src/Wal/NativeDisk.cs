namespace MetaStore.Wal;

/// <summary>
/// The stable storage of this machine. Calls the operating system itself, for the runtime's own sync hides failures on Linux and
/// has no sync of a directory at all. Interrupted calls are repeated and short writes continued; a sync is called once, and any failure of it thrown.
/// </summary>
public sealed class NativeDisk : IDisk
{
    private const string LockFileName = "lock";

    private readonly INativeFiles _files = CreateForThisSystem();

    /// <inheritdoc/>
    public IDiskFile Create(string path) => new NativeDiskFile(_files, _files.Create(path), path);

    /// <inheritdoc/>
    public IDiskFile Open(string path, bool readOnly) => new NativeDiskFile(_files, _files.Open(path, readOnly), path);

    /// <inheritdoc/>
    public bool FileExists(string path) => File.Exists(path);

    /// <inheritdoc/>
    public bool DirectoryExists(string path) => Directory.Exists(path);

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        try
        {
            string[] names = [.. Directory.EnumerateFiles(directory).Select(path => Path.GetFileName(path))];
            Array.Sort(names, StringComparer.Ordinal);
            return names;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DiskException("list", directory, exception.HResult, exception.Message, exception);
        }
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        string full = Path.GetFullPath(path);
        var missing = new Stack<string>();
        for (string? at = full; at is not null && !Directory.Exists(at); at = Path.GetDirectoryName(at))
        {
            missing.Push(at);
        }

        foreach (string directory in missing)
        {
            try
            {
                Directory.CreateDirectory(directory);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new DiskException("create directory", directory, exception.HResult, exception.Message, exception);
            }

            _files.SyncDirectory(Path.GetDirectoryName(directory) ?? directory);
        }
    }

    /// <inheritdoc/>
    public void Rename(string from, string to) => _files.Rename(from, to);

    /// <inheritdoc/>
    public void Delete(string path) => _files.Delete(path);

    /// <inheritdoc/>
    public void SyncDirectory(string path) => _files.SyncDirectory(path);

    /// <inheritdoc/>
    public IDisposable LockDirectory(string path) => _files.Lock(Path.Combine(path, LockFileName));

    private static INativeFiles CreateForThisSystem()
        => OperatingSystem.IsWindows() ? new WindowsFiles() : OperatingSystem.IsMacOS() ? new MacFiles() : new LinuxFiles();
}
