using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>Requests and answers as short texts.</summary>
internal static class Say
{
    public const string Range = "/etcdserverpb.KV/Range";
    public const string RangeStream = "/etcdserverpb.KV/RangeStream";
    public const string Put = "/etcdserverpb.KV/Put";
    public const string Delete = "/etcdserverpb.KV/DeleteRange";
    public const string Txn = "/etcdserverpb.KV/Txn";
    public const string Compact = "/etcdserverpb.KV/Compact";
    public const string Watch = "/etcdserverpb.Watch/Watch";
    public const string Grant = "/etcdserverpb.Lease/LeaseGrant";
    public const string KeepAlive = "/etcdserverpb.Lease/LeaseKeepAlive";
    public const string Revoke = "/etcdserverpb.Lease/LeaseRevoke";

    public static ByteString Bytes(string text) => ByteString.CopyFromUtf8(text);

    public static PutRequest PutOf(string key, string value = "", long lease = 0) => new() { Key = Bytes(key), Value = Bytes(value), Lease = lease };

    public static RangeRequest All => new() { Key = Bytes("a"), RangeEnd = Bytes("z") };

    public static RequestOp Op(PutRequest put) => new() { RequestPut = put };

    public static RequestOp Op(RangeRequest range) => new() { RequestRange = range };

    public static RequestOp Op(DeleteRangeRequest delete) => new() { RequestDeleteRange = delete };

    public static RequestOp Op(TxnRequest txn) => new() { RequestTxn = txn };

    public static string Text(KeyValue kv) =>
        $"{kv.Key.ToStringUtf8()}={kv.Value.ToStringUtf8()}(c{kv.CreateRevision} m{kv.ModRevision} v{kv.Version}{(kv.Lease == 0 ? string.Empty : $" l{kv.Lease}")})";

    public static string Text(RangeResponse response)
    {
        var text = new StringBuilder($"@{response.Header?.Revision} count {response.Count}{(response.More ? " more" : string.Empty)}");
        foreach (KeyValue kv in response.Kvs)
        {
            text.Append(' ').Append(Text(kv));
        }

        return text.ToString();
    }

    public static string Text(WatchResponse response)
    {
        var text = new StringBuilder($"{response.WatchId} @{response.Header.Revision}");
        text.Append(response.Created ? " created" : string.Empty).Append(response.Canceled ? " canceled" : string.Empty).Append(response.Fragment ? " fragment" : string.Empty);
        text.Append(response.CompactRevision == 0 ? string.Empty : $" compacted {response.CompactRevision}");
        text.Append(response.CancelReason.Length == 0 ? string.Empty : $" \"{response.CancelReason}\"");
        foreach (Event e in response.Events)
        {
            text.Append(' ').Append(e.Type == Event.Types.EventType.Delete ? "-" : string.Empty).Append(Text(e.Kv)).Append(e.PrevKv is null ? string.Empty : $" was {Text(e.PrevKv)}");
        }

        return text.ToString();
    }
}
