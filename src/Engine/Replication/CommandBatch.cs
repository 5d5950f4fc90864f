namespace MetaStore.Engine.Replication;

/// <summary>Names a batch of operations: who proposed it, drawn at random at each start of a node, and its number there.</summary>
internal readonly record struct BatchId(ulong Proposer, ulong Sequence);

/// <summary>
/// The body of a Raft entry: a batch of operations. Every operation is applied as a request of its own, with a revision of its own.
/// <code>
/// batch := version:u8 (2)  proposer:u64  sequence:u64  operations:u32  request*        (see StoreRequestCodec)
/// </code>
/// Part of the disk and wire format: never reorder. An unknown version is refused by name, never guessed at.
/// </summary>
internal static class CommandBatch
{
    private const byte FormatVersion = 2;
    private const int HeaderLength = 1 + 8 + 8 + 4;

    public static byte[] Encode(BatchId id, ReadOnlySpan<PendingOperation> operations)
    {
        int length = HeaderLength;
        foreach (PendingOperation operation in operations)
        {
            length += operation.RequestLength;
        }

        var bytes = new byte[length];
        var writer = new LittleEndianWriter(bytes);
        writer.Byte(FormatVersion);
        writer.UInt64(id.Proposer);
        writer.UInt64(id.Sequence);
        writer.UInt32((uint)operations.Length);
        int position = writer.Position;
        foreach (PendingOperation operation in operations)
        {
            position += StoreRequestCodec.Write(operation.Request, bytes.AsSpan(position));
        }

        Invariant.Check(position == length, $"a batch of {length} bytes was filled to {position}");
        return bytes;
    }

    /// <summary>A batch of one request of the leader's own, for whose answer nobody waits: its name is no proposer's.</summary>
    public static byte[] EncodeOwn(StoreRequest request)
    {
        var bytes = new byte[HeaderLength + StoreRequestCodec.GetLength(request)];
        var writer = new LittleEndianWriter(bytes);
        writer.Byte(FormatVersion);
        writer.UInt64(0);
        writer.UInt64(0);
        writer.UInt32(1);
        StoreRequestCodec.Write(request, bytes.AsSpan(HeaderLength));
        return bytes;
    }

    /// <summary>The batch's name, without decoding its operations.</summary>
    public static BatchId ReadId(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        return ReadHeader(ref reader);
    }

    public static StoreRequest[] Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        ReadHeader(ref reader);
        var requests = new StoreRequest[reader.Count(smallest: 1 + 4)];
        int position = reader.Position;
        for (int i = 0; i < requests.Length; i++)
        {
            requests[i] = StoreRequestCodec.Read(bytes[position..], out int used);
            position += used;
        }

        return position == bytes.Length
            ? requests
            : throw new RequestFormatException($"{bytes.Length - position} bytes behind the last operation of a batch");
    }

    private static BatchId ReadHeader(ref LittleEndianReader reader)
    {
        byte version = reader.Byte();
        return version == FormatVersion
            ? new BatchId(reader.UInt64(), reader.UInt64())
            : throw new RequestFormatException($"batch version {version}; this program reads version {FormatVersion}");
    }
}
