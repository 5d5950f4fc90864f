using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>Reads the content of a snapshot. Not a byte is handed out before the checksum of its chunk was checked.</summary>
public sealed class SnapshotReader : IDisposable
{
    private readonly IDiskFile _file;
    private readonly long _length;
    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(SnapshotHeader.ChunkHeaderBytes + SnapshotHeader.ChunkBytesMax);
    private int _chunkAt;
    private int _chunkEnd;
    private uint _crc;
    private long _offset;
    private ulong _payloadBytes;
    private ulong _chunks;
    private bool _isAtEnd;

    internal SnapshotReader(IDiskFile file, SnapshotHeader header, uint crc)
    {
        _file = file;
        _length = file.Length;
        _crc = crc;
        _offset = header.Bytes;
        Info = header.Info;
        GroupId = header.GroupId;
        WrittenBy = header.Identity.NodeId;
        ClusterId = header.Identity.ClusterId;
    }

    /// <summary>What the snapshot stands for, from its header.</summary>
    public SnapshotInfo Info { get; }

    /// <summary>Its group.</summary>
    public uint GroupId { get; }

    /// <summary>The node that wrote it.</summary>
    public ulong WrittenBy { get; }

    /// <summary>Its cluster.</summary>
    public ulong ClusterId { get; }

    /// <summary>Fills the buffer with the next bytes of the content; fewer only at its end, 0 behind it. The end is reached only if the whole file is sound.</summary>
    /// <exception cref="CorruptionException">The file is damaged. Nothing that was read may be used.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public int Read(Span<byte> buffer)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            if (_chunkAt == _chunkEnd && !ReadChunk())
            {
                break;
            }

            int taken = Math.Min(buffer.Length - done, _chunkEnd - _chunkAt);
            _chunk.AsSpan(_chunkAt, taken).CopyTo(buffer[done..]);
            _chunkAt += taken;
            done += taken;
        }

        return done;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Reads to the end, only to check.</summary>
    internal ulong Verify()
    {
        while (ReadChunk())
        {
            // Each chunk is checked as it is read.
        }

        return _payloadBytes;
    }

    internal static void RequireNamed(IDiskFile file, SnapshotHeader header, uint groupId, ulong index, ulong term)
    {
        if (header.GroupId != groupId || header.Info.Index != index || header.Info.Term != term)
        {
            throw new CorruptionException(file.Path, 32, $"the header is of group {header.GroupId} index {header.Info.Index} term {header.Info.Term}, the name of {groupId}, {index}, {term}");
        }
    }

    private bool ReadChunk()
    {
        if (_isAtEnd)
        {
            return false;
        }

        Span<byte> head = _chunk.AsSpan(0, SnapshotHeader.ChunkHeaderBytes);
        if (_file.Read(head, _offset) < head.Length)
        {
            throw Damaged("the file ends before its footer");
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(head);
        if (length == 0)
        {
            ReadFooter();
            return false;
        }

        if (length < 0 || length > SnapshotHeader.ChunkBytesMax || length > _length - _offset - SnapshotHeader.ChunkHeaderBytes)
        {
            throw Damaged($"a chunk of {length} bytes");
        }

        Span<byte> chunk = _chunk.AsSpan(0, SnapshotHeader.ChunkHeaderBytes + length);
        if (_file.Read(chunk[SnapshotHeader.ChunkHeaderBytes..], _offset + SnapshotHeader.ChunkHeaderBytes) < length)
        {
            throw Damaged("the file ends inside a chunk");
        }

        _crc = RecordFormat.Crc(_crc, chunk);
        if (_crc != RecordFormat.StoredCrc(chunk))
        {
            throw Damaged("checksum of a chunk");
        }

        _offset += chunk.Length;
        _payloadBytes += (ulong)length;
        _chunks++;
        _chunkAt = SnapshotHeader.ChunkHeaderBytes;
        _chunkEnd = chunk.Length;
        return true;
    }

    private void ReadFooter()
    {
        Span<byte> footer = stackalloc byte[SnapshotHeader.FooterBytes];
        if (_file.Read(footer, _offset) < footer.Length || RecordFormat.Crc(_crc, footer) != RecordFormat.StoredCrc(footer))
        {
            throw Damaged("checksum of the footer");
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(footer[8..]) != _payloadBytes || BinaryPrimitives.ReadUInt64LittleEndian(footer[16..]) != _chunks)
        {
            throw Damaged("the footer counts other chunks");
        }

        if (_offset + SnapshotHeader.FooterBytes != _length)
        {
            throw Damaged($"{_length - _offset - SnapshotHeader.FooterBytes} bytes behind the footer");
        }

        _isAtEnd = true;
    }

    private CorruptionException Damaged(string cause) => new(_file.Path, _offset, cause);
}
