using System.Buffers.Binary;
using MetaStore.Fuzz.Running;
using MetaStore.Testing;
using MetaStore.Wal;
using MetaStore.Wal.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A log whose checksums all hold, with anything in it: refused by name or read, never anything else; and what was read comes back again. Input: for each batch a number of records u8, then for each
/// of these its type u8, kind u8, group u8, length of the body u8, body. The second segment begins where a number of records is 255.
/// </summary>
internal sealed class LogRecordTarget : FuzzTarget
{
    private const int SegmentBytes = 4096;
    private const int RecordsMax = 12;
    private const int NextSegment = 255;
    private const int AllocationBytesMax = 4 << 20;

    public override string Name => "log-records";

    public override int BytesMax => 2048;

    public override int TestInputs => 500;

    public override IEnumerable<byte[]> Seeds()
    {
        byte[] first = Record(RecordType.GroupState, 0, [0, 0, 3, 1, 0, 0, 0]);
        byte[] state = Record(RecordType.HardState, 0, [3, 1, 0]);
        yield return [1, .. first];
        yield return [1, .. Entry(1, 1), 2, .. Entry(2, 1), .. state];
        yield return [2, .. first, .. Entry(1, 3), 1, .. Record(RecordType.Truncate, 0, [1]), 1, .. Entry(1, 4)];
        yield return [1, .. Entry(1, 1), 1, .. Record(RecordType.Mark, 0, [1, 1]), 1, .. Record(RecordType.Mark, 1, [9, 2])];
        yield return [1, .. Entry(1, 1), 1, .. Record(RecordType.Closed, 0, [2]), NextSegment, 1, .. Record(RecordType.GroupState, 0, [0, 0, 0, 0, 0, 1, 1]), 1, .. Entry(2, 1)];
        yield return [1, .. Entry(1, 1), NextSegment, 1, .. Entry(2, 1)];
        yield return [0, 0, 1, .. state];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory(TestLog.WalDirectory);
        Write(disk, input);
        (string? recovered, bool wasCut, string refusal) = AllocationBudget.Within(AllocationBytesMax, () => LogOpening.Try(disk.Clone(new Random(1))));
        if (recovered is null)
        {
            return refusal;
        }

        LogOpening.Try(disk);
        (string? again, _, string refusedThen) = LogOpening.Try(disk);
        FuzzFailure.Unless(again == recovered, $"opened once more, it is another: {refusedThen}\n{recovered}\n{again}");
        return $"recovered {Shape.Size(recovered.Length)} {wasCut} {Shape.Of(recovered)}";
    }

    private static byte[] Entry(byte index, byte term) => [(byte)RecordType.Entry, 1, 1, 19, index, 0, 0, 0, 0, 0, 0, 0, term, 0, 0, 0, 0, 0, 0, 0, .. "abc"u8];

    private static byte[] Record(RecordType type, byte kind, byte[] numbers)
    {
        var record = new InputWriter().Byte((byte)type).Byte(kind).Byte(type == RecordType.Closed ? 0 : 1).Byte(numbers.Length * sizeof(ulong));
        foreach (byte number in numbers)
        {
            record.Bytes([number, 0, 0, 0, 0, 0, 0, 0]);
        }

        return record.ToArray();
    }

    private static void Write(FaultyDisk disk, ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        var segment = new Segment(1, firstBatch: 1, previousEnd: 0, previousChain: 0);
        while (!reader.IsAtEnd)
        {
            int count = reader.Byte();
            if (count == NextSegment && segment.Sequence < 3)
            {
                disk.WriteAllBytes(TestLog.Segment(segment.Sequence), segment.Bytes);
                segment = new Segment(segment.Sequence + 1, segment.NextNumber, segment.End, segment.Chain);
                continue;
            }

            var records = new List<byte[]>();
            for (int i = 0; i < count % RecordsMax; i++)
            {
                records.Add(MakeRecord(reader.Byte(), reader.Byte(), reader.Byte(), reader.Take(reader.Byte()).Span));
            }

            segment.TryAdd(records);
        }

        disk.WriteAllBytes(TestLog.Segment(segment.Sequence), segment.Bytes);
    }

    private static byte[] MakeRecord(byte type, byte kind, byte group, ReadOnlySpan<byte> body)
    {
        int length = RecordFormat.HeaderBytes + body.Length;
        var record = new byte[RecordFormat.Padded(length)];
        BinaryPrimitives.WriteInt32LittleEndian(record, length);
        record[8] = type;
        record[9] = kind;
        record[12] = group;
        body.CopyTo(record.AsSpan(RecordFormat.HeaderBytes));
        return record;
    }

    /// <summary>A segment file, laid out as the log lays it out, whatever its records are.</summary>
    private sealed class Segment
    {
        private readonly uint _seed;

        public Segment(ulong sequence, ulong firstBatch, long previousEnd, uint previousChain)
        {
            Sequence = sequence;
            NextNumber = firstBatch;
            _seed = new SegmentHeader(TestLog.Identity, sequence, SegmentBytes, firstBatch, previousEnd, previousChain).Encode(Bytes);
            Chain = _seed;
        }

        public ulong Sequence { get; }

        public byte[] Bytes { get; } = new byte[SegmentBytes];

        public ulong NextNumber { get; private set; }

        public int End { get; private set; } = SegmentHeader.Bytes;

        public uint Chain { get; private set; }

        /// <summary>Appends a batch, where there is room for it.</summary>
        public void TryAdd(List<byte[]> records)
        {
            int length = BatchHead.Bytes + records.Sum(record => record.Length);
            if (End + length > Bytes.Length)
            {
                return;
            }

            byte[] batch = [.. new byte[BatchHead.Bytes], .. records.SelectMany(record => record)];
            new BatchHead(NextNumber, length, records.Count, End, Chain, BatchSum.Add(0, batch.AsSpan(BatchHead.Bytes))).Encode(batch, _seed);
            uint chain = RecordFormat.StoredCrc(batch);
            for (int at = BatchHead.Bytes, i = 0; i < records.Count; at += records[i++].Length)
            {
                Span<byte> record = batch.AsSpan(at, records[i].Length);
                chain = RecordFormat.Crc(chain, record);
                BinaryPrimitives.WriteUInt32LittleEndian(record[RecordFormat.CrcOffset..], chain);
            }

            BatchMask.Apply(batch);
            batch.CopyTo(Bytes, End);
            if (records is [{ } only] && only[8] == (byte)RecordType.Closed)
            {
                return; // What the next segment continues from is what stood before it.
            }

            End += length;
            NextNumber++;
            Chain = chain;
        }
    }
}
