using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>
/// Bodies of answers. Fixed-width little-endian; bytes and text = length u32, then the bytes (text is UTF-8).
/// Part of the wire format: never renumber.
/// <code>
///  header             | cluster u64 | node u64 | revision i64 | term u64      (inside a transaction: revision i64 alone)
///  key value          | create i64 | mod i64 | version i64 | lease i64 | key bytes | value bytes
///  PutAnswer          | header | flags u8 (1 a previous follows) | key value
///  RangeAnswer        | header | flags u8 (1 more, 2 staleness follows, 4 not stale) | count i64 |
///                       with flag 2: staleness i64: microseconds | items u32 | key value...
///  DeleteRangeAnswer  | header | deleted i64 | items u32 | key value...
///  TxnAnswer          | header | flags u8 (1 succeeded) | answers u32 | answer...
///    an answer        | kind u8 (PutAnswer .. TxnAnswer) | its fields, with the short header
///  CompactAnswer      | header
///  StatusAnswer       | header | version text | name text | leader u64 | last u64 | commit u64 | applied u64 | snapshot u64 |
///                       compact revision i64 | keys i64 | disk bytes i64 | store bytes i64 | of them in use i64 |
///                       flags u8 (1 learner, 2 witness) | members (see ClusterCodec)
///  HashAnswer         | header | hash u32 | hash revision i64 | compact revision i64
///  MembersAnswer      | header | member u64 | members (see ClusterCodec)
///  SessionAnswer      | header | flags u8 (1 repeated) | kind u8 (PutAnswer .. CompactAnswer, GrantLeaseAnswer, RevokeLeaseAnswer) | its fields, with the header in full
///  OpenSessionAnswer  | header | session u64
///  CloseSessionAnswer | header
///  GrantLeaseAnswer .. LeasesAnswer | see LeaseCodec
///  PingAnswer         | nothing
///  Error              | error u16 (MetaStoreError) | outcome u8 | 0 u8 | message text
///  LeaderChanged      | leader u64 (0 for none)
///  Goodbye            | nothing
/// </code>
/// </summary>
internal static class ResponseCodec
{
    /// <summary>Longest text a reader takes, in bytes.</summary>
    public const int TextBytesMax = 4096;

    private const byte Flag = 1;
    private const byte StalenessFlag = 2;
    private const byte NotStaleFlag = 4;
    private const byte WitnessFlag = 2;
    private const int HeaderSize = 4 * sizeof(ulong);
    private const int NestedHeaderSize = sizeof(long);
    private const int KeyValueBytesMin = (4 * sizeof(long)) + (2 * sizeof(uint));
    private const int NestedAnswerBytesMin = 1 + NestedHeaderSize + 1;

    /// <summary>Bytes of the body; beyond int.MaxValue as a long, so that the caller can refuse it.</summary>
    public static long GetLength(StoreResponse response) => GetLength(response, nested: false);

    /// <summary>The kind of frame that carries the answer.</summary>
    public static FrameKind KindOf(StoreResponse response) => response switch
    {
        PutResponse => FrameKind.PutAnswer,
        RangeResponse => FrameKind.RangeAnswer,
        DeleteRangeResponse => FrameKind.DeleteRangeAnswer,
        TxnResponse => FrameKind.TxnAnswer,
        CompactResponse => FrameKind.CompactAnswer,
        StatusResponse => FrameKind.StatusAnswer,
        HashResponse => FrameKind.HashAnswer,
        MembersResponse => FrameKind.MembersAnswer,
        SessionResponse => FrameKind.SessionAnswer,
        OpenSessionResponse => FrameKind.OpenSessionAnswer,
        CloseSessionResponse => FrameKind.CloseSessionAnswer,
        _ when LeaseCodec.KindOf(response) is { } kind => kind,
        _ => throw new InvariantException($"The store answered with {response?.GetType().Name ?? "null"}, which has no frame."),
    };

    /// <summary>Writes the body, which is of the length that was measured.</summary>
    public static void Write(Span<byte> body, StoreResponse response)
    {
        var writer = new WireWriter(body);
        Write(ref writer, response, nested: false);
        writer.End();
    }

