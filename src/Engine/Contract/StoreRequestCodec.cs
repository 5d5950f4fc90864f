using System.Buffers.Binary;
using MetaStore.Engine.Leases;

namespace MetaStore.Engine;

/// <summary>Bytes are not an encoded request. The message says what was expected where.</summary>
public sealed class RequestFormatException(string message) : Exception(message);

/// <summary>
/// The binary form of a <see cref="StoreRequest"/>, the same in the log and between peers (clients speak another, in
/// MetaStore.Net). All numbers are fixed-width little-endian.
/// <code>
/// bytes    := length:u32 byte*
/// request  := kind:u8 body
/// put (1)        flags:u8 (1 return previous, 2 ignore value, 4 ignore lease, 8 a time to live)  lease:i64  key:bytes  value:bytes  with flag 8: ttl:i64 (milliseconds)
/// range (2)      flags:u8 (1 serializable, 2 count only, 4 keys only)  target:u8  order:u8
///                limit:i64 revision:i64 minMod:i64 maxMod:i64 minCreate:i64 maxCreate:i64  key:bytes  end:bytes
/// delete (3)     flags:u8 (1 return previous)  key:bytes  end:bytes
/// txn (4)        compares:u32 compare*  success:u32 request*  failure:u32 request*
/// compact (5)    revision:i64
/// session (6)    session:u64 sequence:u64 acknowledgedBelow:u64  request         (put, delete, txn, compact, grant or revoke)
/// open (7)       sessionsMax:u32 sessionKeptBytesMax:u32 totalBytesMax:u64
/// close (8)      session:u64
/// grant (9)      ttl:i64 (seconds) lease:i64
/// revoke (10)    lease:i64
/// expire (11)    term:u64  leases:u32 (lease:i64)*
/// checkpoint (12) term:u64  leases:u32 (lease:i64 remaining:i64)*           (milliseconds)
/// compare  := target:u8 relation:u8 number:i64 key:bytes end:bytes value:bytes
/// </code>
/// Part of the disk and wire format: never renumber a kind or a flag, never reorder fields.
/// </summary>
public static class StoreRequestCodec
{
    private const byte Put = 1;
    private const byte Range = 2;
    private const byte Delete = 3;
    private const byte Txn = 4;
    private const byte Compact = 5;
    private const byte Session = 6;
    private const byte OpenSession = 7;
    private const byte CloseSession = 8;
    private const byte GrantLease = 9;
    private const byte RevokeLease = 10;
    private const byte ExpireLeases = 11;
    private const byte CheckpointLeases = 12;
    private const byte TimeToLiveFlag = 8;

    // Far above what any limit allows; keeps a hostile encoding from exhausting the stack.
    private const int DepthMax = 64;

    /// <summary>Bytes that <see cref="Write"/> fills.</summary>
    public static int GetLength(StoreRequest request) => request switch
    {
        PutRequest put => 1 + 1 + 8 + Sized(put.Key) + Sized(put.Value) + (put.TimeToLive == TimeSpan.Zero ? 0 : 8),
        RangeRequest range => 1 + 3 + (6 * 8) + Sized(range.Key) + Sized(range.RangeEnd),
        DeleteRangeRequest delete => 1 + 1 + Sized(delete.Key) + Sized(delete.RangeEnd),
        TxnRequest txn => 1 + CompareLength(txn.Compare) + BranchLength(txn.Success) + BranchLength(txn.Failure),
        CompactRequest => 1 + 8,
        SessionRequest session => 1 + (3 * 8) + GetLength(session.Request),
        OpenSessionRequest => 1 + (2 * 4) + 8,
        CloseSessionRequest => 1 + 8,
        LeaseGrantRequest => 1 + 8 + 8,
        LeaseRevokeRequest => 1 + 8,
        ExpireLeasesRequest expire => 1 + 8 + sizeof(uint) + (8 * expire.Ids.Count),
        CheckpointLeasesRequest checkpoint => 1 + 8 + sizeof(uint) + (16 * checkpoint.Leases.Count),
        _ => throw new ArgumentException($"{request.GetType().Name} has no binary form", nameof(request)),
    };

    /// <summary>Writes the request to the front of the buffer and returns the bytes used.</summary>
    public static int Write(StoreRequest request, Span<byte> buffer)
    {
        var writer = new LittleEndianWriter(buffer);
        WriteRequest(ref writer, request);
        return writer.Position;
    }

    /// <summary>Reads one request. Keys and values are slices of the buffer, not copies.</summary>
    /// <exception cref="RequestFormatException">The bytes are not a request.</exception>
    public static StoreRequest Read(ReadOnlyMemory<byte> buffer, out int bytesRead)
    {
        var reader = new LittleEndianReader(buffer);
        StoreRequest request = ReadRequest(ref reader, depth: 0);
        bytesRead = reader.Position;
        return request;
    }

