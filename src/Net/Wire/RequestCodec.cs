using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>
/// Bodies of requests. Fixed-width little-endian; bytes = length u32, then the bytes. Part of the wire format: never renumber.
/// <code>
///  every request    | deadline u32: milliseconds from arrival, 0 for the server's own | then, by kind:
///  Put              | flags u8 | lease i64 | with flag 8: time to live i64: milliseconds | key bytes | value bytes
///                     flags: 1 return previous, 2 ignore value, 4 ignore lease, 8 a time to live follows
///  Range            | flags u8 | sort target u8 | sort order u8 | limit i64 | revision i64 |
///                     with flag 8: min mod i64 | max mod i64 | min create i64 | max create i64 |
///                     with flag 16: staleness u32: milliseconds |
///                     key bytes | range end bytes
///                     flags: 1 serializable, 2 count only, 4 keys only, 8 bounds follow, 16 a bound on the staleness follows
///  DeleteRange      | flags u8 | key bytes | range end bytes
///                     flags: 1 return previous
///  Txn              | compares u32 | successes u32 | failures u32 | compare... | success... | failure...
///    a compare      | target u8 | relation u8 | number i64 | key bytes | range end bytes | value bytes
///    an operation   | kind u8 (Put, Range, DeleteRange, Txn) | its fields, without a deadline
///  Compact, Hash    | revision i64
///  Status, Ping, OpenSession | nothing
///  Session          | session u64 | sequence u64 | acknowledged below u64 | kind u8 (Put, DeleteRange, Txn, Compact, GrantLease, RevokeLease) | its fields, without a deadline
///  CloseSession     | session u64
///  GrantLease, RevokeLease, KeepLeaseAlive, LeaseTimeToLive, Leases | see LeaseCodec
///  Members          | see ClusterCodec
/// </code>
/// </summary>
internal static class RequestCodec
{
    /// <summary>Transactions inside one another, the outermost included.</summary>
    public const int TxnDepthMax = 8;

    /// <summary>Bytes of the deadline in front of every request.</summary>
    public const int DeadlineSize = sizeof(uint);

    private const byte PutReturnPrevious = 1, PutIgnoreValue = 2, PutIgnoreLease = 4, PutTimeToLive = 8;
    private const byte RangeSerializable = 1, RangeCountOnly = 2, RangeKeysOnly = 4, RangeBounds = 8, RangeStaleness = 16;
    private const byte DeleteReturnPrevious = 1;

    private const int CompareBytesMin = 1 + 1 + 8 + 4 + 4 + 4;
    private const int OperationBytesMin = 1 + 1 + 4 + 4;

    /// <summary>Bytes of the whole body.</summary>
    /// <exception cref="MetaStoreException">The request cannot be put on the wire.</exception>
    public static int GetLength(FrameKind kind, object? request) => DeadlineSize + kind switch
    {
        FrameKind.Put or FrameKind.Range or FrameKind.DeleteRange or FrameKind.Txn => GetLength((StoreRequest)request!, depth: 1),
        FrameKind.Compact or FrameKind.Hash => sizeof(long),
        FrameKind.Members => ClusterCodec.GetLength((ClusterCall)request!),
        FrameKind.Session => (3 * sizeof(ulong)) + 1 + GetSessionLength(((SessionRequest)request!).Request),
        FrameKind.CloseSession => sizeof(ulong),
        _ when LeaseCodec.IsRequest(kind) => LeaseCodec.GetLength(kind),
        _ => 0,
    };

    /// <summary>Writes the whole body; <paramref name="body"/> is of the length that was measured.</summary>
    public static void Write(Span<byte> body, FrameKind kind, object? request, uint deadlineMilliseconds)
    {
        var writer = new WireWriter(body);
        writer.WriteUInt32(deadlineMilliseconds);
        switch (request)
        {
            case LeaseRenewal or LeaseTimeToLiveRequest:
                LeaseCodec.Write(ref writer, request);
                break;
            case StoreRequest operation:
                WriteFields(ref writer, operation);
                break;
            case SessionEnd end:
                writer.WriteUInt64(end.SessionId);
                break;
            case ClusterCall call:
                ClusterCodec.Write(ref writer, call);
                break;
            case HashRequest hash:
                writer.WriteInt64(hash.Revision.Value);
                break;
            default:
                Invariant.Check(request is null && kind is FrameKind.Status or FrameKind.Ping or FrameKind.OpenSession or FrameKind.Leases, $"A request of kind {kind} without its body.");
                break;
        }

        writer.End();
    }

