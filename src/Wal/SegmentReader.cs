using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>
/// Walks the batches of one segment that is held in memory. Stops at the first place where no sound batch goes on; what that place
/// means is for <see cref="RecoveryCases"/> to say, from the facts gathered by <see cref="Assess"/>.
/// </summary>
internal sealed class SegmentReader
{
    private readonly Memory<byte> _segment;

    /// <summary>Takes the bytes of the whole file over. The records of the batches walked over are unmasked in place.</summary>
    public SegmentReader(string file, Memory<byte> segment, SegmentHeader header, uint seed)
    {
        File = file;
        _segment = segment;
        Header = header;
        Seed = seed;
        Offset = SegmentHeader.Bytes;
        Chain = seed;
        NextNumber = header.FirstBatchNumber;
    }

    public string File { get; }

    public SegmentHeader Header { get; }

    public uint Seed { get; }

    /// <summary>Where the sound batches end.</summary>
    public int Offset { get; private set; }

    /// <summary>CRC of the last sound record.</summary>
    public uint Chain { get; private set; }

    /// <summary>The number the next batch must have.</summary>
    public ulong NextNumber { get; private set; }

    /// <summary>Where the last sound batch begins; 0 where there is none.</summary>
    public int LastBatchOffset { get; private set; }

    /// <summary>Whether the last sound batch holds no record.</summary>
    public bool LastBatchIsEmpty { get; private set; }

    /// <summary>The segment that this one says the log goes on in.</summary>
    public ulong? ClosedBy { get; private set; }

    /// <summary>A copy of the segment, from the end of the walk on as it is in the file.</summary>
    public byte[] CopyWhole() => _segment.ToArray();

    private ReadOnlySpan<byte> Segment => _segment.Span;

    /// <summary>Moves over the next batch if it is sound as a whole, and hands out its records.</summary>
    public bool TryNext(out BatchRecords records)
    {
        records = default;
        if (ClosedBy is not null || !TryHead(Segment, Offset, out BatchHead head))
        {
            return false;
        }

        Span<byte> batch = _segment.Span.Slice(Offset, head.BatchBytes);
        BatchMask.Apply(batch);
        if (!IsSound(batch, head, out uint chain))
        {
            if (!KnownBugs.ReaderKeepsWhatFailed)
            {
                BatchMask.Apply(batch);
            }

            return false;
        }

        records = new BatchRecords(Segment, Offset + BatchHead.Bytes, Offset + head.BatchBytes);
        BatchRecords peek = records;
        if (head.Records == 1 && peek.MoveNext() && peek.Current is { Type: RecordType.Closed, Body.Length: sizeof(ulong) })
        {
            ClosedBy = peek.Current.BodyUInt64(0);
            return false; // not part of what the next segment continues from
        }

        LastBatchOffset = Offset;
        LastBatchIsEmpty = head.Records == 0;
        Offset += head.BatchBytes;
        Chain = chain;
        NextNumber++;
        return true;
    }

    /// <summary>The facts about the place where the walk ended.</summary>
    /// <param name="next">Header of the following segment, or null where this is the last.</param>
    public RecoveryFacts Assess(SegmentHeader? next)
    {
        bool continued = next is { } successor
            && successor.PreviousEnd == Offset
            && successor.PreviousChain == Chain
            && successor.FirstBatchNumber == NextNumber;
        bool hasRoom = Segment.Length - Offset >= sizeof(int);
        return new RecoveryFacts(
            IsLast: next is null,
            Continued: continued,
            Closed: ClosedBy is not null,
            Opened: LastBatchOffset > 0,
            LaterBatch: next is null && ClosedBy is null && FindLaterBatch() >= 0,
            WrittenWhole: next is null && ClosedBy is null && BitRot.IsOneBitFromSound(this),
            EndMark: !hasRoom || BinaryPrimitives.ReadInt32LittleEndian(Segment[Offset..]) == 0);
    }

