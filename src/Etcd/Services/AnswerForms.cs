using Google.Protobuf;
using Google.Protobuf.Collections;
using MetaStore.Engine;

namespace MetaStore.Etcd.Services;

/// <summary>Answers of the store as etcd's. Keys and values are not copied: the store made them for this answer, and nobody changes them.</summary>
internal static class AnswerForms
{
    private static readonly Func<WatchEvent, Messages.Event> s_toEvent = ToEvent;

    public static Messages.ResponseHeader ToMessage(in ResponseHeader header) => new()
    {
        ClusterId = header.ClusterId,
        MemberId = header.NodeId,
        Revision = header.Revision.Value,
        RaftTerm = header.Term,
    };

    /// <summary>The header of an answer about the members, which has no revision.</summary>
    public static Messages.ResponseHeader ToMemberHeader(in ResponseHeader header) => new()
    {
        ClusterId = header.ClusterId,
        MemberId = header.NodeId,
        RaftTerm = header.Term,
    };

    public static Messages.KeyValue ToMessage(in KeyValue item) => new()
    {
        Key = Wrap(item.Key),
        CreateRevision = item.CreateRevision.Value,
        ModRevision = item.ModRevision.Value,
        Version = item.Version,
        Value = Wrap(item.Value),
        Lease = item.LeaseId,
    };

    public static Messages.RangeResponse ToMessage(RangeResponse response)
    {
        var message = new Messages.RangeResponse { Header = ToMessage(response.Header), More = response.More, Count = response.Count };
        Add(message.Kvs, response.Items);
        return message;
    }

    /// <summary>The items of an answer, and nothing that holds for all of it.</summary>
    public static Messages.RangeResponse ToPart(RangeResponse response)
    {
        var message = new Messages.RangeResponse();
        Add(message.Kvs, response.Items);
        return message;
    }

    public static Messages.PutResponse ToMessage(PutResponse response) => new()
    {
        Header = ToMessage(response.Header),
        PrevKv = response.Previous is { } previous ? ToMessage(previous) : null,
    };

    public static Messages.DeleteRangeResponse ToMessage(DeleteRangeResponse response)
    {
        var message = new Messages.DeleteRangeResponse { Header = ToMessage(response.Header), Deleted = response.Deleted };
        Add(message.PrevKvs, response.Previous);
        return message;
    }

    public static Messages.TxnResponse ToMessage(TxnResponse response)
    {
        var message = new Messages.TxnResponse { Header = ToMessage(response.Header), Succeeded = response.Succeeded };
        message.Responses.Capacity = response.Responses.Count;
        foreach (StoreResponse inner in response.Responses)
        {
            message.Responses.Add(ToOperation(inner));
        }

        return message;
    }

    private static void Add(RepeatedField<Messages.KeyValue> messages, IReadOnlyList<KeyValue> items)
    {
        messages.Capacity = messages.Count + items.Count;
        for (int i = 0; i < items.Count; i++)
        {
            messages.Add(ToMessage(items[i]));
        }
    }

    /// <summary>An event: one message for all watches that are told of it.</summary>
    public static Messages.Event ToMessage(WatchEvent e) => e.As(s_toEvent);

    private static Messages.ResponseOp ToOperation(StoreResponse response)
    {
        switch (response)
        {
            case RangeResponse range:
                return new Messages.ResponseOp { ResponseRange = ToMessage(range) };
            case PutResponse put:
                return new Messages.ResponseOp { ResponsePut = ToMessage(put) };
            case DeleteRangeResponse delete:
                return new Messages.ResponseOp { ResponseDeleteRange = ToMessage(delete) };
            case TxnResponse txn:
                // etcd gives the header of a nested transaction, and nothing in it.
                Messages.TxnResponse nested = ToMessage(txn);
                nested.Header = new Messages.ResponseHeader();
                return new Messages.ResponseOp { ResponseTxn = nested };
            default:
                throw new InvariantException($"{response?.GetType().Name ?? "null"} is in the answer to a transaction");
        }
    }

    private static Messages.Event ToEvent(WatchEvent e)
    {
        if (e.Type == WatchEventType.Put)
        {
            return new Messages.Event { Kv = ToMessage(e.KeyValue), PrevKv = e.Previous is { } previous ? ToMessage(previous) : null };
        }

        return new Messages.Event
        {
            Type = Messages.Event.Types.EventType.Delete,
            Kv = new Messages.KeyValue { Key = Wrap(e.KeyValue.Key), ModRevision = e.KeyValue.ModRevision.Value },
            PrevKv = e.Previous is { } removed ? ToMessage(removed) : null,
        };
    }

    private static ByteString Wrap(ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? ByteString.Empty : UnsafeByteOperations.UnsafeWrap(bytes);
}