    private static int Sized(ReadOnlyMemory<byte> bytes) => sizeof(uint) + bytes.Length;

    private static int CompareLength(IReadOnlyList<Compare> compares)
    {
        int length = sizeof(uint);
        for (int i = 0; i < compares.Count; i++)
        {
            length += 2 + 8 + Sized(compares[i].Key) + Sized(compares[i].RangeEnd) + Sized(compares[i].Value);
        }

        return length;
    }

    private static int BranchLength(IReadOnlyList<StoreRequest> branch)
    {
        int length = sizeof(uint);
        for (int i = 0; i < branch.Count; i++)
        {
            length += GetLength(branch[i]);
        }

        return length;
    }

    private static void WriteRequest(ref LittleEndianWriter writer, StoreRequest request)
    {
        switch (request)
        {
            case PutRequest put:
                writer.Byte(Put);
                WritePut(ref writer, put);
                break;
            case RangeRequest range:
                WriteRange(ref writer, range);
                break;
            case DeleteRangeRequest delete:
                writer.Byte(Delete);
                writer.Byte(Flags(delete.ReturnPrevious, false, false));
                writer.Bytes(delete.Key.Span);
                writer.Bytes(delete.RangeEnd.Span);
                break;
            case TxnRequest txn:
                writer.Byte(Txn);
                WriteCompares(ref writer, txn.Compare);
                WriteBranch(ref writer, txn.Success);
                WriteBranch(ref writer, txn.Failure);
                break;
            case CompactRequest compact:
                writer.Byte(Compact);
                writer.Int64(compact.Revision.Value);
                break;
            case SessionRequest session:
                writer.Byte(Session);
                writer.UInt64(session.SessionId);
                writer.UInt64(session.Sequence);
                writer.UInt64(session.AcknowledgedBelow);
                WriteRequest(ref writer, session.Request);
                break;
            case OpenSessionRequest open:
                writer.Byte(OpenSession);
                writer.UInt32(open.Limits.SessionsMax);
                writer.UInt32(open.Limits.SessionKeptBytesMax);
                writer.UInt64(open.Limits.TotalBytesMax);
                break;
            case CloseSessionRequest close:
                writer.Byte(CloseSession);
                writer.UInt64(close.SessionId);
                break;
            default:
                WriteLeaseRequest(ref writer, request);
                break;
        }
    }

    private static void WriteLeaseRequest(ref LittleEndianWriter writer, StoreRequest request)
    {
        switch (request)
        {
            case LeaseGrantRequest grant:
                writer.Byte(GrantLease);
                writer.Int64(grant.Ttl);
                writer.Int64(grant.Id);
                break;
            case LeaseRevokeRequest revoke:
                writer.Byte(RevokeLease);
                writer.Int64(revoke.Id);
                break;
            case ExpireLeasesRequest expire:
                writer.Byte(ExpireLeases);
                writer.UInt64(expire.Term);
                writer.UInt32((uint)expire.Ids.Count);
                foreach (long id in expire.Ids)
                {
                    writer.Int64(id);
                }

                break;
            case CheckpointLeasesRequest checkpoint:
                writer.Byte(CheckpointLeases);
                writer.UInt64(checkpoint.Term);
                writer.UInt32((uint)checkpoint.Leases.Count);
                foreach (LeaseCheckpoint lease in checkpoint.Leases)
                {
                    writer.Int64(lease.Id);
                    writer.Int64(lease.RemainingMilliseconds);
                }

                break;
            default:
                throw new ArgumentException($"{request.GetType().Name} has no binary form", nameof(request));
        }
    }

    private static void WritePut(ref LittleEndianWriter writer, PutRequest put)
    {
        bool hasTimeToLive = put.TimeToLive != TimeSpan.Zero;
        writer.Byte((byte)(Flags(put.ReturnPrevious, put.IgnoreValue, put.IgnoreLease) | (hasTimeToLive ? TimeToLiveFlag : 0)));
        writer.Int64(put.LeaseId);
        writer.Bytes(put.Key.Span);
        writer.Bytes(put.Value.Span);
        if (hasTimeToLive)
        {
            writer.Int64(put.TimeToLive.Ticks / TimeSpan.TicksPerMillisecond);
        }
    }

    private static void WriteRange(ref LittleEndianWriter writer, RangeRequest range)
    {
        writer.Byte(Range);
        writer.Byte(Flags(range.Serializable, range.CountOnly, range.KeysOnly));
        writer.Byte((byte)range.SortTarget);
        writer.Byte((byte)range.SortOrder);
        writer.Int64(range.Limit);
        writer.Int64(range.Revision.Value);
        writer.Int64(range.MinModRevision.Value);
        writer.Int64(range.MaxModRevision.Value);
        writer.Int64(range.MinCreateRevision.Value);
        writer.Int64(range.MaxCreateRevision.Value);
        writer.Bytes(range.Key.Span);
        writer.Bytes(range.RangeEnd.Span);
    }