    /// <summary>Reads the body of an answer. Keys and values are slices of <paramref name="body"/>.</summary>
    /// <exception cref="WireFormatException">The body is not an answer of this kind.</exception>
    public static StoreResponse Read(FrameKind kind, ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        StoreResponse response = Read(ref reader, kind, nested: false, depth: 1);
        reader.End();
        return response;
    }

    /// <summary>Whether an answer of this kind and length holds no keys and values, so that the body need not be kept.</summary>
    public static bool HoldsNoBytes(FrameKind kind, long bodyLength) => kind switch
    {
        FrameKind.PutAnswer => bodyLength == HeaderSize + 1,
        FrameKind.DeleteRangeAnswer => bodyLength == HeaderSize + sizeof(long) + sizeof(uint),
        FrameKind.RangeAnswer => bodyLength <= HeaderSize + 1 + (2 * sizeof(long)) + sizeof(uint),
        FrameKind.CompactAnswer or FrameKind.HashAnswer or FrameKind.LeaderChanged => true,
        _ => false,
    };

    private static long GetLength(StoreResponse response, bool nested)
    {
        long header = nested ? NestedHeaderSize : HeaderSize;
        return header + response switch
        {
            PutResponse put => 1 + (put.Previous is { } previous ? GetLength(previous) : 0),
            RangeResponse range => 1 + sizeof(long) + (StalenessFlagOf(range) == StalenessFlag ? sizeof(ulong) : 0) + GetLength(range.Items),
            DeleteRangeResponse delete => sizeof(long) + GetLength(delete.Previous),
            TxnResponse txn => 1 + sizeof(uint) + GetLength(txn.Responses),
            CompactResponse => 0,
            StatusResponse status => GetLength(status),
            HashResponse => sizeof(uint) + (2 * sizeof(long)),
            MembersResponse members => sizeof(ulong) + ClusterCodec.GetLength(members.Members),
            SessionResponse session => 2 + GetLength(session.Answer, nested: false),
            OpenSessionResponse => sizeof(ulong),
            CloseSessionResponse => 0,
            _ when LeaseCodec.KindOf(response) is not null => LeaseCodec.GetLength(response),
            _ => throw new InvariantException($"The store answered with {response?.GetType().Name ?? "null"}, which has no frame."),
        };
    }

    public static long GetLength(KeyValue item) =>
        (4 * sizeof(long)) + WireWriter.GetLength(item.Key) + (long)WireWriter.GetLength(item.Value);

    private static long GetLength(IReadOnlyList<KeyValue> items)
    {
        long length = sizeof(uint);
        for (int i = 0; i < items.Count; i++)
        {
            length += GetLength(items[i]);
        }

        return length;
    }

    private static long GetLength(IReadOnlyList<StoreResponse> responses)
    {
        long length = 0;
        for (int i = 0; i < responses.Count; i++)
        {
            length += 1 + GetLength(responses[i], nested: true);
        }

        return length;
    }

    private static long GetLength(StatusResponse status)
    {
        long fixedFields = (10 * sizeof(ulong)) + 1;
        return fixedFields + WireWriter.GetLength(status.Version) + WireWriter.GetLength(status.Name) + ClusterCodec.GetLength(status.Members);
    }

