using System.Buffers.Binary;
using System.Security.Cryptography;
using MetaStore.Wal;

namespace MetaStore.Engine.Snapshots;

/// <summary>
/// The content of a saved snapshot: of a snapshot file as nodes write them, or of what etcd's clients save from this store, which is the content alone, filled up with zeros to blocks of 512 bytes, with
/// the SHA-256 of all that behind it.
/// </summary>
internal sealed class SavedFile : IDisposable
{
    private const int Block = 512;
    private const int BufferBytes = 64 << 10;
    private const uint BoltMagic = 0xED0CDAED;
    private const int BoltMagicOffset = 16;

    private readonly string _path;
    private readonly SnapshotReader? _chunks;
    private readonly IDiskFile? _plain;
    private readonly long _plainBytes;
    private long _plainAt;

    private SavedFile(string path, SnapshotReader chunks)
    {
        _path = path;
        _chunks = chunks;
    }

    private SavedFile(string path, IDiskFile plain, long plainBytes)
    {
        _path = path;
        _plain = plain;
        _plainBytes = plainBytes;
    }

    /// <summary>Whether only a SHA-256 over the whole vouches for the file, and no checksums in it.</summary>
    public bool IsPlain => _plain is not null;

    /// <summary>Opens a file.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="path">The file.</param>
    /// <param name="checksSum">Whether the sum behind a plain file must be there and fit. The checksums of a snapshot file always must.</param>
    /// <exception cref="CorruptionException">It is damaged, or no snapshot.</exception>
    /// <exception cref="WalVersionException">It is of another version.</exception>
    /// <exception cref="DiskException">The disk failed, or there is no such file.</exception>
    public static SavedFile Open(IDisk disk, string path, bool checksSum)
    {
        if (SnapshotFile.IsOne(disk, path))
        {
            return new SavedFile(path, SnapshotFile.OpenRead(disk, path));
        }

        IDiskFile file = disk.Open(path, readOnly: true);
        try
        {
            RefuseOthers(file);
            bool hasSum = file.Length % Block == SHA256.HashSizeInBytes;
            if (checksSum)
            {
                CheckSum(file, hasSum);
            }

            return new SavedFile(path, file, file.Length - (hasSum ? SHA256.HashSizeInBytes : 0));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Fills the buffer with the next bytes of the content, and of what stands behind it; fewer only at the end.</summary>
    public int Read(Span<byte> buffer)
    {
        if (_chunks is not null)
        {
            return _chunks.Read(buffer);
        }

        int read = _plain!.Read(buffer[..(int)Math.Min(buffer.Length, _plainBytes - _plainAt)], _plainAt);
        _plainAt += read;
        return read;
    }

    /// <summary>The content has been read, to its end: nothing may follow it but the zeros of a plain file.</summary>
    /// <param name="behind">What stands behind it.</param>
    /// <exception cref="CorruptionException">Something follows it, or the file is damaged behind it.</exception>
    public void RequireEnd(SnapshotSource behind)
    {
        byte[] buffer = new byte[Block];
        int read = behind(buffer);
        if (buffer.AsSpan(0, read).ContainsAnyExcept((byte)0) || read >= (IsPlain ? Block : 1))
        {
            throw new CorruptionException(_path, 0, "something stands behind the end of the content");
        }
    }

    public void Dispose()
    {
        _chunks?.Dispose();
        _plain?.Dispose();
    }

    private static void RefuseOthers(IDiskFile file)
    {
        Span<byte> start = stackalloc byte[BoltMagicOffset + sizeof(uint)];
        int read = file.Read(start, 0);
        if (read == start.Length && BinaryPrimitives.ReadUInt32LittleEndian(start[BoltMagicOffset..]) == BoltMagic)
        {
            throw new CorruptionException(file.Path, BoltMagicOffset, "this is a snapshot that etcd has saved, which this store does not read; copy the keys from a running etcd: etcdctl make-mirror");
        }

        if (read < sizeof(uint) || BinaryPrimitives.ReadUInt32LittleEndian(start) != StoreSnapshotWriter.Format)
        {
            throw new CorruptionException(file.Path, 0, "not a snapshot of this store");
        }
    }

    private static void CheckSum(IDiskFile file, bool hasSum)
    {
        if (!hasSum)
        {
            throw new CorruptionException(file.Path, file.Length, $"the file has {file.Length} bytes: it is cut, or has no SHA-256 behind its content (--skip-hash-check reads it without one)");
        }

        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[BufferBytes];
        long end = file.Length - SHA256.HashSizeInBytes;
        for (long at = 0; at < end;)
        {
            int read = file.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - at)), at);
            sum.AppendData(buffer.AsSpan(0, read));
            at += read;
        }

        byte[] stored = new byte[SHA256.HashSizeInBytes];
        file.Read(stored, end);
        byte[] computed = sum.GetHashAndReset();
        if (!stored.AsSpan().SequenceEqual(computed))
        {
            throw new CorruptionException(
                file.Path, end, $"the content does not fit its SHA-256: {Convert.ToHexStringLower(stored)} stands there, the {end} bytes before it give {Convert.ToHexStringLower(computed)}");
        }
    }
}