    private static void WriteCompares(ref LittleEndianWriter writer, IReadOnlyList<Compare> compares)
    {
        writer.UInt32((uint)compares.Count);
        for (int i = 0; i < compares.Count; i++)
        {
            writer.Byte((byte)compares[i].Target);
            writer.Byte((byte)compares[i].Relation);
            writer.Int64(compares[i].Number);
            writer.Bytes(compares[i].Key.Span);
            writer.Bytes(compares[i].RangeEnd.Span);
            writer.Bytes(compares[i].Value.Span);
        }
    }

    private static void WriteBranch(ref LittleEndianWriter writer, IReadOnlyList<StoreRequest> branch)
    {
        writer.UInt32((uint)branch.Count);
        for (int i = 0; i < branch.Count; i++)
        {
            WriteRequest(ref writer, branch[i]);
        }
    }

    private static StoreRequest ReadRequest(ref LittleEndianReader reader, int depth)
    {
        if (depth > DepthMax)
        {
            throw new RequestFormatException($"transactions are nested more than {DepthMax} deep");
        }

        int at = reader.Position;
        byte kind = reader.Byte();
        return kind switch
        {
            Put => ReadPut(ref reader),
            Range => ReadRange(ref reader),
            Delete => ReadDelete(ref reader),
            Txn => new TxnRequest
            {
                Compare = ReadCompares(ref reader),
                Success = ReadBranch(ref reader, depth),
                Failure = ReadBranch(ref reader, depth),
            },
            Compact => new CompactRequest(new Revision(reader.Int64())),
            Session => ReadSession(ref reader, depth),
            OpenSession => new OpenSessionRequest(new SessionLimits(reader.UInt32(), reader.UInt32(), reader.UInt64())),
            CloseSession => new CloseSessionRequest(reader.UInt64()),
            GrantLease => new LeaseGrantRequest(reader.Int64(), reader.Int64()),
            RevokeLease => new LeaseRevokeRequest(reader.Int64()),
            ExpireLeases => new ExpireLeasesRequest(reader.UInt64(), ReadIds(ref reader)),
            CheckpointLeases => new CheckpointLeasesRequest(reader.UInt64(), ReadCheckpoints(ref reader)),
            _ => throw new RequestFormatException($"request kind {kind} at byte {at} is unknown; kinds are 1 to 12"),
        };
    }

    private static long[] ReadIds(ref LittleEndianReader reader)
    {
        var ids = new long[reader.Count(smallest: 8)];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = reader.Int64();
        }