    private static void Write(ref WireWriter writer, StoreResponse response, bool nested)
    {
        WriteHeader(ref writer, response.Header, nested);
        switch (response)
        {
            case PutResponse put:
                writer.WriteByte(put.Previous is null ? (byte)0 : Flag);
                if (put.Previous is { } previous)
                {
                    WriteKeyValue(ref writer, previous);
                }

                break;
            case RangeResponse range:
                WriteRange(ref writer, range);
                break;
            case DeleteRangeResponse delete:
                writer.WriteInt64(delete.Deleted);
                WriteKeyValues(ref writer, delete.Previous);
                break;
            case TxnResponse txn:
                WriteTxn(ref writer, txn);
                break;
            case StatusResponse status:
                WriteStatus(ref writer, status);
                break;
            case HashResponse hash:
                writer.WriteUInt32(hash.Hash);
                writer.WriteInt64(hash.HashRevision.Value);
                writer.WriteInt64(hash.CompactRevision.Value);
                break;
            case MembersResponse members:
                writer.WriteUInt64(members.MemberId);
                ClusterCodec.WriteMembers(ref writer, members.Members);
                break;
            case SessionResponse session:
                writer.WriteByte(session.IsRepeated ? Flag : (byte)0);
                writer.WriteByte((byte)KindOf(session.Answer));
                Write(ref writer, session.Answer, nested: false);
                break;
            case OpenSessionResponse opened:
                writer.WriteUInt64(opened.SessionId);
                break;
            default:
                LeaseCodec.Write(ref writer, response);
                break;
        }
    }

    public static void WriteHeader(ref WireWriter writer, ResponseHeader header, bool nested)
    {
        if (nested)
        {
            writer.WriteInt64(header.Revision.Value);
            return;
        }

        writer.WriteUInt64(header.ClusterId);
        writer.WriteUInt64(header.NodeId);
        writer.WriteInt64(header.Revision.Value);
        writer.WriteUInt64(header.Term);
    }

    private static byte StalenessFlagOf(RangeResponse range) => range.Staleness switch
    {
        null => 0,
        { } staleness => staleness == TimeSpan.Zero ? NotStaleFlag : StalenessFlag,
    };

    private static void WriteRange(ref WireWriter writer, RangeResponse range)
    {
        byte staleness = StalenessFlagOf(range);
        writer.WriteByte((byte)((range.More ? Flag : 0) | staleness));
        writer.WriteInt64(range.Count);
        if (staleness == StalenessFlag)
        {
            // Rounded up: an answer is never said to be younger than it is.
            writer.WriteInt64((range.Staleness!.Value.Ticks + TimeSpan.TicksPerMicrosecond - 1) / TimeSpan.TicksPerMicrosecond);
        }

        WriteKeyValues(ref writer, range.Items);
    }

    private static void WriteTxn(ref WireWriter writer, TxnResponse txn)
    {
        writer.WriteByte(txn.Succeeded ? Flag : (byte)0);
        writer.WriteUInt32((uint)txn.Responses.Count);
        for (int i = 0; i < txn.Responses.Count; i++)
        {
            writer.WriteByte((byte)KindOf(txn.Responses[i]));
            Write(ref writer, txn.Responses[i], nested: true);
        }
    }

    private static void WriteKeyValues(ref WireWriter writer, IReadOnlyList<KeyValue> items)
    {
        writer.WriteUInt32((uint)items.Count);
        for (int i = 0; i < items.Count; i++)
        {
            WriteKeyValue(ref writer, items[i]);
        }
    }

    public static void WriteKeyValue(ref WireWriter writer, in KeyValue item)
    {
        writer.WriteInt64(item.CreateRevision.Value);
        writer.WriteInt64(item.ModRevision.Value);
        writer.WriteInt64(item.Version);
        writer.WriteInt64(item.LeaseId);
        writer.WriteBytes(item.Key);
        writer.WriteBytes(item.Value);
    }

    private static void WriteStatus(ref WireWriter writer, StatusResponse status)
    {
        writer.WriteText(status.Version);
        writer.WriteText(status.Name);
        writer.WriteUInt64(status.LeaderId);
        writer.WriteUInt64(status.LastIndex);
        writer.WriteUInt64(status.CommitIndex);
        writer.WriteUInt64(status.AppliedIndex);
        writer.WriteUInt64(status.SnapshotIndex);
        writer.WriteInt64(status.CompactRevision.Value);
        writer.WriteInt64(status.KeyCount);
        writer.WriteInt64(status.DiskBytes);
        writer.WriteInt64(status.StoreBytes);
        writer.WriteInt64(status.StoreBytesInUse);
        writer.WriteByte((byte)((status.IsLearner ? Flag : 0) | (status.IsWitness ? WitnessFlag : 0)));
        ClusterCodec.WriteMembers(ref writer, status.Members);
    }