    /// <summary>
    /// Reads a whole body. Keys and values are slices of <paramref name="body"/>. The result is null for kinds that carry nothing.
    /// </summary>
    /// <exception cref="WireFormatException">The body is not a request of this kind.</exception>
    public static object? Read(FrameKind kind, ReadOnlyMemory<byte> body, int operationsMax, out uint deadlineMilliseconds)
    {
        var reader = new WireReader(body);
        deadlineMilliseconds = reader.ReadUInt32("deadline");
        int operationsLeft = operationsMax;
        object? request = kind switch
        {
            FrameKind.Put => ReadPut(ref reader),
            FrameKind.Range => ReadRange(ref reader),
            FrameKind.DeleteRange => ReadDeleteRange(ref reader),
            FrameKind.Txn => ReadTxn(ref reader, depth: 1, ref operationsLeft),
            FrameKind.Compact => new CompactRequest(new Revision(reader.ReadInt64("compact.revision"))),
            FrameKind.Hash => new HashRequest(new Revision(reader.ReadInt64("hash.revision"))),
            FrameKind.Members => ClusterCodec.Read(ref reader),
            FrameKind.Session => ReadSession(ref reader, ref operationsLeft),
            FrameKind.CloseSession => new SessionEnd(reader.ReadUInt64("session")),
            FrameKind.Status or FrameKind.Ping or FrameKind.OpenSession => null,
            _ when LeaseCodec.IsRequest(kind) => LeaseCodec.Read(ref reader, kind),
            _ => throw new WireFormatException($"Frame kind 0x{(byte)kind:x2} is not a request that this server knows."),
        };
        reader.End();
        return request;
    }

    /// <summary>Whether the request changes nothing, so that asking twice does no harm.</summary>
    public static bool IsReadOnly(StoreRequest request) => request switch
    {
        RangeRequest or LeaseTimeToLiveRequest => true,
        TxnRequest txn => AllReadOnly(txn.Success) && AllReadOnly(txn.Failure),
        _ => false,
    };

