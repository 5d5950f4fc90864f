using System.Net;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Programs;

/// <summary>gRPC.</summary>
internal sealed class GrpcWay(IPEndPoint endpoint) : IWay
{
    private readonly GrpcClient _client = new(endpoint);

    public async Task<long> PutAsync(string key, string value, long lease = 0) =>
        (await AskAsync(Say.Put, new PutRequest { Key = Bytes(key), Value = Bytes(value), Lease = lease }, PutResponse.Parser)).Header.Revision;

    public async Task<long> DeleteAsync(string key) => (await AskAsync(Say.Delete, new DeleteRangeRequest { Key = Bytes(key) }, DeleteRangeResponse.Parser)).Header.Revision;

    public async Task<bool> CreateAsync(string key, string value)
    {
        var txn = new TxnRequest
        {
            Compare = { new Compare { Key = Bytes(key), Target = Compare.Types.CompareTarget.Version, Version = 0 } },
            Success = { Say.Op(new PutRequest { Key = Bytes(key), Value = Bytes(value) }) },
        };
        return (await AskAsync(Say.Txn, txn, TxnResponse.Parser)).Succeeded;
    }

    public Task GrantAsync(long lease, long seconds) => AskAsync(Say.Grant, new LeaseGrantRequest { ID = lease, TTL = seconds }, LeaseGrantResponse.Parser);

    public Task RevokeAsync(long lease) => AskAsync(Say.Revoke, new LeaseRevokeRequest { ID = lease }, LeaseRevokeResponse.Parser);

    public async Task<IReadOnlyList<Item>> ReadAsync(string prefix)
    {
        var range = new RangeRequest { Key = Bytes(prefix), RangeEnd = ByteString.CopyFrom(ByteText.EndOf(prefix)) };
        return [.. (await AskAsync(Say.Range, range, RangeResponse.Parser)).Kvs.Select(ToItem)];
    }

    public async Task<IWayWatch> WatchAsync(string prefix)
    {
        GrpcStream stream = _client.Open(Say.Watch);
        stream.Say(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = Bytes(prefix), RangeEnd = ByteString.CopyFrom(ByteText.EndOf(prefix)) } });
        Assert.True((await stream.HearAsync(WatchResponse.Parser))!.Created);
        return new Watch(stream);
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>What a message of gRPC and of JSON says of a key.</summary>
    public static Item ToItem(KeyValue kv) => new(ByteText.Of(kv.Key.Span), ByteText.Of(kv.Value.Span), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease);

    private static ByteString Bytes(string text) => ByteString.CopyFrom(ByteText.ToBytes(text));

    private async Task<T> AskAsync<T>(string path, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        GrpcAnswer answer = await _client.CallAsync(path, request);
        Assert.True(answer.Status == "0", $"{path} {request}: {answer.Status} {answer.Message}");
        return GrpcClient.Unframe(parser, answer.Body);
    }

    private sealed class Watch(GrpcStream stream) : IWayWatch
    {
        private readonly Queue<Change> _changes = new();

        public async Task<Change> NextAsync()
        {
            while (_changes.Count == 0)
            {
                WatchResponse response = await stream.HearAsync(WatchResponse.Parser) ?? throw new InvalidOperationException("the watch has ended");
                foreach (Event e in response.Events)
                {
                    _changes.Enqueue(new Change(e.Type == Event.Types.EventType.Delete, ToItem(e.Kv)));
                }
            }

            return _changes.Dequeue();
        }

        public ValueTask DisposeAsync()
        {
            stream.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