    private static StoreResponse Read(ref WireReader reader, FrameKind kind, bool nested, int depth)
    {
        bool fits = kind is >= FrameKind.PutAnswer and <= FrameKind.TxnAnswer
            || (!nested && kind is FrameKind.CompactAnswer or FrameKind.StatusAnswer or FrameKind.HashAnswer or FrameKind.MembersAnswer
                or FrameKind.SessionAnswer or FrameKind.OpenSessionAnswer or FrameKind.CloseSessionAnswer)
            || (!nested && LeaseCodec.IsAnswer(kind));
        if (!fits)
        {
            throw new WireFormatException($"Frame kind 0x{(byte)kind:x2} is not an answer that can stand here.");
        }

        ResponseHeader header = ReadHeader(ref reader, nested);
        return kind switch
        {
            FrameKind.PutAnswer => ReadPut(ref reader, header),
            FrameKind.RangeAnswer => ReadRange(ref reader, header),
            FrameKind.DeleteRangeAnswer => new DeleteRangeResponse
            {
                Header = header,
                Deleted = reader.ReadInt64("delete.deleted"),
                Previous = ReadKeyValues(ref reader),
            },
            FrameKind.TxnAnswer => ReadTxn(ref reader, header, depth),
            FrameKind.CompactAnswer => new CompactResponse { Header = header },
            FrameKind.SessionAnswer => ReadSession(ref reader, header),
            FrameKind.OpenSessionAnswer => new OpenSessionResponse { Header = header, SessionId = reader.ReadUInt64("session") },
            FrameKind.CloseSessionAnswer => new CloseSessionResponse { Header = header },
            FrameKind.StatusAnswer => ReadStatus(ref reader, header),
            _ when LeaseCodec.IsAnswer(kind) => LeaseCodec.Read(ref reader, kind, header),
            FrameKind.MembersAnswer => new MembersResponse
            {
                Header = header,
                MemberId = reader.ReadUInt64("members.member"),
                Members = ClusterCodec.ReadMembers(ref reader),
            },
            _ => new HashResponse
            {
                Header = header,
                Hash = reader.ReadUInt32("hash.hash"),
                HashRevision = new Revision(reader.ReadInt64("hash.revision")),
                CompactRevision = new Revision(reader.ReadInt64("hash.compact revision")),
            },
        };
    }

    public static ResponseHeader ReadHeader(ref WireReader reader, bool nested) => nested
        ? new ResponseHeader(0, 0, new Revision(reader.ReadInt64("header.revision")), 0)
        : new ResponseHeader(
            reader.ReadUInt64("header.cluster"),
            reader.ReadUInt64("header.node"),
            new Revision(reader.ReadInt64("header.revision")),
            reader.ReadUInt64("header.term"));

    private static PutResponse ReadPut(ref WireReader reader, ResponseHeader header)
    {
        bool hasPrevious = reader.ReadFlags(Flag, "put.flags") != 0;
        return new PutResponse { Header = header, Previous = hasPrevious ? ReadKeyValue(ref reader) : null };
    }

    private static RangeResponse ReadRange(ref WireReader reader, ResponseHeader header)
    {
        byte flags = reader.ReadFlags(Flag | StalenessFlag | NotStaleFlag, "range.flags");
        if ((flags & (StalenessFlag | NotStaleFlag)) == (StalenessFlag | NotStaleFlag))
        {
            throw new WireFormatException("range.flags: an answer is either not stale or has an age.");
        }

        return new RangeResponse
        {
            Header = header,
            More = (flags & Flag) != 0,
            Count = reader.ReadInt64("range.count"),
            Staleness = ReadStaleness(ref reader, flags),
            Items = ReadKeyValues(ref reader),
        };
    }

