namespace MetaStore.Wal;

/// <summary>
/// The one seam between this program and its stable storage. NativeDisk is the production class; tests use a
/// memory disk that loses, tears, corrupts and fails. Every failure is a <see cref="DiskException"/> that carries the
/// operation, the path and the operating system's error; nothing is retried and nothing is swallowed.
/// </summary>
public interface IDisk
{
    /// <summary>Creates a file that must not exist, for reading and writing. Its name is durable only after <see cref="SyncDirectory"/>.</summary>
    IDiskFile Create(string path);

    /// <summary>Opens a file that must exist, for reading and, unless <paramref name="readOnly"/>, writing.</summary>
    IDiskFile Open(string path, bool readOnly);

    /// <summary>Whether a file of that name exists.</summary>
    bool FileExists(string path);

    /// <summary>Whether a directory of that name exists.</summary>
    bool DirectoryExists(string path);

    /// <summary>Names (without the directory) of the files in a directory, in ordinal order.</summary>
    IReadOnlyList<string> ListFiles(string directory);

    /// <summary>Creates the directory and its missing parents, durably; existing ones are left alone.</summary>
    void CreateDirectory(string path);

    /// <summary>
    /// Renames, replacing the target, within a directory or from one to another of the same file system. Durable only after <see cref="SyncDirectory"/>, of
    /// both where there are two.
    /// </summary>
    void Rename(string from, string to);

    /// <summary>Removes a file. Durable only after <see cref="SyncDirectory"/>.</summary>
    void Delete(string path);

    /// <summary>Makes all creations, renames and removals in the directory durable.</summary>
    void SyncDirectory(string path);

    /// <summary>Takes the exclusive lock of a data directory; a second holder gets a <see cref="DiskException"/> that says so.</summary>
    IDisposable LockDirectory(string path);
}

/// <summary>An open file. Not thread-safe: one owner at a time.</summary>
public interface IDiskFile : IDisposable
{
    /// <summary>Where it is: the path it was opened by, or has been given since.</summary>
    string Path { get; }

    /// <summary>Gives the open file another name; otherwise as <see cref="IDisk.Rename"/>. What fails from here on fails under that name.</summary>
    void Rename(string to);

    /// <summary>Current length in bytes.</summary>
    long Length { get; }

    /// <summary>Fills <paramref name="buffer"/> from <paramref name="offset"/>; returns fewer bytes only at the end of the file.</summary>
    int Read(Span<byte> buffer, long offset);

    /// <summary>Writes all of the buffer at the offset. Not durable before <see cref="SyncData"/>.</summary>
    void Write(ReadOnlySpan<byte> buffer, long offset);

    /// <summary>Cuts the file to, or extends it with zeros to, the given length.</summary>
    void SetLength(long length);

    /// <summary>Returns when all written data, and the length that is needed to read it, is on stable storage.</summary>
    void SyncData();
}
