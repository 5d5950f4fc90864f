namespace MetaStore.Engine.Sessions;

/// <summary>
/// The binary form of the answer to a write, as sessions keep it in the replicated state: nothing in it depends on the node that answers, so it
/// is equal on all members, and part of the digest over the state.
/// <code>
/// answer      := kind:u8 revision:i64 body                          (the outermost: term:u64 kind:u8 …)
/// put (1)        flags:u8 (1 a previous follows)  keyValue
/// range (2)      flags:u8 (1 more)  count:i64  items:u32 keyValue*
/// delete (3)     deleted:i64  items:u32 keyValue*
/// txn (4)        flags:u8 (1 succeeded)  answers:u32 answer*
/// compact (5)
/// grant (6)      lease:i64 ttl:i64
/// revoke (7)
/// keyValue    := create:i64 mod:i64 version:i64 lease:i64 key:bytes value:bytes         bytes := length:u32 byte*
/// </code>
/// Little-endian, part of the disk format (snapshots hold it): never renumber, never reorder.
/// </summary>
internal static class AnswerCodec
{
    private const byte Put = 1;
    private const byte Range = 2;
    private const byte Delete = 3;
    private const byte Txn = 4;
    private const byte Compact = 5;
    private const byte Grant = 6;
    private const byte Revoke = 7;
    private const byte Flag = 1;
    private const int KeyValueBytesMin = (4 * sizeof(long)) + (2 * sizeof(uint));

    // Above the depth of any request that was taken.
    private const int DepthMax = 64;

    /// <summary>The bytes, or null where they would be more than <paramref name="bytesMax"/>.</summary>
    public static byte[]? Encode(StoreResponse answer, int bytesMax)
    {
        long length = sizeof(ulong) + GetLength(answer);
        if (length > bytesMax)
        {
            return null;
        }

        var bytes = new byte[length];
        var writer = new LittleEndianWriter(bytes);
        writer.UInt64(answer.Header.Term);
        Write(ref writer, answer);
        Invariant.Check(writer.Position == bytes.Length, $"an answer of {bytes.Length} bytes was filled to {writer.Position}");
        return bytes;
    }

    /// <summary>The answer, with the cluster and node of whoever gives it now.</summary>
    /// <exception cref="RequestFormatException">The bytes are not an answer.</exception>
    public static StoreResponse Decode(ReadOnlyMemory<byte> bytes, ResponseHeader giver)
    {
        var reader = new LittleEndianReader(bytes);
        ulong term = reader.UInt64();
        StoreResponse answer = Read(ref reader, giver with { Term = term }, depth: 0);
        return reader.Remaining == 0 ? answer : throw new RequestFormatException($"{reader.Remaining} bytes behind an answer");
    }

    private static long GetLength(StoreResponse answer) => 1 + sizeof(long) + answer switch
    {
        PutResponse put => 1 + (put.Previous is { } previous ? GetLength(previous) : 0),
        RangeResponse range => 1 + sizeof(long) + GetLength(range.Items),
        DeleteRangeResponse delete => sizeof(long) + GetLength(delete.Previous),
        TxnResponse txn => 1 + sizeof(uint) + txn.Responses.Sum(GetLength),
        CompactResponse or LeaseRevokeResponse => 0,
        LeaseGrantResponse => 2 * sizeof(long),
        _ => throw new InvariantException($"{answer.GetType().Name} is no answer to a request of a session"),
    };

    private static long GetLength(IReadOnlyList<KeyValue> items) => sizeof(uint) + items.Sum(item => GetLength(item));

    private static long GetLength(in KeyValue item) => KeyValueBytesMin + item.Key.Length + item.Value.Length;

