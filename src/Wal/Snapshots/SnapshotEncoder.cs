using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>Takes the bytes of a snapshot file, in order.</summary>
/// <param name="bytes">The next of them; good until it returns.</param>
public delegate void SnapshotFileSink(ReadOnlySpan<byte> bytes);

/// <summary>
/// Makes a snapshot file of its content: header, chunks with their checksums, footer (the format is drawn on <c>SnapshotHeader</c>). Where the bytes go is the sink's business: a file, or somebody far away.
/// </summary>
public sealed class SnapshotEncoder
{
    private readonly SnapshotFileSink _sink;
    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(SnapshotHeader.ChunkHeaderBytes + SnapshotHeader.ChunkBytesMax);
    private int _chunkBytes;
    private uint _crc;
    private ulong _payloadBytes;
    private ulong _chunks;

    /// <summary>Begins a file: the header goes out.</summary>
    /// <param name="identity">Whose snapshot it is, and who writes it.</param>
    /// <param name="groupId">Its group.</param>
    /// <param name="info">What it stands for.</param>
    /// <param name="sink">Takes the bytes.</param>
    public SnapshotEncoder(WalIdentity identity, uint groupId, SnapshotInfo info, SnapshotFileSink sink)
    {
        ArgumentNullException.ThrowIfNull(info);
        ArgumentNullException.ThrowIfNull(sink);
        ArgumentOutOfRangeException.ThrowIfZero(info.Index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(info.Configuration.Length, SnapshotInfo.ConfigurationBytesMax);
        _sink = sink;
        sink(new SnapshotHeader(identity, groupId, info).Encode(out _crc));
    }

    /// <summary>Bytes of content so far.</summary>
    public ulong PayloadBytes => _payloadBytes + (ulong)_chunkBytes;

    /// <summary>Appends to the content.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int taken = Math.Min(bytes.Length, SnapshotHeader.ChunkBytesMax - _chunkBytes);
            bytes[..taken].CopyTo(_chunk.AsSpan(SnapshotHeader.ChunkHeaderBytes + _chunkBytes));
            _chunkBytes += taken;
            bytes = bytes[taken..];
            if (_chunkBytes == SnapshotHeader.ChunkBytesMax)
            {
                EndChunk();
            }
        }
    }

    /// <summary>Ends the content: the footer goes out.</summary>
    public void Complete()
    {
        if (_chunkBytes > 0)
        {
            EndChunk();
        }

        Span<byte> footer = stackalloc byte[SnapshotHeader.FooterBytes];
        footer.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(footer[8..], _payloadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(footer[16..], _chunks);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[4..], RecordFormat.Crc(_crc, footer));
        _sink(footer);
    }

    private void EndChunk()
    {
        Span<byte> chunk = _chunk.AsSpan(0, SnapshotHeader.ChunkHeaderBytes + _chunkBytes);
        BinaryPrimitives.WriteInt32LittleEndian(chunk, _chunkBytes);
        _crc = RecordFormat.Crc(_crc, chunk);
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[RecordFormat.CrcOffset..], _crc);
        _sink(chunk);
        _payloadBytes += (ulong)_chunkBytes;
        _chunks++;
        _chunkBytes = 0;
    }
}