        return ids;
    }

    private static LeaseCheckpoint[] ReadCheckpoints(ref LittleEndianReader reader)
    {
        var leases = new LeaseCheckpoint[reader.Count(smallest: 16)];
        for (int i = 0; i < leases.Length; i++)
        {
            leases[i] = new LeaseCheckpoint(reader.Int64(), reader.Int64());
        }

        return leases;
    }

    private static SessionRequest ReadSession(ref LittleEndianReader reader, int depth)
    {
        ulong session = reader.UInt64();
        ulong sequence = reader.UInt64();
        ulong acknowledgedBelow = reader.UInt64();
        return new SessionRequest
        {
            SessionId = session,
            Sequence = sequence,
            AcknowledgedBelow = acknowledgedBelow,
            Request = ReadRequest(ref reader, depth + 1),
        };
    }

    private static PutRequest ReadPut(ref LittleEndianReader reader)
    {
        byte flags = reader.Flags(7 | TimeToLiveFlag);
        long lease = reader.Int64();
        ReadOnlyMemory<byte> key = reader.Bytes();
        ReadOnlyMemory<byte> value = reader.Bytes();
        return new PutRequest
        {
            Key = key,
            Value = value,
            LeaseId = lease,
            TimeToLive = (flags & TimeToLiveFlag) != 0 ? ReadTimeToLive(ref reader) : TimeSpan.Zero,
            ReturnPrevious = (flags & 1) != 0,
            IgnoreValue = (flags & 2) != 0,
            IgnoreLease = (flags & 4) != 0,
        };
    }

    private static TimeSpan ReadTimeToLive(ref LittleEndianReader reader)
    {
        int at = reader.Position;
        long milliseconds = reader.Int64();
        return milliseconds > 0 && milliseconds <= (long)PutRequest.TimeToLiveMax.TotalMilliseconds
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new RequestFormatException($"time to live {milliseconds} ms at byte {at}; it is from 1 to {(long)PutRequest.TimeToLiveMax.TotalMilliseconds}");
    }

    private static RangeRequest ReadRange(ref LittleEndianReader reader)
    {
        byte flags = reader.Flags(7);
        var target = (SortTarget)reader.Byte();
        var order = (SortOrder)reader.Byte();
        long limit = reader.Int64();
        long revision = reader.Int64();
        long minMod = reader.Int64();
        long maxMod = reader.Int64();
        long minCreate = reader.Int64();
        long maxCreate = reader.Int64();
        ReadOnlyMemory<byte> key = reader.Bytes();
        return new RangeRequest
        {
            Key = key,
            RangeEnd = reader.Bytes(),
            Limit = limit,
            Revision = new Revision(revision),
            Serializable = (flags & 1) != 0,
            CountOnly = (flags & 2) != 0,
            KeysOnly = (flags & 4) != 0,
            SortTarget = target,
            SortOrder = order,
            MinModRevision = new Revision(minMod),
            MaxModRevision = new Revision(maxMod),
            MinCreateRevision = new Revision(minCreate),
            MaxCreateRevision = new Revision(maxCreate),
        };
    }

    private static DeleteRangeRequest ReadDelete(ref LittleEndianReader reader)
    {
        byte flags = reader.Flags(1);
        ReadOnlyMemory<byte> key = reader.Bytes();
        return new DeleteRangeRequest { Key = key, RangeEnd = reader.Bytes(), ReturnPrevious = flags != 0 };
    }

    private static Compare[] ReadCompares(ref LittleEndianReader reader)
    {
        var compares = new Compare[reader.Count(smallest: 2 + 8 + (3 * sizeof(uint)))];
        for (int i = 0; i < compares.Length; i++)
        {
            var target = (CompareTarget)reader.Byte();
            var relation = (CompareRelation)reader.Byte();
            long number = reader.Int64();
            ReadOnlyMemory<byte> key = reader.Bytes();
            ReadOnlyMemory<byte> end = reader.Bytes();
            compares[i] = new Compare { Key = key, RangeEnd = end, Target = target, Relation = relation, Number = number, Value = reader.Bytes() };
        }

        return compares;
    }

    private static StoreRequest[] ReadBranch(ref LittleEndianReader reader, int depth)
    {
        var branch = new StoreRequest[reader.Count(smallest: 1 + 8)];
        for (int i = 0; i < branch.Length; i++)
        {
            branch[i] = ReadRequest(ref reader, depth + 1);
        }

        return branch;
    }

    private static byte Flags(bool first, bool second, bool third) =>
        (byte)((first ? 1 : 0) | (second ? 2 : 0) | (third ? 4 : 0));
}

/// <summary>Writes fixed-width little-endian values to a buffer that is known to be large enough.</summary>
internal ref struct LittleEndianWriter(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;

    public int Position { get; private set; }

    public void Byte(byte value) => _buffer[Position++] = value;

    public void UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer[Position..], value);
        Position += sizeof(uint);
    }

    public void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer[Position..], value);
        Position += sizeof(ulong);
    }

    public void Int64(long value) => UInt64(unchecked((ulong)value));

    public void Bytes(ReadOnlySpan<byte> value)
    {
        UInt32((uint)value.Length);
        value.CopyTo(_buffer[Position..]);
        Position += value.Length;
    }
}

/// <summary>Reads fixed-width little-endian values; every length is checked against the bytes that are there before it is used.</summary>
internal struct LittleEndianReader(ReadOnlyMemory<byte> buffer)
{
    private readonly ReadOnlyMemory<byte> _buffer = buffer;

    public int Position { get; private set; }

    public readonly int Remaining => _buffer.Length - Position;

    public byte Byte() => Take(1)[0];

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    public long Int64() => unchecked((long)UInt64());

    public byte Flags(byte known)
    {
        int at = Position;
        byte flags = Byte();
        return (flags & ~known) == 0 ? flags : throw new RequestFormatException($"flags {flags} at byte {at} hold an unknown bit; known are {known}");
    }

    public ReadOnlyMemory<byte> Bytes()
    {
        int at = Position;
        uint length = UInt32();
        if (length > (uint)Remaining)
        {
            throw new RequestFormatException($"length {length} at byte {at} exceeds the {Remaining} bytes left");
        }

        ReadOnlyMemory<byte> bytes = _buffer.Slice(Position, (int)length);
        Position += (int)length;
        return bytes;
    }

    /// <summary>Reads a count of things that each take at least <paramref name="smallest"/> bytes.</summary>
    public int Count(int smallest)
    {
        int at = Position;
        uint count = UInt32();
        return count <= (uint)(Remaining / smallest)
            ? (int)count
            : throw new RequestFormatException($"count {count} at byte {at} cannot fit into the {Remaining} bytes left");
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > Remaining)
        {
            throw new RequestFormatException($"{length} bytes expected at byte {Position}, {Remaining} left");
        }

        ReadOnlySpan<byte> taken = _buffer.Span.Slice(Position, length);
        Position += length;
        return taken;
    }
}
