using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Testing.Grpc;
using Messages = MetaStore.Etcd.Messages;

namespace MetaStore.Chaos;

/// <summary>The requests of the workload as messages of etcd, and the answers back.</summary>
internal static class EtcdForms
{
    public static (string Path, IMessage Message) Of(StoreRequest request) => request switch
    {
        PutRequest put => ("/etcdserverpb.KV/Put", ToMessage(put)),
        RangeRequest range => ("/etcdserverpb.KV/Range", ToMessage(range)),
        DeleteRangeRequest delete => ("/etcdserverpb.KV/DeleteRange", new Messages.DeleteRangeRequest { Key = Bytes(delete.Key), RangeEnd = Bytes(delete.RangeEnd), PrevKv = delete.ReturnPrevious }),
        TxnRequest txn => ("/etcdserverpb.KV/Txn", ToMessage(txn)),
        _ => throw new ArgumentException($"{request.GetType().Name} is not part of the workload", nameof(request)),
    };

    public static StoreResponse Read(StoreRequest request, ReadOnlySpan<byte> body)
    {
        switch (request)
        {
            case PutRequest:
                Messages.PutResponse put = GrpcClient.Unframe(Messages.PutResponse.Parser, body);
                return new PutResponse { Header = Header(put.Header), Previous = put.PrevKv is null ? null : Item(put.PrevKv) };
            case RangeRequest:
                Messages.RangeResponse range = GrpcClient.Unframe(Messages.RangeResponse.Parser, body);
                return new RangeResponse { Header = Header(range.Header), Items = [.. range.Kvs.Select(Item)], Count = range.Count, More = range.More };
            case DeleteRangeRequest:
                Messages.DeleteRangeResponse delete = GrpcClient.Unframe(Messages.DeleteRangeResponse.Parser, body);
                return new DeleteRangeResponse { Header = Header(delete.Header), Deleted = delete.Deleted, Previous = [.. delete.PrevKvs.Select(Item)] };
            default:
                Messages.TxnResponse txn = GrpcClient.Unframe(Messages.TxnResponse.Parser, body);
                return new TxnResponse { Header = Header(txn.Header), Succeeded = txn.Succeeded, Responses = [] };
        }
    }

    private static Messages.PutRequest ToMessage(PutRequest put) => new() { Key = Bytes(put.Key), Value = Bytes(put.Value), PrevKv = put.ReturnPrevious };

    private static Messages.RangeRequest ToMessage(RangeRequest range) =>
        new() { Key = Bytes(range.Key), RangeEnd = Bytes(range.RangeEnd), Revision = range.Revision.Value, Serializable = range.Serializable };

    private static Messages.TxnRequest ToMessage(TxnRequest txn)
    {
        var message = new Messages.TxnRequest();
        foreach (Compare compare in txn.Compare)
        {
            bool isOfVersions = compare is { Target: CompareTarget.Version, Relation: CompareRelation.Equal };
            message.Compare.Add(isOfVersions
                ? new Messages.Compare { Key = Bytes(compare.Key), Target = Messages.Compare.Types.CompareTarget.Version, Version = compare.Number }
                : throw new ArgumentException($"comparing {compare.Target} is not part of the workload", nameof(txn)));
        }

        message.Success.Add(txn.Success.Cast<PutRequest>().Select(put => new Messages.RequestOp { RequestPut = ToMessage(put) }));
        return message;
    }

    private static ResponseHeader Header(Messages.ResponseHeader header) => new(header.ClusterId, header.MemberId, new Revision(header.Revision), header.RaftTerm);

    private static KeyValue Item(Messages.KeyValue kv) =>
        new(kv.Key.ToByteArray(), kv.Value.ToByteArray(), new Revision(kv.CreateRevision), new Revision(kv.ModRevision), kv.Version, kv.Lease);

    private static ByteString Bytes(ReadOnlyMemory<byte> bytes) => ByteString.CopyFrom(bytes.Span);
}
