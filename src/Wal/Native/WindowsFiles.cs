using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MetaStore.Wal;

/// <summary>
/// Windows: the runtime's positioned reads and writes, and FlushFileBuffers. There is no sync of a directory; NTFS journals names
/// in order with the flush of the file.
/// </summary>
internal sealed partial class WindowsFiles : INativeFiles
{
    public SafeFileHandle Create(string path)
        => ManagedOpen.File("create", path, FileMode.CreateNew, readOnly: false, FileShare.ReadWrite | FileShare.Delete);

    public SafeFileHandle Open(string path, bool readOnly)
        => ManagedOpen.File("open", path, FileMode.Open, readOnly, FileShare.ReadWrite | FileShare.Delete);

    public long Length(SafeFileHandle file, string path) => Try("measure", path, () => RandomAccess.GetLength(file));

    public int Read(SafeFileHandle file, string path, Span<byte> buffer, long offset)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            int read;
            try
            {
                read = RandomAccess.Read(file, buffer[done..], offset + done);
            }
            catch (IOException exception)
            {
                throw Error("read", path, exception);
            }

            if (read == 0)
            {
                break;
            }

            done += read;
        }

        return done;
    }

    public void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> buffer, long offset)
    {
        try
        {
            RandomAccess.Write(file, buffer, offset);
        }
        catch (IOException exception)
        {
            throw Error("write", path, exception);
        }
    }

    public void SetLength(SafeFileHandle file, string path, long length)
        => Try("set length of", path, () => RandomAccess.SetLength(file, length));

    public void SyncData(SafeFileHandle file, string path)
    {
        if (!FlushFileBuffers(file))
        {
            int error = Marshal.GetLastPInvokeError();
            throw new DiskException("sync", path, error, Marshal.GetPInvokeErrorMessage(error));
        }
    }

    public void SyncDirectory(string path)
    {
        // Nothing to call; see the type's comment.
    }

    public void Rename(string from, string to) => Try("rename", from, () => File.Move(from, to, overwrite: true));

    public void Delete(string path) => Try("delete", path, () => File.Delete(path));

    public IDisposable Lock(string path) => ManagedOpen.File("lock", path, FileMode.OpenOrCreate, readOnly: false, FileShare.None);

    private static void Try(string operation, string path, Action action)
        => Try(operation, path, () =>
        {
            action();
            return true;
        });

    private static T Try<T>(string operation, string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Error(operation, path, exception);
        }
    }

    private static DiskException Error(string operation, string path, Exception exception)
        => new(operation, path, exception.HResult & 0xFFFF, exception.Message, exception);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool FlushFileBuffers(SafeFileHandle file);
}

/// <summary>Opening by the runtime, for the systems that are better opened that way.</summary>
internal static class ManagedOpen
{
    public static SafeFileHandle File(string operation, string path, FileMode mode, bool readOnly, FileShare share)
    {
        try
        {
            return System.IO.File.OpenHandle(path, mode, readOnly ? FileAccess.Read : FileAccess.ReadWrite, share);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DiskException(operation, path, exception.HResult & 0xFFFF, exception.Message, exception);
        }
    }
}
