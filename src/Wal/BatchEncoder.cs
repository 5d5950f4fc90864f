using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Lays out one batch in one buffer that is used again for the next. Entries are copied into it: the copy is small beside the sync,
/// and one contiguous buffer makes the checksum and the write one straight pass each.
/// </summary>
internal sealed class BatchEncoder
{
    /// <summary>Zero bytes behind each batch: the length of a record that is not there, so that a recycled segment ends cleanly.</summary>
    public const int EndMarkBytes = RecordFormat.AlignmentBytes;

    private const int BufferBytesKept = 4 * 1024 * 1024;

    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(16 * 1024);
    private int _start;
    private int _end;
    private int _records;

    /// <summary>Begins a batch, leaving <paramref name="prefixBytes"/> in front of it for the caller.</summary>
    public void Begin(int prefixBytes)
    {
        if (_buffer.Length > BufferBytesKept)
        {
            _buffer = GC.AllocateUninitializedArray<byte>(BufferBytesKept); // one huge batch must not keep its memory for ever
        }

        _start = prefixBytes;
        _end = prefixBytes;
        _records = 0;
        Take(BatchHead.Bytes);
    }

    /// <summary>The caller's bytes in front of the batch.</summary>
    public Span<byte> Prefix => _buffer.AsSpan(0, _start);

    /// <summary>Bytes of the batch so far.</summary>
    public int BatchBytes => _end - _start;

    public int Records => _records;

    public void AddEntry(uint groupId, in LogEntry entry)
    {
        Span<byte> body = AddRecord(RecordType.Entry, entry.Kind, groupId, RecordFormat.EntryFixedBytes + entry.Data.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(body, entry.Index);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], entry.Term);
        entry.Data.Span.CopyTo(body[16..]);
    }

    public void AddTruncate(uint groupId, ulong fromIndex)
        => BinaryPrimitives.WriteUInt64LittleEndian(AddRecord(RecordType.Truncate, 0, groupId, RecordFormat.TruncateBytes), fromIndex);

    public void AddHardState(uint groupId, LogHardState state)
    {
        Span<byte> body = AddRecord(RecordType.HardState, 0, groupId, RecordFormat.HardStateBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(body, state.Term);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], state.Vote);
        BinaryPrimitives.WriteUInt64LittleEndian(body[16..], state.Commit);
    }

    public void AddMark(uint groupId, LogSnapshotMark mark, bool voidsLog)
    {
        byte kind = voidsLog ? RecordFormat.MarkVoidsLog : RecordFormat.MarkKeepsLog;
        Span<byte> body = AddRecord(RecordType.Mark, kind, groupId, RecordFormat.MarkBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(body, mark.Index);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], mark.Term);
    }

    public void AddGroupState(GroupLog group)
    {
        Span<byte> body = AddRecord(RecordType.GroupState, 0, group.GroupId, RecordFormat.GroupStateBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(body, group.Mark.Index);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], group.Mark.Term);
        BinaryPrimitives.WriteUInt64LittleEndian(body[16..], group.HardState.Term);
        BinaryPrimitives.WriteUInt64LittleEndian(body[24..], group.HardState.Vote);
        BinaryPrimitives.WriteUInt64LittleEndian(body[32..], group.HardState.Commit);
        BinaryPrimitives.WriteUInt64LittleEndian(body[40..], group.LastIndex);
        BinaryPrimitives.WriteUInt64LittleEndian(body[48..], group.LastTerm);
    }

    public void AddClosed(ulong nextSequence)
        => BinaryPrimitives.WriteUInt64LittleEndian(AddRecord(RecordType.Closed, 0, 0, RecordFormat.ClosedBytes), nextSequence);

    /// <summary>
    /// Fills in the head and all checksums for a batch that will stand at <paramref name="offset"/>, masks it, and puts the end mark behind it.
    /// Returns prefix, batch and end mark; <paramref name="chain"/> becomes the CRC of the last record.
    /// </summary>
    public ReadOnlySpan<byte> Finish(int offset, ulong number, uint seed, ref uint chain)
    {
        int batchBytes = BatchBytes;
        Take(EndMarkBytes).Clear();
        Span<byte> batch = _buffer.AsSpan(_start, batchBytes);
        ulong sum = BatchSum.Add(0, batch[BatchHead.Bytes..]); // their CRCs are zero as yet
        new BatchHead(number, batchBytes, _records, offset, chain, sum).Encode(batch, seed);
        chain = RecordFormat.StoredCrc(batch);
        for (int at = BatchHead.Bytes; at < batchBytes;)
        {
            int length = RecordFormat.Padded(BinaryPrimitives.ReadInt32LittleEndian(batch[at..]));
            Span<byte> record = batch.Slice(at, length);
            chain = RecordFormat.Crc(chain, record);
            BinaryPrimitives.WriteUInt32LittleEndian(record[RecordFormat.CrcOffset..], chain);
            at += length;
        }

        BatchMask.Apply(batch);
        return _buffer.AsSpan(0, _end);
    }

    /// <summary>Appends a record and returns its body.</summary>
    private Span<byte> AddRecord(RecordType type, byte kind, uint groupId, int length)
    {
        Span<byte> record = Take(RecordFormat.Padded(length));
        BinaryPrimitives.WriteInt32LittleEndian(record, length);
        BinaryPrimitives.WriteUInt32LittleEndian(record[RecordFormat.CrcOffset..], 0);
        record[8] = (byte)type;
        record[9] = kind;
        record[10] = 0;
        record[11] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(record[12..], groupId);
        record[length..].Clear();
        _records++;
        return record[RecordFormat.HeaderBytes..length];
    }

    private Span<byte> Take(int bytes)
    {
        int needed = checked(_end + bytes);
        if (needed > _buffer.Length)
        {
            byte[] larger = GC.AllocateUninitializedArray<byte>((int)Math.Min(Math.Max((long)_buffer.Length * 2, needed), Array.MaxLength));
            _buffer.AsSpan(0, _end).CopyTo(larger);
            _buffer = larger;
        }

        Span<byte> taken = _buffer.AsSpan(_end, bytes);
        _end = needed;
        return taken;
    }
}
