using MetaStore.Engine;

namespace MetaStore.Net.Wire;

/// <summary>
/// Bodies of the frames of watches. Their correlation is the watch's, for as long as it lives. Fixed-width little-endian; bytes = length u32, then the bytes. Part
/// of the wire format: never renumber.
/// <code>
///  Watch        | flags u8 | start revision i64 (0: from now) | credit u32 | predicates u32 | predicate... | key bytes | range end bytes
///                 flags: 1 no puts, 2 no removals, 4 previous values, 8 word of progress, 16 long responses in parts, 32 end without a leader
///    predicate  | target u8 (0 key, 1 value) | relation u8 (0 equal, 1 not equal, 2 starts with, 3 ends with, 4 contains) | bytes
///  WatchCredit  | bytes u32
///  WatchCancel  | nothing
///  WatchAnswer  | cluster u64 | node u64 | revision i64 | term u64 | flags u8 | with flag 8: compact revision i64 | events u32 | event...
///                 flags: 1 created, 2 progress, 4 more of this response follows, 8 compacted: the watch has ended
///    event      | flags u8 (1 removed, 2 the previous state follows) | key value | key value       (see ResponseCodec)
/// </code>
/// </summary>
internal static class WatchCodec
{
    private const byte NoPut = 1, NoDelete = 2, PreviousValue = 4, ProgressNotify = 8, Fragment = 16, RequireLeader = 32;
    private const byte Created = 1, Progress = 2, Part = 4, Compacted = 8;
    private const byte Removed = 1, HasPrevious = 2;

    private const int HeaderSize = 4 * sizeof(ulong);
    private const int PredicateBytesMin = 2 + sizeof(uint);
    private const int EventBytesMin = 1 + (4 * sizeof(long)) + (2 * sizeof(uint));

    public static int GetLength(WatchRequest request)
    {
        int length = 1 + sizeof(long) + (2 * sizeof(uint)) + WireWriter.GetLength(request.Key) + WireWriter.GetLength(request.RangeEnd);
        foreach (WatchPredicate predicate in request.Predicates)
        {
            length = checked(length + 2 + WireWriter.GetLength(predicate.Bytes));
        }

        return length;
    }

    public static void WriteRequest(Span<byte> body, WatchRequest request, uint credit)
    {
        var writer = new WireWriter(body);
        writer.WriteByte((byte)(
            (request.NoPut ? NoPut : 0) | (request.NoDelete ? NoDelete : 0) | (request.PreviousValue ? PreviousValue : 0)
            | (request.ProgressNotify ? ProgressNotify : 0) | (request.Fragment ? Fragment : 0) | (request.RequireLeader ? RequireLeader : 0)));
        writer.WriteInt64(request.StartRevision.Value);
        writer.WriteUInt32(credit);
        writer.WriteUInt32((uint)request.Predicates.Count);
        foreach (WatchPredicate predicate in request.Predicates)
        {
            writer.WriteByte((byte)predicate.Target);
            writer.WriteByte((byte)predicate.Relation);
            writer.WriteBytes(predicate.Bytes);
        }

        writer.WriteBytes(request.Key);
        writer.WriteBytes(request.RangeEnd);
        writer.End();
    }

    /// <exception cref="WireFormatException">The body is not that of a Watch.</exception>
    public static WatchRequest ReadRequest(ReadOnlyMemory<byte> body, out uint credit)
    {
        var reader = new WireReader(body);
        byte flags = reader.ReadFlags(NoPut | NoDelete | PreviousValue | ProgressNotify | Fragment | RequireLeader, "watch.flags");
        long start = reader.ReadInt64("watch.start revision");
        credit = reader.ReadUInt32("watch.credit");
        var predicates = new WatchPredicate[reader.ReadCount(PredicateBytesMin, "watch.predicates")];
        for (int i = 0; i < predicates.Length; i++)
        {
            var target = (WatchTarget)reader.ReadChoice((byte)WatchTarget.Value, "predicate.target");
            var relation = (WatchRelation)reader.ReadChoice((byte)WatchRelation.Contains, "predicate.relation");
            predicates[i] = new WatchPredicate(target, relation, reader.ReadBytes("predicate.bytes"));
        }

        var request = new WatchRequest
        {
            Key = reader.ReadBytes("watch.key"),
            RangeEnd = reader.ReadBytes("watch.range end"),
            StartRevision = new Revision(start),
            NoPut = (flags & NoPut) != 0,
            NoDelete = (flags & NoDelete) != 0,
            PreviousValue = (flags & PreviousValue) != 0,
            ProgressNotify = (flags & ProgressNotify) != 0,
            Fragment = (flags & Fragment) != 0,
            RequireLeader = (flags & RequireLeader) != 0,
            Predicates = predicates,
        };
        reader.End();
        return request;
    }

    public static void WriteCredit(Span<byte> body, uint bytes)
    {
        var writer = new WireWriter(body);
        writer.WriteUInt32(bytes);
        writer.End();
    }

