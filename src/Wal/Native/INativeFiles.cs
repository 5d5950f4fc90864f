using Microsoft.Win32.SafeHandles;

namespace MetaStore.Wal;

/// <summary>What <see cref="NativeDisk"/> needs of an operating system. Every failure is a <see cref="DiskException"/>.</summary>
internal interface INativeFiles
{
    SafeFileHandle Create(string path);

    SafeFileHandle Open(string path, bool readOnly);

    long Length(SafeFileHandle file, string path);

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    int Read(SafeFileHandle file, string path, Span<byte> buffer, long offset);

    /// <summary>Writes all of the buffer.</summary>
    void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> buffer, long offset);

    void SetLength(SafeFileHandle file, string path, long length);

    void SyncData(SafeFileHandle file, string path);

    void SyncDirectory(string path);

    void Rename(string from, string to);

    void Delete(string path);

    IDisposable Lock(string path);
}

/// <summary>An open file of <see cref="NativeDisk"/>.</summary>
internal sealed class NativeDiskFile(INativeFiles files, SafeFileHandle handle, string path) : IDiskFile
{
    public string Path { get; private set; } = path;

    public void Rename(string to)
    {
        files.Rename(Path, to);
        Path = to;
    }

    public long Length => files.Length(handle, Path);

    public int Read(Span<byte> buffer, long offset) => files.Read(handle, Path, buffer, offset);

    public void Write(ReadOnlySpan<byte> buffer, long offset) => files.Write(handle, Path, buffer, offset);

    public void SetLength(long length) => files.SetLength(handle, Path, length);

    public void SyncData() => files.SyncData(handle, Path);

    /// <summary>An error of close is not seen; it is no loss, for nothing here counts as durable before it was synced.</summary>
    public void Dispose() => handle.Dispose();
}
