using System.Buffers;
using Google.Protobuf;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Gateway;

/// <summary>One call in JSON: what the service knows of it, and where its answers go.</summary>
internal sealed class GatewayCall : FrontCall, IRpcWriter<IMessage>
{
    private const string ContentType = "application/json";
    private const string MetadataPrefix = "grpc-metadata-";

    /// <summary>Answers up to this size are put together first, so that their length can be told.</summary>
    private const int WholeBytesMax = 64 << 10;

    private readonly IHttpRequestFeature _request;
    private readonly IHttpResponseFeature _response;
    private readonly IHttpResponseBodyFeature _body;
    private readonly IHttpRequestLifetimeFeature _lifetime;
    private readonly ServedMethod _served;
    private readonly UnreadAnswers _unread;

    public GatewayCall(IFeatureCollection features, IHttpRequestFeature request, ServedMethod served, UnreadAnswers unread, CancellationToken stopping)
        : base(features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted, stopping)
    {
        _request = request;
        _response = features.GetRequiredFeature<IHttpResponseFeature>();
        _body = features.GetRequiredFeature<IHttpResponseBodyFeature>();
        _lifetime = features.GetRequiredFeature<IHttpRequestLifetimeFeature>();
        _served = served;
        _unread = unread;
    }

    /// <inheritdoc/>
    /// <remarks><c>Authorization</c> is taken as it is, all else from headers that begin with <c>Grpc-Metadata-</c>.</remarks>
    public override string? Metadata(string name) =>
        name == "authorization" ? Header(_request.Headers, name) : Header(_request.Headers, MetadataPrefix + name);

    /// <summary>Says the only answer.</summary>
    public async ValueTask AnswerAsync(RpcAnswer answer)
    {
        if (answer.Rest is null)
        {
            await AnswerAsync(answer.First).ConfigureAwait(false);
            return;
        }

        _response.Headers.ContentType = ContentType;
        await _body.StartAsync(CancellationToken.None).ConfigureAwait(false);
        using UnreadAnswers.Answer unread = _unread.Of(Ended);
        await JsonAnswers.WriteAsync(_body.Writer, answer, unread).ConfigureAwait(false);
        _served.Counters.CountSent(answer.Length);
    }

    private async ValueTask AnswerAsync(IMessage message)
    {
        int length = message.CalculateSize();
        _served.Counters.CountSent(length);
        _response.Headers.ContentType = ContentType;
        if (length > WholeBytesMax)
        {
            await _body.StartAsync(CancellationToken.None).ConfigureAwait(false);
            JsonAnswers.WriteMessage(_body.Writer, message);
            using UnreadAnswers.Answer unread = _unread.Of(Ended);
            await unread.FlushAsync(_body.Writer, JsonAnswers.HeldBytes(length)).ConfigureAwait(false);
            return;
        }

        var whole = new ArrayBufferWriter<byte>(2 * length + 256);
        JsonAnswers.WriteMessage(whole, message);
        await SendAsync(whole).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    async ValueTask IRpcWriter<IMessage>.WriteAsync(IMessage message, CancellationToken cancellationToken)
    {
        await BeginStreamAsync().ConfigureAwait(false);
        _served.Counters.CountSent(message.CalculateSize());
        JsonAnswers.WriteResult(_body.Writer, message);
        await _body.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
        Ended.ThrowIfCancellationRequested();
    }

    /// <summary>Ends the call with a failure: instead of an answer, or behind those of a stream.</summary>
    public async ValueTask FailAsync(StatusCode code, string message)
    {
        if (_served.Method is StreamMethod)
        {
            if (!_response.HasStarted)
            {
                _response.StatusCode = HttpStatus.Of(code);
            }

            await BeginStreamAsync().ConfigureAwait(false);
            JsonAnswers.WriteStreamError(_body.Writer, code, message);
        }
        else if (!_response.HasStarted)
        {
            _response.StatusCode = HttpStatus.Of(code);
            _response.Headers.ContentType = ContentType;
            var whole = new ArrayBufferWriter<byte>();
            JsonAnswers.WriteError(whole, code, message);
            await SendAsync(whole).ConfigureAwait(false);
        }
        else
        {
            _lifetime.Abort(); // An answer of which a part is missing must not look like a whole one.
        }
    }

    private async ValueTask BeginStreamAsync()
    {
        if (!_response.HasStarted)
        {
            _response.Headers.ContentType = ContentType;
            await _body.StartAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async ValueTask SendAsync(ArrayBufferWriter<byte> whole)
    {
        _response.Headers.ContentLength = whole.WrittenCount;
        await _body.Writer.WriteAsync(whole.WrittenMemory, CancellationToken.None).ConfigureAwait(false);
    }
}
