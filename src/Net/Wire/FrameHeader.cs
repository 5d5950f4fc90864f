using System.Buffers;
using System.Buffers.Binary;

namespace MetaStore.Net.Wire;

/// <summary>What a frame is. Part of the wire format: never renumber.</summary>
internal enum FrameKind : byte
{
    /// <summary>Request: store a value.</summary>
    Put = 0x01,

    /// <summary>Request: read a key or a range.</summary>
    Range = 0x02,

    /// <summary>Request: remove a key or a range.</summary>
    DeleteRange = 0x03,

    /// <summary>Request: a transaction.</summary>
    Txn = 0x04,

    /// <summary>Request: give up history.</summary>
    Compact = 0x05,

    /// <summary>Request: the node's view of itself.</summary>
    Status = 0x06,

    /// <summary>Request: a hash over the store.</summary>
    Hash = 0x07,

    /// <summary>Request: are you there?</summary>
    Ping = 0x08,

    /// <summary>Request: about the members; <see cref="ClusterCodec"/>.</summary>
    Members = 0x09,

    /// <summary>Request: a write with its number in a session.</summary>
    Session = 0x0A,

    /// <summary>Request: open a session.</summary>
    OpenSession = 0x0B,

    /// <summary>Request: end a session.</summary>
    CloseSession = 0x0C,

    /// <summary>Request: grant a lease.</summary>
    GrantLease = 0x10,

    /// <summary>Request: end a lease.</summary>
    RevokeLease = 0x11,

    /// <summary>Request: renew a lease.</summary>
    KeepLeaseAlive = 0x12,

    /// <summary>Request: how long has a lease left?</summary>
    LeaseTimeToLive = 0x13,

    /// <summary>Request: all leases.</summary>
    Leases = 0x14,

    /// <summary>Request: begin a watch; <see cref="WatchCodec"/>. It has answers without end.</summary>
    Watch = 0x18,

    /// <summary>To the server, for a watch or a snapshot: so many more bytes may come. Has no answer.</summary>
    WatchCredit = 0x19,

    /// <summary>To the server: nobody looks at the watch, or the snapshot, any more. Has no answer.</summary>
    WatchCancel = 0x1a,

    /// <summary>Request: all that the node has; <see cref="SnapshotCodec"/>. It has many answers.</summary>
    Snapshot = 0x1b,

    /// <summary>Between peers: a Raft message with its group.</summary>
    RaftMessage = 0x20,

    /// <summary>Answer to <see cref="Put"/>. An answer's kind is its request's with the bit 0x40 set.</summary>
    PutAnswer = 0x41,

    /// <summary>Answer to <see cref="Range"/>.</summary>
    RangeAnswer = 0x42,

    /// <summary>Answer to <see cref="DeleteRange"/>.</summary>
    DeleteRangeAnswer = 0x43,

    /// <summary>Answer to <see cref="Txn"/>.</summary>
    TxnAnswer = 0x44,

    /// <summary>Answer to <see cref="Compact"/>.</summary>
    CompactAnswer = 0x45,

    /// <summary>Answer to <see cref="Status"/>.</summary>
    StatusAnswer = 0x46,

    /// <summary>Answer to <see cref="Hash"/>.</summary>
    HashAnswer = 0x47,

    /// <summary>Answer to <see cref="Ping"/>.</summary>
    PingAnswer = 0x48,

    /// <summary>Answer to <see cref="Members"/>; also sent, once, to a member that asks before its first start.</summary>
    MembersAnswer = 0x49,

    /// <summary>Answer to <see cref="Session"/>.</summary>
    SessionAnswer = 0x4A,

    /// <summary>Answer to <see cref="OpenSession"/>.</summary>
    OpenSessionAnswer = 0x4B,

    /// <summary>Answer to <see cref="CloseSession"/>.</summary>
    CloseSessionAnswer = 0x4C,

    /// <summary>Answer to <see cref="GrantLease"/>.</summary>
    GrantLeaseAnswer = 0x50,

    /// <summary>Answer to <see cref="RevokeLease"/>.</summary>
    RevokeLeaseAnswer = 0x51,

    /// <summary>Answer to <see cref="KeepLeaseAlive"/>.</summary>
    KeepLeaseAliveAnswer = 0x52,