    /// <exception cref="WireFormatException">The body is not that of a WatchCredit.</exception>
    public static uint ReadCredit(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        uint credit = reader.ReadUInt32("credit");
        reader.End();
        return credit;
    }

    /// <summary>Bytes of the body of a response.</summary>
    public static long GetLength(WatchResponse response)
    {
        long length = HeaderSize + 1 + sizeof(uint);
        for (int i = 0; i < response.Events.Count; i++)
        {
            length += BytesOf(response.Events[i]).Length;
        }

        return length;
    }

    /// <summary>Takes as many events off the front as a body of that length carries, one at least, and leaves one at least.</summary>
    public static WatchResponse TakePart(ref WatchResponse rest, long bytesMax)
    {
        long length = HeaderSize + 1 + sizeof(uint) + BytesOf(rest.Events[0]).Length;
        int count = 1;
        while (count < rest.Events.Count - 1 && length + BytesOf(rest.Events[count]).Length <= bytesMax)
        {
            length += BytesOf(rest.Events[count++]).Length;
        }

        WatchResponse part = rest with { Events = [.. rest.Events.Take(count)], Fragment = true };
        rest = rest with { Events = [.. rest.Events.Skip(count)] };
        return part;
    }

    public static void WriteResponse(Span<byte> body, WatchResponse response)
    {
        var writer = new WireWriter(body);
        ResponseCodec.WriteHeader(ref writer, response.Header, nested: false);
        writer.WriteByte((byte)((response.IsCreated ? Created : 0) | (response.IsProgress ? Progress : 0) | (response.Fragment ? Part : 0)));
        writer.WriteUInt32((uint)response.Events.Count);
        for (int i = 0; i < response.Events.Count; i++)
        {
            writer.WriteRaw(BytesOf(response.Events[i]));
        }

        writer.End();
    }

    /// <summary>Bytes of the body that says that the watch ended since it was compacted.</summary>
    public const int CompactedSize = HeaderSize + 1 + sizeof(long) + sizeof(uint);

    public static void WriteCompacted(Span<byte> body, Revision compactRevision)
    {
        var writer = new WireWriter(body);
        ResponseCodec.WriteHeader(ref writer, default, nested: false);
        writer.WriteByte(Compacted);
        writer.WriteInt64(compactRevision.Value);
        writer.WriteUInt32(0);
        writer.End();
    }

    /// <summary>Reads a response. Keys and values are slices of <paramref name="body"/>.</summary>
    /// <exception cref="CompactedException">It says that the watch has ended.</exception>
    /// <exception cref="WireFormatException">The body is not that of a WatchAnswer.</exception>
    public static WatchResponse ReadResponse(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        ResponseHeader header = ResponseCodec.ReadHeader(ref reader, nested: false);
        byte flags = reader.ReadFlags(Created | Progress | Part | Compacted, "watch.flags");
        if ((flags & Compacted) != 0)
        {
            var compactRevision = new Revision(reader.ReadInt64("watch.compact revision"));
            throw new CompactedException($"required revision has been compacted: {compactRevision} is the oldest there is", compactRevision);
        }

        var events = new WatchEvent[reader.ReadCount(EventBytesMin, "watch.events")];
        for (int i = 0; i < events.Length; i++)
        {
            events[i] = ReadEvent(ref reader);
        }

        reader.End();
        return new WatchResponse
        {
            Header = header,
            IsCreated = (flags & Created) != 0,
            IsProgress = (flags & Progress) != 0,
            Fragment = (flags & Part) != 0,
            Events = events,
        };
    }

    /// <summary>The event's bytes: made once, whoever and how many they are sent to.</summary>
    private static ReadOnlySpan<byte> BytesOf(WatchEvent e) => e.As(static e => new EncodedEvent(Encode(e))).Bytes;

    private static byte[] Encode(WatchEvent e)
    {
        long length = 1 + ResponseCodec.GetLength(e.KeyValue) + (e.Previous is { } old ? ResponseCodec.GetLength(old) : 0);
        var bytes = new byte[checked((int)length)];
        var writer = new WireWriter(bytes);
        writer.WriteByte((byte)((e.Type == WatchEventType.Delete ? Removed : 0) | (e.Previous is null ? 0 : HasPrevious)));
        ResponseCodec.WriteKeyValue(ref writer, e.KeyValue);
        if (e.Previous is { } previous)
        {
            ResponseCodec.WriteKeyValue(ref writer, previous);
        }

        writer.End();
        return bytes;
    }

    private static WatchEvent ReadEvent(ref WireReader reader)
    {
        byte flags = reader.ReadFlags(Removed | HasPrevious, "event.flags");
        KeyValue now = ResponseCodec.ReadKeyValue(ref reader);
        return new WatchEvent
        {
            Type = (flags & Removed) != 0 ? WatchEventType.Delete : WatchEventType.Put,
            KeyValue = now,
            Previous = (flags & HasPrevious) != 0 ? ResponseCodec.ReadKeyValue(ref reader) : null,
        };
    }

    private sealed class EncodedEvent(byte[] bytes)
    {
        public byte[] Bytes { get; } = bytes;
    }
}
