using System.IO.Pipelines;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace MetaStore.Etcd.Grpc;

/// <summary>
/// One call over HTTP/2: what the service knows of it, and where its answers go. A call of one answer leaves it unflushed, so that headers,
/// message and trailers go out together; the answers of a stream go out one by one.
/// </summary>
internal sealed class GrpcCall : RpcContext, IRpcWriter<IMessage>, IDisposable
{
    private const string ContentType = "application/grpc";

    private readonly IFeatureCollection _features;
    private readonly IHttpRequestFeature _request;
    private readonly IHttpResponseFeature _response;
    private readonly IHttpResponseBodyFeature _body;
    private readonly CancellationToken _aborted;
    private readonly CancellationToken _stopping;
    private RpcCounters? _counters;
    private CancellationTokenSource? _deadline;
    private CancellationTokenSource? _ended;
    private PipeWriter? _output;

    public GrpcCall(IFeatureCollection features, IHttpRequestFeature request, CancellationToken stopping)
    {
        _features = features;
        _request = request;
        _response = features.GetRequiredFeature<IHttpResponseFeature>();
        _body = features.GetRequiredFeature<IHttpResponseBodyFeature>();
        _aborted = features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted;
        _stopping = stopping;
    }

    /// <inheritdoc/>
    public override CancellationToken Ended => _ended?.Token ?? _aborted;

    /// <summary>The caller has gone: whatever is said, nobody hears it.</summary>
    public bool IsAborted => _aborted.IsCancellationRequested;

    /// <summary>What the answer begins with; until it does.</summary>
    public IHeaderDictionary ResponseHeaders => _response.Headers;

    /// <inheritdoc/>
    /// <remarks>Values are UTF-8. Bytes that are none come as U+FFFD.</remarks>
    public override string? Metadata(string name)
    {
        if (!_request.Headers.TryGetValue(name, out StringValues values) || values.Count == 0 || values[0] is not { } value)
        {
            return null;
        }

        // The server reads headers as Latin-1, which keeps their bytes.
        return Ascii.IsValid(value) ? value : Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(value));
    }

    /// <summary>Gives the call its end: the caller's deadline, where it has one; and, for a stream, which would last for ever, that of the server.</summary>
    public void Limit(TimeSpan? timeout, bool isStream, TimeProvider time)
    {
        if (timeout is { } left)
        {
            _deadline = new CancellationTokenSource(left < s_deadlineMax ? left : s_deadlineMax, time);
        }

        if (_deadline is not null || isStream)
        {
            _ended = CancellationTokenSource.CreateLinkedTokenSource(_aborted, _deadline?.Token ?? default, isStream ? _stopping : default);
        }
    }

    /// <summary>The request's messages.</summary>
    public MessageReader Read(MessageParser parser, int bytesMax, RpcCounters counters)
    {
        _counters = counters;
        return new MessageReader(_features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader, parser, bytesMax, counters);
    }

    /// <summary>Says the only answer. It leaves with the status.</summary>
    public async ValueTask AnswerAsync(IMessage message)
    {
        await StartAsync().ConfigureAwait(false);
        Put(message);
    }

    /// <inheritdoc/>
    async ValueTask IRpcWriter<IMessage>.WriteAsync(IMessage message, CancellationToken cancellationToken)
    {
        if (_output is null)
        {
            await StartAsync().ConfigureAwait(false);
        }

        Put(message);
        await _output!.FlushAsync(cancellationToken).ConfigureAwait(false);
        Ended.ThrowIfCancellationRequested();
    }

    /// <summary>Ends the call with a status. Where nothing was said before, the headers say it all.</summary>
    public void Finish(StatusCode code, string? message)
    {
        IHeaderDictionary target = _response.Headers;
        if (_output is not null)
        {
            target = _features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers;
        }
        else
        {
            target.ContentType = ContentType;
        }

        target.GrpcStatus = GrpcStatusText.Number(code);
        if (message is { Length: > 0 })
        {
            target.GrpcMessage = GrpcStatusText.Encode(message);
        }
    }

    /// <summary>Refuses what is no call of gRPC, or one that cannot be read: with a status of HTTP as well.</summary>
    public void Refuse(int httpStatus, StatusCode code, string message)
    {
        _response.StatusCode = httpStatus;
        Finish(code, message);
    }

    /// <summary>With what status a call ends that was cut short by its token.</summary>
    public (StatusCode Code, string Message) WhyEnded()
    {
        if (_deadline is { IsCancellationRequested: true })
        {
            return (StatusCode.DeadlineExceeded, "context deadline exceeded");
        }

        return _stopping.IsCancellationRequested && !IsAborted
            ? (StatusCode.Unavailable, "etcdserver: server stopped")
            : (StatusCode.Canceled, "context canceled");
    }

    /// <summary>Tells whoever still works for the call that it is over.</summary>
    public void Dispose()
    {
        _ended?.Cancel();
        _ended?.Dispose();
        _deadline?.Dispose();
    }

    /// <summary>The longest time that a timer takes; a deadline beyond is as good as none.</summary>
    private static readonly TimeSpan s_deadlineMax = TimeSpan.FromDays(49);

    private async ValueTask StartAsync()
    {
        _response.Headers.ContentType = ContentType;
        _output = _body.Writer;
        await _body.StartAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private void Put(IMessage message) => _counters!.CountSent(MessageFrame.Write(_output!, message));
}
