namespace MetaStore.Wal;

/// <summary>A storage operation failed. Says which, on what path, and why.</summary>
public sealed class DiskException : IOException
{
    /// <summary>Wraps the error number <paramref name="errorNumber"/> (errno, or the Win32 code) of <paramref name="operation"/> on <paramref name="path"/>.</summary>
    public DiskException(string operation, string path, int errorNumber, string reason, Exception? inner = null)
        : base($"{operation} {path}: {reason} (error {errorNumber})", inner)
    {
        Operation = operation;
        FilePath = path;
        ErrorNumber = errorNumber;
        Reason = reason;
    }

    /// <summary>What was tried: open, read, write, sync, rename, delete, lock …</summary>
    public string Operation { get; }

    /// <summary>The file or directory.</summary>
    public string FilePath { get; }

    /// <summary>The operating system's error number.</summary>
    public int ErrorNumber { get; }

    /// <summary>The operating system's words for it.</summary>
    public string Reason { get; }

    /// <summary>Whether the disk, or the quota on it, is full (ENOSPC, EDQUOT).</summary>
    public bool IsDiskFull => ErrorNumber is 28 or 122;
}

/// <summary>
/// Stored bytes are not what was written. Never repaired in silence and never skipped: the node names the place and refuses to start.
/// </summary>
public sealed class CorruptionException(string file, long offset, string cause, Exception? inner = null)
    : Exception($"corruption in {file} at offset {offset}: {cause}", inner)
{
    /// <summary>The damaged file.</summary>
    public string File { get; } = file;

    /// <summary>Byte offset of the damaged record or field.</summary>
    public long Offset { get; } = offset;

    /// <summary>What is wrong there.</summary>
    public string Cause { get; } = cause;
}