    private static void Write(ref LittleEndianWriter writer, StoreResponse answer)
    {
        switch (answer)
        {
            case PutResponse put:
                Begin(ref writer, Put, answer);
                writer.Byte(put.Previous is null ? (byte)0 : Flag);
                if (put.Previous is { } previous)
                {
                    Write(ref writer, previous);
                }

                break;
            case RangeResponse range:
                Begin(ref writer, Range, answer);
                writer.Byte(range.More ? Flag : (byte)0);
                writer.Int64(range.Count);
                Write(ref writer, range.Items);
                break;
            case DeleteRangeResponse delete:
                Begin(ref writer, Delete, answer);
                writer.Int64(delete.Deleted);
                Write(ref writer, delete.Previous);
                break;
            case TxnResponse txn:
                Begin(ref writer, Txn, answer);
                writer.Byte(txn.Succeeded ? Flag : (byte)0);
                writer.UInt32((uint)txn.Responses.Count);
                foreach (StoreResponse inner in txn.Responses)
                {
                    Write(ref writer, inner);
                }

                break;
            case LeaseGrantResponse grant:
                Begin(ref writer, Grant, answer);
                writer.Int64(grant.Id);
                writer.Int64(grant.Ttl);
                break;
            default:
                Begin(ref writer, answer is LeaseRevokeResponse ? Revoke : Compact, answer);
                break;
        }
    }

    private static void Begin(ref LittleEndianWriter writer, byte kind, StoreResponse answer)
    {
        writer.Byte(kind);
        writer.Int64(answer.Header.Revision.Value);
    }

    private static void Write(ref LittleEndianWriter writer, IReadOnlyList<KeyValue> items)
    {
        writer.UInt32((uint)items.Count);
        for (int i = 0; i < items.Count; i++)
        {
            Write(ref writer, items[i]);
        }
    }

    private static void Write(ref LittleEndianWriter writer, in KeyValue item)
    {
        writer.Int64(item.CreateRevision.Value);
        writer.Int64(item.ModRevision.Value);
        writer.Int64(item.Version);
        writer.Int64(item.LeaseId);
        writer.Bytes(item.Key.Span);
        writer.Bytes(item.Value.Span);
    }

    private static StoreResponse Read(ref LittleEndianReader reader, ResponseHeader outer, int depth)
    {
        byte kind = reader.Byte();
        var revision = new Revision(reader.Int64());
        ResponseHeader header = depth == 0 ? outer with { Revision = revision } : new ResponseHeader(0, 0, revision, 0);
        return kind switch
        {
            Put => new PutResponse { Header = header, Previous = reader.Flags(Flag) != 0 ? ReadItem(ref reader) : null },
            Range => new RangeResponse { Header = header, More = reader.Flags(Flag) != 0, Count = reader.Int64(), Items = ReadItems(ref reader) },
            Delete => new DeleteRangeResponse { Header = header, Deleted = reader.Int64(), Previous = ReadItems(ref reader) },
            Txn => new TxnResponse { Header = header, Succeeded = reader.Flags(Flag) != 0, Responses = ReadAnswers(ref reader, outer, depth) },
            Compact => new CompactResponse { Header = header },
            Grant => new LeaseGrantResponse { Header = header, Id = reader.Int64(), Ttl = reader.Int64() },
            Revoke => new LeaseRevokeResponse { Header = header },
            _ => throw new RequestFormatException($"answer kind {kind} is unknown"),
        };
    }

    private static StoreResponse[] ReadAnswers(ref LittleEndianReader reader, ResponseHeader outer, int depth)
    {
        if (depth >= DepthMax)
        {
            throw new RequestFormatException($"answers are nested deeper than {DepthMax}");
        }

        var answers = new StoreResponse[reader.Count(smallest: 1 + sizeof(long))];
        for (int i = 0; i < answers.Length; i++)
        {
            answers[i] = Read(ref reader, outer, depth + 1);
        }

        return answers;
    }

    private static KeyValue[] ReadItems(ref LittleEndianReader reader)
    {
        var items = new KeyValue[reader.Count(KeyValueBytesMin)];
        for (int i = 0; i < items.Length; i++)
        {
            items[i] = ReadItem(ref reader);
        }

        return items;
    }

    private static KeyValue ReadItem(ref LittleEndianReader reader)
    {
        var create = new Revision(reader.Int64());
        var mod = new Revision(reader.Int64());
        long version = reader.Int64();
        long lease = reader.Int64();
        ReadOnlyMemory<byte> key = reader.Bytes();
        return new KeyValue(key, reader.Bytes(), create, mod, version, lease);
    }
}
