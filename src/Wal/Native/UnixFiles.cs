using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MetaStore.Wal;

/// <summary>Files by the calls that Linux and macOS have in common; how to open and how to sync is theirs to say.</summary>
internal abstract class UnixFiles : INativeFiles
{
    public SafeFileHandle Create(string path) => OpenFile("create", path, readOnly: false, create: true, exclusive: true);

    public SafeFileHandle Open(string path, bool readOnly) => OpenFile("open", path, readOnly, create: false, exclusive: false);

    public long Length(SafeFileHandle file, string path)
    {
        long length = Libc.Seek(file, 0, Libc.SeekEnd);
        return length >= 0 ? length : throw LastError("measure", path);
    }

    public int Read(SafeFileHandle file, string path, Span<byte> buffer, long offset)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            nint read = Libc.Read(file, ref MemoryMarshal.GetReference(buffer[done..]), buffer.Length - done, offset + done);
            if (read < 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error != Libc.Interrupted)
                {
                    throw Error("read", path, error);
                }
            }
            else if (read == 0)
            {
                break;
            }
            else
            {
                done += (int)read;
            }
        }

        return done;
    }

    public void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> buffer, long offset)
    {
        while (!buffer.IsEmpty)
        {
            nint written = Libc.Write(file, in MemoryMarshal.GetReference(buffer), buffer.Length, offset);
            if (Advanced(written, path))
            {
                buffer = buffer[(int)written..];
                offset += written;
            }
        }
    }

    public void SetLength(SafeFileHandle file, string path, long length)
    {
        while (Libc.SetLength(file, length) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != Libc.Interrupted)
            {
                throw Error("set length of", path, error);
            }
        }
    }

    public void SyncData(SafeFileHandle file, string path)
    {
        if (!TrySyncData(file))
        {
            throw LastError("sync", path);
        }
    }

    public void SyncDirectory(string path)
    {
        using SafeFileHandle directory = OpenFile("open directory", path, readOnly: true, create: false, exclusive: false);
        if (Libc.Sync(directory) != 0)
        {
            throw LastError("sync directory", path);
        }
    }

    public void Rename(string from, string to)
    {
        if (Libc.Rename(from, to) != 0)
        {
            throw LastError("rename", from);
        }
    }

    public void Delete(string path)
    {
        if (Libc.Unlink(path) != 0)
        {
            throw LastError("delete", path);
        }
    }

    public IDisposable Lock(string path)
    {
        SafeFileHandle file = OpenFile("lock", path, readOnly: false, create: true, exclusive: false);
        if (Libc.Lock(file, Libc.LockExclusive | Libc.LockNonBlocking) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            file.Dispose();
            throw new DiskException("lock", path, error, $"the data directory is in use by another process ({Marshal.GetPInvokeErrorMessage(error)})");
        }

        return file;
    }

    protected abstract SafeFileHandle OpenFile(string operation, string path, bool readOnly, bool create, bool exclusive);

    /// <summary>Called once for a sync; after a failure nothing is known of the data, so it is never called again.</summary>
    protected abstract bool TrySyncData(SafeFileHandle file);

    protected static DiskException LastError(string operation, string path) => Error(operation, path, Marshal.GetLastPInvokeError());

    protected static DiskException Error(string operation, string path, int error)
        => new(operation, path, error, Marshal.GetPInvokeErrorMessage(error));

    /// <summary>Whether a write got anywhere; false after an interruption, to try again.</summary>
    private static bool Advanced(nint written, string path)
    {
        if (written > 0)
        {
            return true;
        }

        int error = written == 0 ? Libc.IoError : Marshal.GetLastPInvokeError();
        return error == Libc.Interrupted ? false : throw Error("write", path, error);
    }
}

/// <summary>Linux: open and fdatasync.</summary>
internal sealed class LinuxFiles : UnixFiles
{
    private const int CreateFlag = 0x40; // O_CREAT
    private const int ExclusiveFlag = 0x80; // O_EXCL
    private const int CloseOnExecFlag = 0x80000; // O_CLOEXEC
    private const int Mode = 0x1A0; // rw-r-----

    protected override SafeFileHandle OpenFile(string operation, string path, bool readOnly, bool create, bool exclusive)
    {
        int flags = CloseOnExecFlag | (readOnly ? Libc.ReadOnly : Libc.ReadWrite) | (create ? CreateFlag : 0) | (exclusive ? ExclusiveFlag : 0);
        while (true)
        {
            int descriptor = Libc.Open(path, flags, Mode);
            if (descriptor >= 0)
            {
                return new SafeFileHandle(descriptor, ownsHandle: true);
            }

            int error = Marshal.GetLastPInvokeError();
            if (error != Libc.Interrupted)
            {
                throw Error(operation, path, error);
            }
        }
    }

    protected override bool TrySyncData(SafeFileHandle file) => Libc.SyncData(file) == 0;
}

/// <summary>
/// macOS: fsync leaves the data in the drive's cache, F_FULLFSYNC does not. Files are opened by the runtime, for the mode argument of open
/// is passed in a way there that a fixed signature does not match.
/// </summary>
internal sealed class MacFiles : UnixFiles
{
    private const int FullSync = 51; // F_FULLFSYNC

    protected override SafeFileHandle OpenFile(string operation, string path, bool readOnly, bool create, bool exclusive)
    {
        if (!create && Directory.Exists(path))
        {
            int descriptor = Libc.Open(path, Libc.ReadOnly, 0);
            return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw LastError(operation, path);
        }

        FileMode mode = exclusive ? FileMode.CreateNew : create ? FileMode.OpenOrCreate : FileMode.Open;
        return ManagedOpen.File(operation, path, mode, readOnly, FileShare.ReadWrite | FileShare.Delete);
    }

    protected override bool TrySyncData(SafeFileHandle file) => Libc.Control(file, FullSync) != -1;
}