    private static bool AllReadOnly(IReadOnlyList<StoreRequest> operations)
    {
        for (int i = 0; i < operations.Count; i++)
        {
            if (!IsReadOnly(operations[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static int GetSessionLength(StoreRequest request) => request switch
    {
        CompactRequest => sizeof(long),
        PutRequest or DeleteRangeRequest or TxnRequest => GetLength(request, depth: 1),
        LeaseGrantRequest => LeaseCodec.GetLength(FrameKind.GrantLease),
        LeaseRevokeRequest => LeaseCodec.GetLength(FrameKind.RevokeLease),
        _ => throw new MetaStoreException(
            MetaStoreError.InvalidArgument,
            $"{request?.GetType().Name ?? "null"} cannot stand in a session; puts, removals, transactions, compactions, grants and revocations of leases can."),
    };

    private static int GetLength(StoreRequest request, int depth) => request switch
    {
        PutRequest put => 1 + sizeof(long) + (put.TimeToLive == TimeSpan.Zero ? 0 : sizeof(long)) + WireWriter.GetLength(put.Key) + WireWriter.GetLength(put.Value),
        RangeRequest range => 3 + (2 * sizeof(long)) + (HasBounds(range) ? 4 * sizeof(long) : 0) + (StalenessOf(range) > 0 ? sizeof(uint) : 0)
            + WireWriter.GetLength(range.Key) + WireWriter.GetLength(range.RangeEnd),
        DeleteRangeRequest delete => 1 + WireWriter.GetLength(delete.Key) + WireWriter.GetLength(delete.RangeEnd),
        TxnRequest txn => GetLength(txn, depth),
        null => throw new MetaStoreException(MetaStoreError.InvalidArgument, "An operation of a transaction is null."),
        _ => throw new MetaStoreException(
            MetaStoreError.InvalidArgument,
            $"A request of type {request.GetType().Name} cannot be sent; use PutRequest, RangeRequest, DeleteRangeRequest or TxnRequest."),
    };

    private static int GetLength(TxnRequest txn, int depth)
    {
        if (depth > TxnDepthMax)
        {
            throw new MetaStoreException(MetaStoreError.TooManyOperations, $"Transactions are nested deeper than {TxnDepthMax}.");
        }

        int length = 3 * sizeof(uint);
        for (int i = 0; i < txn.Compare.Count; i++)
        {
            Compare compare = txn.Compare[i]
                ?? throw new MetaStoreException(MetaStoreError.InvalidArgument, "A comparison of a transaction is null.");
            length = checked(length + 2 + sizeof(long) + WireWriter.GetLength(compare.Key)
                + WireWriter.GetLength(compare.RangeEnd) + WireWriter.GetLength(compare.Value));
        }

        return checked(length + GetLength(txn.Success, depth) + GetLength(txn.Failure, depth));
    }

    private static int GetLength(IReadOnlyList<StoreRequest> operations, int depth)
    {
        int length = 0;
        for (int i = 0; i < operations.Count; i++)
        {
            length = checked(length + 1 + GetLength(operations[i], depth + 1));
        }

        return length;
    }

    private static bool HasBounds(RangeRequest range) =>
        range.MinModRevision.Value != 0 || range.MaxModRevision.Value != 0
        || range.MinCreateRevision.Value != 0 || range.MaxCreateRevision.Value != 0;

    private static void WriteFields(ref WireWriter writer, StoreRequest request)
    {
        switch (request)
        {
            case PutRequest put:
                writer.WriteByte((byte)(
                    (put.ReturnPrevious ? PutReturnPrevious : 0) | (put.IgnoreValue ? PutIgnoreValue : 0) | (put.IgnoreLease ? PutIgnoreLease : 0)
                    | (put.TimeToLive == TimeSpan.Zero ? 0 : PutTimeToLive)));
                writer.WriteInt64(put.LeaseId);
                if (put.TimeToLive != TimeSpan.Zero)
                {
                    writer.WriteInt64((long)Math.Ceiling(put.TimeToLive.TotalMilliseconds)); // Up: a key never goes before its time.
                }

                writer.WriteBytes(put.Key);
                writer.WriteBytes(put.Value);
                break;
            case RangeRequest range:
                WriteRange(ref writer, range);
                break;
            case DeleteRangeRequest delete:
                writer.WriteByte(delete.ReturnPrevious ? DeleteReturnPrevious : (byte)0);
                writer.WriteBytes(delete.Key);
                writer.WriteBytes(delete.RangeEnd);
                break;
            case TxnRequest txn:
                WriteTxn(ref writer, txn);
                break;
            case CompactRequest compact:
                writer.WriteInt64(compact.Revision.Value);
                break;
            case SessionRequest session:
                writer.WriteUInt64(session.SessionId);
                writer.WriteUInt64(session.Sequence);
                writer.WriteUInt64(session.AcknowledgedBelow);
                writer.WriteByte((byte)KindOf(session.Request));
                WriteFields(ref writer, session.Request);
                break;
            case LeaseGrantRequest or LeaseRevokeRequest:
                LeaseCodec.Write(ref writer, request);
                break;
            default:
                Invariant.Fail($"A request of type {request.GetType().Name} was measured but cannot be written.");
                break;
        }
    }

    /// <summary>In milliseconds, rounded down: nobody is served what is older than was asked for.</summary>
    private static uint StalenessOf(RangeRequest range) => (uint)Math.Clamp(range.StalenessMax.TotalMilliseconds, 0, RangeRequest.StalenessLimit.TotalMilliseconds);

    private static void WriteRange(ref WireWriter writer, RangeRequest range)
    {
        bool bounds = HasBounds(range);
        uint staleness = StalenessOf(range);
        writer.WriteByte((byte)(
            (range.Serializable ? RangeSerializable : 0) | (range.CountOnly ? RangeCountOnly : 0)
            | (range.KeysOnly ? RangeKeysOnly : 0) | (bounds ? RangeBounds : 0) | (staleness > 0 ? RangeStaleness : 0)));
        writer.WriteByte((byte)range.SortTarget);
        writer.WriteByte((byte)range.SortOrder);
        writer.WriteInt64(range.Limit);
        writer.WriteInt64(range.Revision.Value);
        if (bounds)
        {
            writer.WriteInt64(range.MinModRevision.Value);
            writer.WriteInt64(range.MaxModRevision.Value);
            writer.WriteInt64(range.MinCreateRevision.Value);
            writer.WriteInt64(range.MaxCreateRevision.Value);
        }

        if (staleness > 0)
        {
            writer.WriteUInt32(staleness);
        }

        writer.WriteBytes(range.Key);
        writer.WriteBytes(range.RangeEnd);
    }

    private static void WriteTxn(ref WireWriter writer, TxnRequest txn)
    {
        writer.WriteUInt32((uint)txn.Compare.Count);
        writer.WriteUInt32((uint)txn.Success.Count);
        writer.WriteUInt32((uint)txn.Failure.Count);
        for (int i = 0; i < txn.Compare.Count; i++)
        {
            Compare compare = txn.Compare[i];
            writer.WriteByte((byte)compare.Target);
            writer.WriteByte((byte)compare.Relation);
            writer.WriteInt64(compare.Number);
            writer.WriteBytes(compare.Key);
            writer.WriteBytes(compare.RangeEnd);
            writer.WriteBytes(compare.Value);
        }

        WriteOperations(ref writer, txn.Success);
        WriteOperations(ref writer, txn.Failure);
    }

    private static void WriteOperations(ref WireWriter writer, IReadOnlyList<StoreRequest> operations)
    {
        for (int i = 0; i < operations.Count; i++)
        {
            StoreRequest operation = operations[i];
            writer.WriteByte((byte)KindOf(operation));
            WriteFields(ref writer, operation);
        }
    }

    private static FrameKind KindOf(StoreRequest request) => request switch
    {
        PutRequest => FrameKind.Put,
        RangeRequest => FrameKind.Range,
        DeleteRangeRequest => FrameKind.DeleteRange,
        CompactRequest => FrameKind.Compact,
        LeaseGrantRequest => FrameKind.GrantLease,
        LeaseRevokeRequest => FrameKind.RevokeLease,
        _ => FrameKind.Txn,
    };

    private static PutRequest ReadPut(ref WireReader reader)
    {
        byte flags = reader.ReadFlags(PutReturnPrevious | PutIgnoreValue | PutIgnoreLease | PutTimeToLive, "put.flags");
        long lease = reader.ReadInt64("put.lease");
        return new PutRequest
        {
            TimeToLive = (flags & PutTimeToLive) != 0 ? LeaseCodec.ReadTimeToLive(ref reader) : TimeSpan.Zero,
            Key = reader.ReadBytes("put.key"),
            Value = reader.ReadBytes("put.value"),
            LeaseId = lease,
            ReturnPrevious = (flags & PutReturnPrevious) != 0,
            IgnoreValue = (flags & PutIgnoreValue) != 0,
            IgnoreLease = (flags & PutIgnoreLease) != 0,
        };
    }

    private static RangeRequest ReadRange(ref WireReader reader)
    {
        byte flags = reader.ReadFlags(RangeSerializable | RangeCountOnly | RangeKeysOnly | RangeBounds | RangeStaleness, "range.flags");
        // The store answers an unknown sort with its own error; here the number is only carried.
        var target = (SortTarget)reader.ReadByte("range.sort target");
        var order = (SortOrder)reader.ReadByte("range.sort order");
        long limit = reader.ReadInt64("range.limit");
        long revision = reader.ReadInt64("range.revision");
        bool bounds = (flags & RangeBounds) != 0;
        return new RangeRequest
        {
            SortTarget = target,
            SortOrder = order,
            Limit = limit,
            Revision = new Revision(revision),
            Serializable = (flags & RangeSerializable) != 0,
            CountOnly = (flags & RangeCountOnly) != 0,
            KeysOnly = (flags & RangeKeysOnly) != 0,
            MinModRevision = bounds ? new Revision(reader.ReadInt64("range.min mod")) : default,
            MaxModRevision = bounds ? new Revision(reader.ReadInt64("range.max mod")) : default,
            MinCreateRevision = bounds ? new Revision(reader.ReadInt64("range.min create")) : default,
            MaxCreateRevision = bounds ? new Revision(reader.ReadInt64("range.max create")) : default,
            StalenessMax = (flags & RangeStaleness) != 0 ? ReadStaleness(ref reader) : TimeSpan.Zero,
            Key = reader.ReadBytes("range.key"),
            RangeEnd = reader.ReadBytes("range.range end"),
        };
    }

    private static TimeSpan ReadStaleness(ref WireReader reader)
    {
        TimeSpan staleness = TimeSpan.FromMilliseconds(reader.ReadUInt32("range.staleness"));
        return staleness <= RangeRequest.StalenessLimit
            ? staleness
            : throw new WireFormatException($"range.staleness: {staleness.TotalMilliseconds} ms; at most {RangeRequest.StalenessLimit.TotalMilliseconds} are taken.", MetaStoreError.InvalidArgument);
    }

    private static DeleteRangeRequest ReadDeleteRange(ref WireReader reader)
    {
        byte flags = reader.ReadFlags(DeleteReturnPrevious, "delete.flags");
        return new DeleteRangeRequest
        {
            Key = reader.ReadBytes("delete.key"),
            RangeEnd = reader.ReadBytes("delete.range end"),
            ReturnPrevious = (flags & DeleteReturnPrevious) != 0,
        };
    }

    private static TxnRequest ReadTxn(ref WireReader reader, int depth, ref int operationsLeft)
    {
        if (depth > TxnDepthMax)
        {
            throw new WireFormatException($"Transactions are nested deeper than {TxnDepthMax}.", MetaStoreError.TooManyOperations);
        }

        int compares = reader.ReadCount(CompareBytesMin, "txn.compares");
        int successes = reader.ReadCount(OperationBytesMin, "txn.successes");
        int failures = reader.ReadCount(OperationBytesMin, "txn.failures");
        operationsLeft -= Math.Max(compares, Math.Max(successes, failures));
        if (operationsLeft < 0)
        {
            throw new WireFormatException(
                $"A transaction of {compares} comparisons, {successes} and {failures} operations goes beyond what one request may carry.",
                MetaStoreError.TooManyOperations);
        }

        var compare = new Compare[compares];
        for (int i = 0; i < compare.Length; i++)
        {
            compare[i] = ReadCompare(ref reader);
        }

        return new TxnRequest
        {
            Compare = compare,
            Success = ReadOperations(ref reader, successes, depth, ref operationsLeft),
            Failure = ReadOperations(ref reader, failures, depth, ref operationsLeft),
        };
    }

    private static SessionRequest ReadSession(ref WireReader reader, ref int operationsLeft)
    {
        ulong session = reader.ReadUInt64("session");
        ulong sequence = reader.ReadUInt64("session.sequence");
        ulong acknowledgedBelow = reader.ReadUInt64("session.acknowledged below");
        var kind = (FrameKind)reader.ReadByte("session.kind");
        return new SessionRequest
        {
            SessionId = session,
            Sequence = sequence,
            AcknowledgedBelow = acknowledgedBelow,
            Request = kind switch
            {
                FrameKind.Put => ReadPut(ref reader),
                FrameKind.DeleteRange => ReadDeleteRange(ref reader),
                FrameKind.Txn => ReadTxn(ref reader, depth: 1, ref operationsLeft),
                FrameKind.Compact => new CompactRequest(new Revision(reader.ReadInt64("compact.revision"))),
                FrameKind.GrantLease or FrameKind.RevokeLease => (StoreRequest)LeaseCodec.Read(ref reader, kind)!,
                _ => throw new WireFormatException($"session.kind: 0x{(byte)kind:x2} cannot stand in a session; 0x01, 0x03, 0x04, 0x05, 0x10 and 0x11 can."),
            },
        };
    }

    private static Compare ReadCompare(ref WireReader reader)
    {
        var target = (CompareTarget)reader.ReadChoice((byte)CompareTarget.Lease, "compare.target");
        var relation = (CompareRelation)reader.ReadChoice((byte)CompareRelation.NotEqual, "compare.relation");
        long number = reader.ReadInt64("compare.number");
        return new Compare
        {
            Target = target,
            Relation = relation,
            Number = number,
            Key = reader.ReadBytes("compare.key"),
            RangeEnd = reader.ReadBytes("compare.range end"),
            Value = reader.ReadBytes("compare.value"),
        };
    }

    private static StoreRequest[] ReadOperations(ref WireReader reader, int count, int depth, ref int operationsLeft)
    {
        var operations = new StoreRequest[count];
        for (int i = 0; i < operations.Length; i++)
        {
            var kind = (FrameKind)reader.ReadByte("operation.kind");
            operations[i] = kind switch
            {
                FrameKind.Put => ReadPut(ref reader),
                FrameKind.Range => ReadRange(ref reader),
                FrameKind.DeleteRange => ReadDeleteRange(ref reader),
                FrameKind.Txn => ReadTxn(ref reader, depth + 1, ref operationsLeft),
                _ => throw new WireFormatException($"operation.kind: 0x{(byte)kind:x2} cannot stand in a transaction; 0x01 to 0x04 can."),
            };
        }

        return operations;
    }
}

/// <summary>The body of a CloseSession request.</summary>
internal sealed record SessionEnd(ulong SessionId);
