using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// What holds for every call, around the service that it is for: what its metadata asks for (<c>hasleader</c>, <c>client-api-version</c>), what a member without a vote
/// serves, and the words in which it fails.
/// </summary>
internal sealed class CallGate(MetaStoreNode node, LeaderWatch leaders)
{
    private const string RequiresLeader = "hasleader";

    /// <summary>A method of one request and one answer. <paramref name="servedByLearner"/>: null where a member without a vote serves none of its requests.</summary>
    public RpcMethod Unary<TRequest, TResponse>(
        string path, MessageParser<TRequest> parser, Func<TRequest, RpcContext, ValueTask<TResponse>> call, Func<TRequest, bool>? servedByLearner = null, bool mayLast = false)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => UnaryInParts(path, parser, async (request, context) => new RpcAnswer(await call(request, context).ConfigureAwait(false)), servedByLearner, mayLast);

    /// <summary>The same, where the answer may come in parts. These fail with <see cref="RpcException"/> alone.</summary>
    public RpcMethod UnaryInParts<TRequest>(
        string path,
        MessageParser<TRequest> parser,
        Func<TRequest, RpcContext, ValueTask<RpcAnswer>> call,
        Func<TRequest, bool>? servedByLearner = null,
        bool mayLast = false)
        where TRequest : class, IMessage<TRequest>
        => RpcMethod.UnaryInParts(
            path,
            parser,
            async (request, context) =>
            {
                Enter(context, servedByLearner?.Invoke(request) == true);
                try
                {
                    return await call(request, context).ConfigureAwait(false);
                }
                catch (MetaStoreException e)
                {
                    throw EtcdErrors.From(e);
                }
            },
            mayLast);

    public RpcMethod ServerStream<TRequest, TResponse>(
        string path,
        MessageParser<TRequest> parser,
        Func<TRequest, IRpcWriter<TResponse>, RpcContext, Task> call,
        bool servedByLearner = false)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => RpcMethod.ServerStream<TRequest, TResponse>(
            path, parser, (request, answers, context) => StreamAsync(context, servedByLearner, guarded => call(request, answers, guarded)));

    public RpcMethod Duplex<TRequest, TResponse>(
        string path, MessageParser<TRequest> parser, Func<IRpcReader<TRequest>, IRpcWriter<TResponse>, RpcContext, Task> call)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => RpcMethod.Duplex<TRequest, TResponse>(
            path, parser, (requests, answers, context) => StreamAsync(context, servedByLearner: false, guarded => call(requests, answers, guarded)));

    private static bool AsksForLeader(RpcContext context) => context.Metadata(RequiresLeader) == "true";

    private async Task StreamAsync(RpcContext context, bool servedByLearner, Func<RpcContext, Task> call)
    {
        Enter(context, servedByLearner);
        try
        {
            if (AsksForLeader(context))
            {
                await LedStreamAsync(context, call).ConfigureAwait(false);
            }
            else
            {
                await call(context).ConfigureAwait(false);
            }
        }
        catch (MetaStoreException e)
        {
            throw EtcdErrors.From(e);
        }
    }

    /// <summary>A stream that ends where this member has known no leader for long: its caller can then go on at one that is not cut off.</summary>
    private async Task LedStreamAsync(RpcContext context, Func<RpcContext, Task> call)
    {
        using var lost = new CancellationTokenSource();
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(context.Ended, lost.Token);
        using LeaderWatch.Registration registration = leaders.Register(lost);
        try
        {
            await call(new LedContext(context, ended.Token)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (lost.IsCancellationRequested && !context.Ended.IsCancellationRequested)
        {
            throw EtcdErrors.NoLeader;
        }
    }

    private void Enter(RpcContext context, bool servedByLearner)
    {
        if (!servedByLearner && (node.IsLearner || node.IsWitness))
        {
            throw EtcdErrors.NotSupportedForLearner;
        }

        // A header that was no UTF-8 has come to stand with the replacement character.
        if (context.Metadata(ClientRequests.Version)?.Contains('\uFFFD', StringComparison.Ordinal) == true)
        {
            throw EtcdErrors.InvalidClientApiVersion;
        }

        if (AsksForLeader(context) && node.LeaderId.IsNone)
        {
            throw EtcdErrors.NoLeader;
        }
    }

    private sealed class LedContext(RpcContext inner, CancellationToken ended) : RpcContext
    {
        public override CancellationToken Ended => ended;

        public override string? Metadata(string name) => inner.Metadata(name);
    }
}