    /// <summary>Answer to <see cref="LeaseTimeToLive"/>.</summary>
    LeaseTimeToLiveAnswer = 0x53,

    /// <summary>Answer to <see cref="Leases"/>.</summary>
    LeasesAnswer = 0x54,

    /// <summary>To a watch.</summary>
    WatchAnswer = 0x58,

    /// <summary>To a snapshot: the next part of it.</summary>
    SnapshotAnswer = 0x5b,

    /// <summary>Answer to any request that failed; with correlation 0, the reason why the server is closing the connection.</summary>
    Error = 0x60,

    /// <summary>Unasked, correlation 0: the server's node sees another leader now.</summary>
    LeaderChanged = 0x70,

    /// <summary>Unasked, correlation 0: the server is stopping. Send nothing more, and close once all is answered.</summary>
    Goodbye = 0x71,
}

/// <summary>
/// What stands in front of every body. Fixed-width little-endian. Part of the wire format: never renumber, never reorder.
/// <code>
///  0           4           8                       16     17     18        20
///  +-----------+-----------+-----------------------+------+------+---------+----------------
///  | length    | crc       | correlation           | kind | 0    | 0       | body (length bytes)
///  | u32       | u32       | u64                   | u8   | u8   | u16     |
///  +-----------+-----------+-----------------------+------+------+---------+----------------
///                          |&lt;-------------- the crc (CRC-32C) covers this ---------------&gt;
/// </code>
/// The correlation is the requester's to choose, not 0; the answer repeats it, and answers come in any order.
/// </summary>
internal readonly record struct FrameHeader(uint BodyLength, uint Checksum, ulong Correlation, FrameKind Kind)
{
    public const int Size = 20;

    /// <summary>Where the part under the checksum begins.</summary>
    public const int ChecksumStart = 8;

    /// <summary>Set in the kind of an answer.</summary>
    public const byte AnswerBit = 0x40;

    /// <summary>The kind of the answer to a request.</summary>
    public static FrameKind AnswerTo(FrameKind request) => (FrameKind)((byte)request | AnswerBit);

    /// <summary>
    /// Fills in the header of a frame whose body already stands behind it. <paramref name="frame"/> is header and body.
    /// </summary>
    public static void Seal(Span<byte> frame, ulong correlation, FrameKind kind)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)(frame.Length - Size));
        BinaryPrimitives.WriteUInt64LittleEndian(frame[8..], correlation);
        frame[16] = (byte)kind;
        frame[17..Size].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(frame[4..], FrameChecksum.Compute(frame[ChecksumStart..]));
    }

    /// <summary>Reads a header if all of it is there.</summary>
    /// <exception cref="WireFormatException">A byte that must be zero is not.</exception>
    public static bool TryRead(in ReadOnlySequence<byte> buffer, out FrameHeader header)
    {
        if (buffer.Length < Size)
        {
            header = default;
            return false;
        }

        if (buffer.FirstSpan.Length >= Size)
        {
            header = Parse(buffer.FirstSpan);
            return true;
        }

        Span<byte> scratch = stackalloc byte[Size];
        buffer.Slice(0, Size).CopyTo(scratch);
        header = Parse(scratch);
        return true;
    }

    /// <summary>Checks the sum over the rest of the header and the body. <paramref name="frame"/> is header and body.</summary>
    /// <exception cref="WireFormatException">The frame was damaged on its way.</exception>
    public void CheckSum(in ReadOnlySequence<byte> frame)
    {
        uint actual = FrameChecksum.Compute(frame.Slice(ChecksumStart));
        if (actual != Checksum)
        {
            throw new WireFormatException(
                $"A frame of {BodyLength} body bytes was damaged on its way: its checksum says {Checksum:x8}, its bytes give {actual:x8}.");
        }
    }

    private static FrameHeader Parse(ReadOnlySpan<byte> span)
    {
        if (span[17] != 0 || span[18] != 0 || span[19] != 0)
        {
            throw new WireFormatException("Bytes 17 to 19 of a frame header must be zero; the other side does not speak this protocol.");
        }

        return new FrameHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(span),
            BinaryPrimitives.ReadUInt32LittleEndian(span[4..]),
            BinaryPrimitives.ReadUInt64LittleEndian(span[8..]),
            (FrameKind)span[16]);
    }
}
