using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Threading.Channels;
using Google.Protobuf;

namespace MetaStore.Testing.Grpc;

/// <summary>How a call ended. The status is of the headers where nothing else came, of the trailers otherwise.</summary>
public sealed record GrpcAnswer(HttpStatusCode Http, string? Status, string? Message, byte[] Body, bool IsTrailersOnly, HttpResponseHeaders Headers);

/// <summary>Calls over HTTP/2 with prior knowledge, put together by hand.</summary>
public sealed class GrpcClient : IDisposable
{
    /// <summary>Bytes before a message: a flag, and its length as gRPC has it.</summary>
    internal const int PrefixBytes = 5;

    private readonly HttpClient _http;

    /// <param name="endpoint">Host and port.</param>
    /// <param name="change">What is to be otherwise of its connections.</param>
    public GrpcClient(EndPoint endpoint, Action<SocketsHttpHandler>? change = null)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1 };
        change?.Invoke(handler);
        _http = new HttpClient(handler) { BaseAddress = new Uri($"http://{endpoint}") };
    }

    public static byte[] Frame(IMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var frame = new byte[PrefixBytes + message.CalculateSize()];
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)(frame.Length - PrefixBytes));
        message.WriteTo(frame.AsSpan(PrefixBytes));
        return frame;
    }

    public static T Unframe<T>(MessageParser<T> parser, ReadOnlySpan<byte> frame)
        where T : IMessage<T>
    {
        ArgumentNullException.ThrowIfNull(parser);
        bool isOne = frame.Length >= PrefixBytes && frame[0] == 0 && frame.Length - PrefixBytes == BinaryPrimitives.ReadUInt32BigEndian(frame[1..]);
        return isOne ? parser.ParseFrom(frame[PrefixBytes..]) : throw new InvalidDataException($"{frame.Length} bytes are not one frame of a message: {Convert.ToHexString(frame[..Math.Min(frame.Length, 16)])}");
    }

    public async Task<GrpcAnswer> CallAsync(string path, byte[] body, Action<HttpRequestMessage>? change = null, CancellationToken cancellationToken = default)
    {
        using HttpRequestMessage request = Make(path, new ByteArrayContent(body));
        change?.Invoke(request);
        using HttpResponseMessage response = await _http.SendAsync(request, cancellationToken);
        byte[] answer = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        bool isTrailersOnly = response.Headers.Contains("grpc-status");
        HttpResponseHeaders end = isTrailersOnly ? response.Headers : response.TrailingHeaders;
        return new GrpcAnswer(response.StatusCode, Value(end, "grpc-status"), Value(end, "grpc-message"), answer, isTrailersOnly, response.Headers);
    }

    public Task<GrpcAnswer> CallAsync(string path, IMessage message, Action<HttpRequestMessage>? change = null) => CallAsync(path, Frame(message), change);

    /// <summary>Opens a stream; it has an answer once the server begins one.</summary>
    public GrpcStream Open(string path, Action<HttpRequestMessage>? change = null)
    {
        var content = new StreamedContent();
        HttpRequestMessage request = Make(path, content);
        change?.Invoke(request);
        var cancel = new CancellationTokenSource();
        return new GrpcStream(_http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel.Token), content.Pieces, cancel);
    }

    public void Dispose() => _http.Dispose();

    public static string? Value(HttpHeaders headers, string name) => headers.TryGetValues(name, out IEnumerable<string>? values) ? string.Join(',', values) : null;

    private static HttpRequestMessage Make(string path, HttpContent content)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        return new HttpRequestMessage(HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
            Headers = { { "te", "trailers" } },
        };
    }

    private sealed class StreamedContent : HttpContent
    {
        private readonly Channel<byte[]> _pieces = Channel.CreateUnbounded<byte[]>();

        public ChannelWriter<byte[]> Pieces => _pieces.Writer;

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.FlushAsync();
            await foreach (byte[] piece in _pieces.Reader.ReadAllAsync())
            {
                await stream.WriteAsync(piece);
                await stream.FlushAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}

/// <summary>A stream of a client.</summary>
public sealed class GrpcStream(Task<HttpResponseMessage> response, ChannelWriter<byte[]> requests, CancellationTokenSource cancel) : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private Stream? _answers;

    public void Say(IMessage message) => requests.TryWrite(GrpcClient.Frame(message));

    public void SayBytes(byte[] bytes) => requests.TryWrite(bytes);

    public void SayNoMore() => requests.TryComplete();

    public void Cancel() => cancel.Cancel();

    public Task<HttpResponseMessage> Response => response;

    /// <summary>The next answer; null at the end.</summary>
    public async Task<T?> HearAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        _answers ??= await (await response.WaitAsync(s_patience)).Content.ReadAsStreamAsync();
        byte[] prefix = new byte[GrpcClient.PrefixBytes];
        if (await _answers.ReadAtLeastAsync(prefix, prefix.Length, throwOnEndOfStream: false).AsTask().WaitAsync(s_patience) == 0)
        {
            return null;
        }

        byte[] message = new byte[BinaryPrimitives.ReadUInt32BigEndian(prefix.AsSpan(1))];
        await _answers.ReadExactlyAsync(message).AsTask().WaitAsync(s_patience);
        return parser.ParseFrom(message);
    }

    /// <summary>How the stream ended, once all was heard.</summary>
    public async Task<(string? Status, string? Message)> EndAsync()
    {
        HttpResponseMessage answer = await response.WaitAsync(s_patience);
        HttpResponseHeaders end = answer.Headers.Contains("grpc-status") ? answer.Headers : answer.TrailingHeaders;
        return (GrpcClient.Value(end, "grpc-status"), GrpcClient.Value(end, "grpc-message"));
    }

    public void Dispose()
    {
        requests.TryComplete();
        cancel.Cancel();
        cancel.Dispose();
    }
}