    private static TimeSpan? ReadStaleness(ref WireReader reader, byte flags)
    {
        if ((flags & StalenessFlag) == 0)
        {
            return (flags & NotStaleFlag) != 0 ? TimeSpan.Zero : null;
        }

        long microseconds = reader.ReadInt64("range.staleness");
        return microseconds is > 0 and <= long.MaxValue / TimeSpan.TicksPerMicrosecond
            ? new TimeSpan(microseconds * TimeSpan.TicksPerMicrosecond)
            : throw new WireFormatException($"range.staleness: {microseconds} microseconds are no age.");
    }

    private static TxnResponse ReadTxn(ref WireReader reader, ResponseHeader header, int depth)
    {
        if (depth > RequestCodec.TxnDepthMax)
        {
            throw new WireFormatException($"Answers are nested deeper than {RequestCodec.TxnDepthMax}.");
        }

        bool succeeded = reader.ReadFlags(Flag, "txn.flags") != 0;
        var responses = new StoreResponse[reader.ReadCount(NestedAnswerBytesMin, "txn.answers")];
        for (int i = 0; i < responses.Length; i++)
        {
            var kind = (FrameKind)reader.ReadByte("answer.kind");
            responses[i] = Read(ref reader, kind, nested: true, depth + 1);
        }

        return new TxnResponse { Header = header, Succeeded = succeeded, Responses = responses };
    }

    private static SessionResponse ReadSession(ref WireReader reader, ResponseHeader header)
    {
        bool isRepeated = reader.ReadFlags(Flag, "session.flags") != 0;
        var kind = (FrameKind)reader.ReadByte("session.kind");
        return kind is (>= FrameKind.PutAnswer and <= FrameKind.CompactAnswer) or FrameKind.GrantLeaseAnswer or FrameKind.RevokeLeaseAnswer
            ? new SessionResponse { Header = header, IsRepeated = isRepeated, Answer = Read(ref reader, kind, nested: false, depth: 1) }
            : throw new WireFormatException($"session.kind: 0x{(byte)kind:x2} is no answer to a request of a session.");
    }

    private static KeyValue[] ReadKeyValues(ref WireReader reader)
    {
        int count = reader.ReadCount(KeyValueBytesMin, "items");
        if (count == 0)
        {
            return [];
        }

        var items = new KeyValue[count];
        for (int i = 0; i < items.Length; i++)
        {
            items[i] = ReadKeyValue(ref reader);
        }

        return items;
    }

    public static KeyValue ReadKeyValue(ref WireReader reader)
    {
        var create = new Revision(reader.ReadInt64("item.create revision"));
        var mod = new Revision(reader.ReadInt64("item.mod revision"));
        long version = reader.ReadInt64("item.version");
        long lease = reader.ReadInt64("item.lease");
        ReadOnlyMemory<byte> key = reader.ReadBytes("item.key");
        return new KeyValue(key, reader.ReadBytes("item.value"), create, mod, version, lease);
    }

    private static StatusResponse ReadStatus(ref WireReader reader, ResponseHeader header)
    {
        string version = reader.ReadText(TextBytesMax, "status.version");
        string name = reader.ReadText(TextBytesMax, "status.name");
        var status = new StatusResponse
        {
            Header = header,
            Version = version,
            Name = name,
            LeaderId = reader.ReadUInt64("status.leader"),
            LastIndex = reader.ReadUInt64("status.last index"),
            CommitIndex = reader.ReadUInt64("status.commit index"),
            AppliedIndex = reader.ReadUInt64("status.applied index"),
            SnapshotIndex = reader.ReadUInt64("status.snapshot index"),
            CompactRevision = new Revision(reader.ReadInt64("status.compact revision")),
            KeyCount = reader.ReadInt64("status.keys"),
            DiskBytes = reader.ReadInt64("status.disk bytes"),
            StoreBytes = reader.ReadInt64("status.store bytes"),
            StoreBytesInUse = reader.ReadInt64("status.store bytes in use"),
        };
        byte flags = reader.ReadFlags(Flag | WitnessFlag, "status.flags");
        return status with
        {
            IsLearner = (flags & Flag) != 0,
            IsWitness = (flags & WitnessFlag) != 0,
            Members = ClusterCodec.ReadMembers(ref reader),
        };
    }
}
