using Google.Protobuf;

namespace MetaStore.Etcd.Grpc;

/// <summary>
/// The encoding of a watch's response, piece by piece. Keys and values are not copied: they are the event's own, which all streams share, so a large event that a thousand callers
/// do not read is in memory once. The fields of a message may come in any order, so those that are small go first, together.
/// </summary>
internal static class WatchPieces
{
    /// <summary>The pieces, in order. Together they are as long as <see cref="IMessage.CalculateSize"/> says.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Of(Messages.WatchResponse response)
    {
        var rest = new Messages.WatchResponse
        {
            Header = response.Header,
            WatchId = response.WatchId,
            Created = response.Created,
            Canceled = response.Canceled,
            CompactRevision = response.CompactRevision,
            CancelReason = response.CancelReason,
            Fragment = response.Fragment,
        };
        yield return rest.ToByteArray();
        foreach (Messages.Event e in response.Events)
        {
            yield return Prefix(Messages.WatchResponse.EventsFieldNumber, e.CalculateSize());
            yield return new Messages.Event { Type = e.Type }.ToByteArray();
            foreach (ReadOnlyMemory<byte> piece in Of(Messages.Event.KvFieldNumber, e.Kv).Concat(Of(Messages.Event.PrevKvFieldNumber, e.PrevKv)))
            {
                yield return piece;
            }
        }
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Of(int field, Messages.KeyValue? pair)
    {
        if (pair is null)
        {
            yield break;
        }

        yield return Prefix(field, pair.CalculateSize());
        yield return new Messages.KeyValue
        {
            CreateRevision = pair.CreateRevision,
            ModRevision = pair.ModRevision,
            Version = pair.Version,
            Lease = pair.Lease,
        }.ToByteArray();
        foreach ((int number, ByteString bytes) in ((int, ByteString)[])[(Messages.KeyValue.KeyFieldNumber, pair.Key), (Messages.KeyValue.ValueFieldNumber, pair.Value)])
        {
            if (!bytes.IsEmpty)
            {
                yield return Prefix(number, bytes.Length);
                yield return bytes.Memory;
            }
        }
    }

    private static ReadOnlyMemory<byte> Prefix(int field, int length)
    {
        uint tag = WireFormat.MakeTag(field, WireFormat.WireType.LengthDelimited);
        byte[] bytes = new byte[CodedOutputStream.ComputeUInt32Size(tag) + CodedOutputStream.ComputeLengthSize(length)];
        using var output = new CodedOutputStream(bytes);
        output.WriteTag(tag);
        output.WriteLength(length);
        return bytes;
    }
}
