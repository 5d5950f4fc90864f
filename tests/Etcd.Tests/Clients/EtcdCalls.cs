using System.Net;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Clients;

/// <summary>The calls of which etcd's clients are made.</summary>
internal sealed class EtcdCalls(IPEndPoint endpoint) : IDisposable
{
    private readonly GrpcClient _client = new(endpoint);

    public static Compare Where(string key, Compare.Types.CompareTarget target, long number, Compare.Types.CompareResult result = Compare.Types.CompareResult.Equal)
    {
        var compare = new Compare { Key = Say.Bytes(key), Target = target, Result = result };
        switch (target)
        {
            case Compare.Types.CompareTarget.Version:
                compare.Version = number;
                break;
            case Compare.Types.CompareTarget.Create:
                compare.CreateRevision = number;
                break;
            default:
                compare.ModRevision = number;
                break;
        }

        return compare;
    }

    /// <summary>All keys that begin so.</summary>
    public static RangeRequest Prefix(string prefix) => new() { Key = Say.Bytes(prefix), RangeEnd = EndOf(prefix) };

    /// <summary>The first key behind those that begin so.</summary>
    public static ByteString EndOf(string prefix) => Say.Bytes(prefix[..^1] + (char)(prefix[^1] + 1));

    public Task<RangeResponse> RangeAsync(RangeRequest request) => AskAsync(Say.Range, request, RangeResponse.Parser);

    public Task<PutResponse> PutAsync(PutRequest request) => AskAsync(Say.Put, request, PutResponse.Parser);

    public Task<DeleteRangeResponse> DeleteAsync(DeleteRangeRequest request) => AskAsync(Say.Delete, request, DeleteRangeResponse.Parser);

    public Task<TxnResponse> TxnAsync(Compare where, RequestOp then, RequestOp? otherwise = null)
    {
        var txn = new TxnRequest { Compare = { where }, Success = { then } };
        if (otherwise is not null)
        {
            txn.Failure.Add(otherwise);
        }

        return AskAsync(Say.Txn, txn, TxnResponse.Parser);
    }

    public async Task<long> GrantAsync(long seconds) => (await AskAsync(Say.Grant, new LeaseGrantRequest { TTL = seconds }, LeaseGrantResponse.Parser)).ID;

    public Task RevokeAsync(long lease) => AskAsync(Say.Revoke, new LeaseRevokeRequest { ID = lease }, LeaseRevokeResponse.Parser);

    public Task CompactAsync(long revision) => AskAsync(Say.Compact, new CompactionRequest { Revision = revision }, CompactionResponse.Parser);

    /// <summary>A stream that is asked once; what is left of the lease.</summary>
    public async Task<long> KeepAliveOnceAsync(long lease) => (await AskAsync(Say.KeepAlive, new LeaseKeepAliveRequest { ID = lease }, LeaseKeepAliveResponse.Parser)).TTL;

    public Task<StatusResponse> StatusAsync() => AskAsync("/etcdserverpb.Maintenance/Status", new StatusRequest(), StatusResponse.Parser);

    /// <summary>A watch that is there. Who wants a leader is told when there is none.</summary>
    public async Task<GrpcStream> WatchAsync(WatchCreateRequest request)
    {
        GrpcStream stream = _client.Open(Say.Watch, call => call.Headers.Add("hasleader", "true"));
        stream.Say(new WatchRequest { CreateRequest = request });
        Assert.True((await stream.HearAsync(WatchResponse.Parser))!.Created);
        return stream;
    }

    public Task<GrpcAnswer> FailAsync(string path, IMessage request) => _client.CallAsync(path, request);

    public GrpcStream Open(string path) => _client.Open(path);

    public void Dispose() => _client.Dispose();

    private async Task<T> AskAsync<T>(string path, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        GrpcAnswer answer = await _client.CallAsync(path, request, call => call.Headers.Add("client-api-version", "3.6"));
        Assert.True(answer.Status == "0", $"{path} {request}: {answer.Status} {answer.Message}");
        return GrpcClient.Unframe(parser, answer.Body);
    }
}
