using Google.Protobuf;

namespace MetaStore.Etcd.Rpc;

/// <summary>A method of a service, as the fronts see it: its path, how its messages are read, and what to call.</summary>
internal abstract class RpcMethod(string path, MessageParser parser)
{
    /// <summary>As gRPC has it: <c>/package.Service/Method</c>.</summary>
    public string Path { get; } = path;

    /// <summary>Reads a request.</summary>
    public MessageParser Parser { get; } = parser;

    /// <summary>A call may wait for what others do, for ever: it ends when the server stops.</summary>
    public abstract bool MayLast { get; }

    /// <summary>One request, one answer.</summary>
    public static RpcMethod Unary<TRequest, TResponse>(
        string path, MessageParser<TRequest> parser, Func<TRequest, RpcContext, ValueTask<TResponse>> call)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => new UnaryMethod(path, parser, async (request, context) => new RpcAnswer(await call((TRequest)request, context).ConfigureAwait(false)));

    /// <summary>One request, one answer, which may come in parts. <paramref name="mayLast"/>: see <see cref="MayLast"/>.</summary>
    public static RpcMethod UnaryInParts<TRequest>(
        string path, MessageParser<TRequest> parser, Func<TRequest, RpcContext, ValueTask<RpcAnswer>> call, bool mayLast = false)
        where TRequest : class, IMessage<TRequest>
        => new UnaryMethod(path, parser, (request, context) => call((TRequest)request, context), mayLast);

    /// <summary>One request, many answers.</summary>
    public static RpcMethod ServerStream<TRequest, TResponse>(
        string path, MessageParser<TRequest> parser, Func<TRequest, IRpcWriter<TResponse>, RpcContext, Task> call)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => new StreamMethod(path, parser, takesOneRequest: true, async (requests, answers, context) =>
        {
            IMessage request = await requests.ReadAsync(context.Ended).ConfigureAwait(false)
                ?? throw new RpcException(StatusCode.Internal, "the call ended without a request");
            await call((TRequest)request, answers, context).ConfigureAwait(false);
        });

    /// <summary>Many requests, many answers, in no fixed turn.</summary>
    public static RpcMethod Duplex<TRequest, TResponse>(
        string path, MessageParser<TRequest> parser, Func<IRpcReader<TRequest>, IRpcWriter<TResponse>, RpcContext, Task> call)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => new StreamMethod(path, parser, takesOneRequest: false, (requests, answers, context) => call(new TypedReader<TRequest>(requests), answers, context));

    private sealed class TypedReader<T>(IRpcReader<IMessage> inner) : IRpcReader<T>
        where T : class, IMessage
    {
        public async ValueTask<T?> ReadAsync(CancellationToken cancellationToken) =>
            (T?)await inner.ReadAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>One request, one answer.</summary>
internal sealed class UnaryMethod(string path, MessageParser parser, Func<IMessage, RpcContext, ValueTask<RpcAnswer>> call, bool mayLast = false) : RpcMethod(path, parser)
{
    /// <inheritdoc/>
    public override bool MayLast => mayLast;

    /// <exception cref="RpcException">The call fails with that status; so may the reading of an answer's parts.</exception>
    public ValueTask<RpcAnswer> AnswerAsync(IMessage request, RpcContext context) => call(request, context);

    /// <summary>For requests whose answer is known to be small: it is put together.</summary>
    /// <exception cref="RpcException">The call fails with that status.</exception>
    public async ValueTask<IMessage> CallAsync(IMessage request, RpcContext context)
    {
        RpcAnswer answer = await call(request, context).ConfigureAwait(false);
        return await answer.MergeAsync().ConfigureAwait(false);
    }
}

/// <summary>Any number of answers, to one request or to many.</summary>
internal sealed class StreamMethod(
    string path, MessageParser parser, bool takesOneRequest, Func<IRpcReader<IMessage>, IRpcWriter<IMessage>, RpcContext, Task> call) : RpcMethod(path, parser)
{
    /// <inheritdoc/>
    public override bool MayLast => true;

    /// <summary>The call has one request, and what follows it is an error.</summary>
    public bool TakesOneRequest { get; } = takesOneRequest;

    /// <summary>Ends when the method has said its last.</summary>
    /// <exception cref="RpcException">The call ends with that status.</exception>
    public Task RunAsync(IRpcReader<IMessage> requests, IRpcWriter<IMessage> answers, RpcContext context) => call(requests, answers, context);
}
