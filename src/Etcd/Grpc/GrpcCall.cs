using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Grpc;

/// <summary>
/// One call over HTTP/2: what the service knows of it, and where its answers go. A call of one answer leaves it unflushed, so that headers,
/// message and trailers go out together; the answers of a stream go out one by one.
/// </summary>
internal sealed class GrpcCall : FrontCall, IRpcWriter<IMessage>
{
    private const string ContentType = "application/grpc";

    // A message beyond that goes out in pieces, of which no more than that waits for the caller. HTTP/2's own buffer has the same bound.
    private const int PieceBytesMax = 64 * 1024;

    private readonly IFeatureCollection _features;
    private readonly IHttpRequestFeature _request;
    private readonly IHttpResponseFeature _response;
    private readonly IHttpResponseBodyFeature _body;
    private readonly UnreadAnswers _unread;
    private RpcCounters? _counters;
    private PipeWriter? _output;

    public GrpcCall(IFeatureCollection features, IHttpRequestFeature request, UnreadAnswers unread, CancellationToken stopping)
        : base(features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted, stopping)
    {
        _features = features;
        _request = request;
        _unread = unread;
        _response = features.GetRequiredFeature<IHttpResponseFeature>();
        _body = features.GetRequiredFeature<IHttpResponseBodyFeature>();
    }

    /// <summary>What the answer begins with; until it does.</summary>
    public IHeaderDictionary ResponseHeaders => _response.Headers;

    /// <inheritdoc/>
    public override string? Metadata(string name) => Header(_request.Headers, name);

    /// <summary>The request's bytes.</summary>
    public PipeReader Body => _features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader;

    /// <summary>The request's messages, out of its bytes.</summary>
    public MessageReader Read(PipeReader body, MessageParser parser, int bytesMax, RpcCounters counters)
    {
        _counters = counters;
        return new MessageReader(body, parser, bytesMax, counters);
    }

    /// <summary>Says the only answer. It leaves with the status, but for what is large or in parts, which goes out as the caller reads it.</summary>
    public async ValueTask AnswerAsync(RpcAnswer answer)
    {
        await StartAsync().ConfigureAwait(false);
        int first = answer.First.CalculateSize();
        if (answer.Rest is null)
        {
            if (first <= PieceBytesMax)
            {
                Put(answer.First, first);
                return;
            }

            await PutInPiecesAsync(answer.First, first, Ended).ConfigureAwait(false);
            return;
        }

        using UnreadAnswers.Answer unread = _unread.Of(Ended);
        long left = MessageFrame.WritePrefix(_output!, answer.Length) - first;
        answer.First.WriteTo(_output!);
        await unread.FlushAsync(_output!, 2 * first).ConfigureAwait(false);
        await foreach (IMessage part in answer.Rest.ConfigureAwait(false))
        {
            int length = part.CalculateSize();
            left -= length;
            part.WriteTo(_output!);
            await unread.FlushAsync(_output!, first + (2 * length)).ConfigureAwait(false);
        }

        Invariant.Check(left == 0, $"The parts of an answer were to take {answer.Length} bytes, and have taken {answer.Length - left}.");
        _counters!.CountSent(MessageFrame.PrefixBytes + answer.Length);
    }

    /// <inheritdoc/>
    async ValueTask IRpcWriter<IMessage>.WriteAsync(IMessage message, CancellationToken cancellationToken)
    {
        if (_output is null)
        {
            await StartAsync().ConfigureAwait(false);
        }

        int length = message.CalculateSize();
        if (length <= PieceBytesMax)
        {
            Put(message, length);
            await FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (message is Messages.WatchResponse response)
        {
            await PutInPiecesAsync(length, WatchPieces.Of(response), () => FlushAsync(cancellationToken)).ConfigureAwait(false);
        }
        else
        {
            await PutInPiecesAsync(message, length, cancellationToken).ConfigureAwait(false);
        }
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

    private async ValueTask StartAsync()
    {
        _response.Headers.ContentType = ContentType;
        _output = _body.Writer;
        await _body.StartAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Waits for a caller that does not read.</summary>
    private async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        await _output!.FlushAsync(cancellationToken).ConfigureAwait(false);
        Ended.ThrowIfCancellationRequested();
    }

    private async ValueTask PutInPiecesAsync(IMessage message, int length, CancellationToken cancellationToken)
    {
        byte[] whole = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            message.WriteTo(whole.AsSpan(0, length));
            using UnreadAnswers.Answer unread = _unread.Of(cancellationToken);
            await PutInPiecesAsync(length, [whole.AsMemory(0, length)], () => unread.FlushAsync(_output!, 2L * length)).ConfigureAwait(false); // the message and its encoding
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    private async ValueTask PutInPiecesAsync(int length, IEnumerable<ReadOnlyMemory<byte>> pieces, Func<ValueTask> flush)
    {
        long left = MessageFrame.WritePrefix(_output!, length);
        int unflushed = 0;
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            for (int from = 0; from < piece.Length;)
            {
                int count = Math.Min(piece.Length - from, PieceBytesMax - unflushed);
                _output!.Write(piece.Span.Slice(from, count));
                from += count;
                unflushed += count;
                left -= count;
                if (unflushed == PieceBytesMax)
                {
                    await flush().ConfigureAwait(false);
                    unflushed = 0;
                }
            }
        }

        await flush().ConfigureAwait(false);
        Invariant.Check(left == 0, $"The pieces of a message were to take {length} bytes, and have taken {length - left}.");
        _counters!.CountSent(MessageFrame.PrefixBytes + length);
    }

    private void Put(IMessage message, int length) => _counters!.CountSent(MessageFrame.Write(_output!, message, length));
}