    /// <summary>
    /// Offset of a sound batch head at or behind the end of the walk that is not the next batch itself; -1 where there is none.
    /// </summary>
    public int FindLaterBatch()
    {
        ReadOnlySpan<byte> segment = Segment;
        int first = TryHead(segment, Offset, out _) ? Offset + RecordFormat.AlignmentBytes : Offset;
        for (int at = first; at + BatchHead.Bytes <= segment.Length; at += RecordFormat.AlignmentBytes)
        {
            if (BinaryPrimitives.ReadInt32LittleEndian(segment[at..]) == BatchHead.Bytes && BatchHead.TryDecode(segment, at, Seed, out _))
            {
                return at;
            }
        }

        return -1;
    }

    /// <summary>How many bytes from the end of the walk on belong to what is cut: the torn batch, or all up to the last byte that is not zero.</summary>
    public int TornBytes()
    {
        ReadOnlySpan<byte> rest = Segment[Offset..];
        return TryHead(Segment, Offset, out BatchHead head)
            ? Math.Min(head.BatchBytes, rest.Length)
            : rest.LastIndexOfAnyExcept((byte)0) + 1;
    }

    /// <summary>The last sound batch as it is in the file.</summary>
    public byte[] CopyLastBatch()
    {
        byte[] batch = Segment[LastBatchOffset..Offset].ToArray();
        BatchMask.Apply(batch);
        return batch;
    }

    /// <summary>Everything behind the sound batches.</summary>
    public ReadOnlySpan<byte> Rest => Segment[Offset..];

    /// <summary>Whether in <paramref name="segment"/>, a changed copy perhaps, the head of the batch that must come next stands at the end of the walk.</summary>
    public bool TryNextHead(ReadOnlySpan<byte> segment, out BatchHead head) => TryHead(segment, Offset, out head);

    /// <summary>Whether the head of the very batch that must come next stands at the offset.</summary>
    private bool TryHead(ReadOnlySpan<byte> segment, int offset, out BatchHead head)
        => BatchHead.TryDecode(segment, offset, Seed, out head)
            && ((head.Number == NextNumber && head.Chain == Chain) || KnownBugs.StaleRecordsCount)
            && head.BatchBytes >= BatchHead.Bytes
            && head.BatchBytes <= segment.Length - offset
            && head.Records >= 0;

    /// <summary>
    /// Checks length and checksum of every record of the unmasked batch, and the sum of all. Lengths are bounded by the bytes of the batch before
    /// anything is read by them.
    /// </summary>
    public static bool IsSound(ReadOnlySpan<byte> batch, in BatchHead head, out uint chain)
    {
        chain = RecordFormat.StoredCrc(batch);
        ulong sum = 0;
        int records = 0;
        int at = BatchHead.Bytes;
        while (batch.Length - at >= RecordFormat.HeaderBytes)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(batch[at..]);
            bool isTrusted = KnownBugs.LengthNotBounded;
            if (!isTrusted && (length < RecordFormat.HeaderBytes || length > batch.Length - at || RecordFormat.Padded(length) > batch.Length - at))
            {
                return false;
            }

            ReadOnlySpan<byte> record = batch.Slice(at, RecordFormat.Padded(length));
            uint crc = RecordFormat.Crc(chain, record);
            if (crc != RecordFormat.StoredCrc(record))
            {
                return false;
            }

            chain = crc;
            sum = BatchSum.AddRecord(sum, record);
            at += record.Length;
            records++;
        }

        return at == batch.Length && records == head.Records && sum == head.Sum;
    }
}

/// <summary>The records of one sound batch, in order.</summary>
internal ref struct BatchRecords(ReadOnlySpan<byte> segment, int start, int end)
{
    private readonly ReadOnlySpan<byte> _segment = segment;
    private int _at = start;

    public RecordView Current { get; private set; }

    public bool MoveNext()
    {
        if (_at >= end)
        {
            return false;
        }

        int length = RecordFormat.Padded(BinaryPrimitives.ReadInt32LittleEndian(_segment[_at..]));
        Current = new RecordView(_segment.Slice(_at, length), _at);
        _at += length;
        return true;
    }
}
