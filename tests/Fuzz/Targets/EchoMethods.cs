using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// Methods without a store behind them, under paths of etcd: of each kind one, which answers what it was asked, and fails as it is told to. What the request's lease says, with the value
/// as the message, is the status.
/// </summary>
internal static class EchoMethods
{
    public const string Unary = "/etcdserverpb.KV/Put";
    public const string ManyAnswers = "/etcdserverpb.KV/RangeStream";
    public const string ManyBoth = "/etcdserverpb.Watch/Watch";

    public static MethodTable Table { get; } = new(
    [
        RpcMethod.Unary(Unary, PutRequest.Parser, (PutRequest request, RpcContext _) => ValueTask.FromResult(Echo(request))),
        RpcMethod.ServerStream<RangeRequest, RangeStreamResponse>(ManyAnswers, RangeRequest.Parser, async (request, answers, context) =>
        {
            for (long i = 0; i < Math.Clamp(request.Limit, 0, 5); i++)
            {
                await answers.WriteAsync(new RangeStreamResponse { RangeResponse = new RangeResponse { Count = i, Kvs = { new KeyValue { Key = request.Key } } } }, context.Ended);
            }

            ThrowAsTold(request.Revision, request.Key.ToStringUtf8());
        }),
        RpcMethod.Duplex<WatchRequest, WatchResponse>(ManyBoth, WatchRequest.Parser, async (requests, answers, context) =>
        {
            while (await requests.ReadAsync(context.Ended) is { } request)
            {
                ThrowAsTold(request.CancelRequest?.WatchId ?? 0, "as you wish");
                await answers.WriteAsync(new WatchResponse { WatchId = request.CreateRequest?.WatchId ?? 0, CancelReason = request.CreateRequest?.Key.ToStringUtf8() ?? string.Empty }, context.Ended);
            }
        }),
    ]);

    private static PutResponse Echo(PutRequest request)
    {
        ThrowAsTold(request.Lease, request.Value.ToStringUtf8());
        return new PutResponse { PrevKv = new KeyValue { Key = request.Key, Value = request.Value } };
    }

    private static void ThrowAsTold(long code, string message)
    {
        if (code is > 0 and <= (long)StatusCode.Unauthenticated)
        {
            throw new RpcException((StatusCode)code, message);
        }
    }
}
