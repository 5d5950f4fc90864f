using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>Writes one snapshot file. Until <see cref="Complete"/> it has a temporary name and does not count.</summary>
public sealed class SnapshotWriter : IDisposable
{
    private readonly IDisk _disk;
    private readonly string _path;
    private readonly IDiskFile _file;
    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(SnapshotHeader.ChunkHeaderBytes + SnapshotHeader.ChunkBytesMax);
    private int _chunkBytes;
    private uint _crc;
    private long _offset;
    private ulong _payloadBytes;
    private ulong _chunks;
    private bool _isOpen = true;

    internal SnapshotWriter(IDisk disk, string temporaryPath, string path, SnapshotHeader header)
    {
        _disk = disk;
        _path = path;
        _file = disk.Create(temporaryPath);
        try
        {
            byte[] bytes = header.Encode(out _crc);
            _file.Write(bytes, 0);
            _offset = bytes.Length;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes of content written so far.</summary>
    public ulong PayloadBytes => _payloadBytes + (ulong)_chunkBytes;

    /// <summary>Appends to the content.</summary>
    /// <exception cref="DiskException">The disk failed or is full: the snapshot cannot be completed.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        while (!bytes.IsEmpty)
        {
            int taken = Math.Min(bytes.Length, SnapshotHeader.ChunkBytesMax - _chunkBytes);
            bytes[..taken].CopyTo(_chunk.AsSpan(SnapshotHeader.ChunkHeaderBytes + _chunkBytes));
            _chunkBytes += taken;
            bytes = bytes[taken..];
            if (_chunkBytes == SnapshotHeader.ChunkBytesMax)
            {
                WriteChunk();
            }
        }
    }

    /// <summary>Ends the content and gives the file its name. When this returns the snapshot is on stable storage.</summary>
    /// <exception cref="DiskException">The disk failed or is full: there is no such snapshot.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        if (_chunkBytes > 0)
        {
            WriteChunk();
        }

        Span<byte> footer = stackalloc byte[SnapshotHeader.FooterBytes];
        footer.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(footer[8..], _payloadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(footer[16..], _chunks);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[4..], RecordFormat.Crc(_crc, footer));
        _file.Write(footer, _offset);
        SnapshotFiles.Publish(_disk, _file, _path);
        _isOpen = false;
    }

    /// <summary>Removes what was written, unless it is complete.</summary>
    public void Dispose()
    {
        if (_isOpen)
        {
            _isOpen = false;
            SnapshotFiles.Abandon(_disk, _file);
        }
    }

    private void WriteChunk()
    {
        Span<byte> chunk = _chunk.AsSpan(0, SnapshotHeader.ChunkHeaderBytes + _chunkBytes);
        BinaryPrimitives.WriteInt32LittleEndian(chunk, _chunkBytes);
        _crc = RecordFormat.Crc(_crc, chunk);
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[RecordFormat.CrcOffset..], _crc);
        _file.Write(chunk, _offset);
        _offset += chunk.Length;
        _payloadBytes += (ulong)_chunkBytes;
        _chunks++;
        _chunkBytes = 0;
    }
}

/// <summary>How a snapshot file gets its name, or goes.</summary>
internal static class SnapshotFiles
{
    /// <summary>Content first, then the name, then the directory: at no moment does the name stand for a file that is not all there.</summary>
    public static void Publish(IDisk disk, IDiskFile file, string path)
    {
        if (!KnownBugs.LogCutBeforeSnapshotIsDurable)
        {
            file.SyncData();
        }

        file.Dispose();
        disk.Rename(file.Path, path);
        if (!KnownBugs.DirectoryNotSynced)
        {
            disk.SyncDirectory(Path.GetDirectoryName(path)!);
        }
    }

    public static void Abandon(IDisk disk, IDiskFile file)
    {
        file.Dispose();
        try
        {
            disk.Delete(file.Path);
        }
        catch (DiskException)
        {
            // It does not count under its temporary name, and the next start removes it.
        }
    }
}
