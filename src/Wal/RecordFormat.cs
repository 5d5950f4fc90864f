using System.Buffers.Binary;

namespace MetaStore.Wal;

/// <summary>What a record says. Part of the disk format: never renumber.</summary>
internal enum RecordType : byte
{
    /// <summary>Opens a batch; see <see cref="BatchHead"/>.</summary>
    BatchHead = 1,

    /// <summary>index u64, term u64, data. The kind byte of the record is the entry's.</summary>
    Entry = 2,

    /// <summary>index u64: entries from there on are void; others follow in the same batch.</summary>
    Truncate = 3,

    /// <summary>term u64, vote u64, commit u64.</summary>
    HardState = 4,

    /// <summary>index u64, term u64. Kind 0: the log behind the mark stays. Kind 1: the whole log is void.</summary>
    Mark = 5,

    /// <summary>
    /// Only in the first batch of a segment: all that is known of one group, so that older segments can go.
    /// mark index u64, mark term u64, term u64, vote u64, commit u64, last index u64, last term u64.
    /// </summary>
    GroupState = 6,

    /// <summary>next sequence u64: the log goes on in that segment, which was on stable storage before this was written.</summary>
    Closed = 7,
}

/// <summary>
/// A record.
/// <code>
///  offset  bytes
///       0      4  length: bytes of the record without padding, at least 16. Zero: the log ends here
///       4      4  CRC-32C of bytes 0..3 and 8..end with padding, seeded with the CRC of the record before
///                 (a batch head: seeded with the segment's seed)
///       8      1  type
///       9      1  kind
///      10      2  zero
///      12      4  group id (0 in batch heads and closing records)
///      16         body, then zeros up to a multiple of 8
/// </code>
/// Little-endian throughout. Part of the disk format: never renumber, never move.
/// </summary>
internal static class RecordFormat
{
    public const int HeaderBytes = 16;
    public const int CrcOffset = 4;
    public const int AlignmentBytes = 8;

    public const int EntryFixedBytes = HeaderBytes + 16;
    public const int TruncateBytes = HeaderBytes + 8;
    public const int HardStateBytes = HeaderBytes + 24;
    public const int MarkBytes = HeaderBytes + 16;
    public const int GroupStateBytes = HeaderBytes + 56;
    public const int ClosedBytes = HeaderBytes + 8;

    public const byte MarkKeepsLog = 0;
    public const byte MarkVoidsLog = 1;

    public static int Padded(int length) => (length + AlignmentBytes - 1) & ~(AlignmentBytes - 1);

    /// <summary>The CRC of a whole record, padding included, behind the one whose CRC is <paramref name="seed"/>.</summary>
    public static uint Crc(uint seed, ReadOnlySpan<byte> record)
        => Checksum.Crc32C(Checksum.Crc32C(seed, record[..CrcOffset]), record[(CrcOffset + sizeof(uint))..]);

    public static uint StoredCrc(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadUInt32LittleEndian(record[CrcOffset..]);
}

/// <summary>
/// The record that opens each batch. A batch is what one call of <see cref="WriteAheadLog.Write"/> makes durable: one write, one sync.
/// <code>
///  offset  bytes
///       0     16  record header: length 48, type 1
///      16      8  batch number: rises by one with each batch through the life of the log
///      24      4  batch bytes: this head and all records with their padding
///      28      4  number of records behind the head
///      32      4  offset of this head in the segment
///      36      4  chain: CRC of the record before it (first batch of a segment: the segment's seed)
///      40      8  sum of the records behind the head; see <see cref="BatchSum"/>
/// </code>
/// Its own CRC is seeded with the segment's seed, not with the chain: it can be known as sound wherever it stands, even behind damage.
/// That is what recovery goes by: a batch is written only when the one before is on stable storage, so a sound head
/// proves everything before it to have been acknowledged, and damage there is corruption, not a torn write.
/// Little-endian throughout. Part of the disk format: never renumber, never move.
/// </summary>
internal readonly record struct BatchHead(ulong Number, int BatchBytes, int Records, int Offset, uint Chain, ulong Sum)
{
    public const int Bytes = 48;

    public void Encode(Span<byte> target, uint seed)
    {
        target = target[..Bytes];
        target.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(target, Bytes);
        target[8] = (byte)RecordType.BatchHead;
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], Number);
        BinaryPrimitives.WriteInt32LittleEndian(target[24..], BatchBytes);
        BinaryPrimitives.WriteInt32LittleEndian(target[28..], Records);
        BinaryPrimitives.WriteInt32LittleEndian(target[32..], Offset);
        BinaryPrimitives.WriteUInt32LittleEndian(target[36..], Chain);
        BinaryPrimitives.WriteUInt64LittleEndian(target[40..], Sum);
        BinaryPrimitives.WriteUInt32LittleEndian(target[RecordFormat.CrcOffset..], RecordFormat.Crc(seed, target));
    }

    public static ulong StoredSum(ReadOnlySpan<byte> batch) => BinaryPrimitives.ReadUInt64LittleEndian(batch[40..]);

    /// <summary>Whether a sound head stands at <paramref name="offset"/>: shape, checksum, and the offset it names.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> segment, int offset, uint seed, out BatchHead head)
    {
        head = default;
        if (segment.Length - offset < Bytes)
        {
            return false;
        }

        ReadOnlySpan<byte> source = segment.Slice(offset, Bytes);
        if (BinaryPrimitives.ReadInt32LittleEndian(source) != Bytes
            || BinaryPrimitives.ReadUInt64LittleEndian(source[8..]) != (ulong)RecordType.BatchHead
            || BinaryPrimitives.ReadInt32LittleEndian(source[32..]) != offset
            || RecordFormat.Crc(seed, source) != RecordFormat.StoredCrc(source))
        {
            return false;
        }

        head = new BatchHead(
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[28..]),
            offset,
            BinaryPrimitives.ReadUInt32LittleEndian(source[36..]),
            StoredSum(source));
        return true;
    }
}

/// <summary>A record whose checksum held.</summary>
internal readonly ref struct RecordView(ReadOnlySpan<byte> record, int offset)
{
    public RecordType Type { get; } = (RecordType)record[8];

    public byte Kind { get; } = record[9];

    public uint GroupId { get; } = BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);

    /// <summary>Offset of the record in its segment.</summary>
    public int Offset { get; } = offset;

    public ReadOnlySpan<byte> Body { get; } = record[RecordFormat.HeaderBytes..BinaryPrimitives.ReadInt32LittleEndian(record)];

    public ulong BodyUInt64(int position) => BinaryPrimitives.ReadUInt64LittleEndian(Body[(position * sizeof(ulong))..]);
}
