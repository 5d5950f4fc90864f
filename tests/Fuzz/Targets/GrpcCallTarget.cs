using System.Buffers;
using System.Globalization;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A whole request of HTTP/2: however it is made, it ends with one status that is known, a message that can stand in a header, and whole frames before it; and nothing is logged as unexpected.
/// Input: cut u8, flags u8, then with its length (u16) each: method, path, content type, encoding, deadline; then the body. The flags' first three bits put the usual method, path and content
/// type in, the next two choose the path.
/// </summary>
internal sealed class GrpcCallTarget : FuzzTarget
{
    private const int MessageBytesMax = 2000;

    private static readonly string[] s_paths = [EchoMethods.Unary, EchoMethods.ManyAnswers, EchoMethods.ManyBoth, "/etcdserverpb.KV/Nothing"];

    private readonly FindingLogger _logger = new();
    private readonly GrpcFront _front;

    public GrpcCallTarget()
    {
        _front = new GrpcFront(new RpcDesk(EchoMethods.Table), MessageBytesMax, new UnfinishedMessages(long.MaxValue, TimeSpan.FromDays(1), TimeProvider.System), new UnreadAnswers(long.MaxValue), TimeProvider.System, CancellationToken.None, _logger);
    }

    public override string Name => "grpc-calls";

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[] { "POST", "application/grpc", "application/grpc+proto", "gzip", "identity", "20S", "99999999H", "/", "/etcdserverpb.KV/", "%" }.Select(Encoding.ASCII.GetBytes),
        [0, 0, 0, 0, 0],
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        var put = new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFromUtf8("größe") };
        yield return Of(0, put);
        yield return Of(0, new PutRequest(put) { Lease = 5 });
        yield return Of(1, new RangeRequest { Key = ByteString.CopyFromUtf8("k"), Limit = 3 });
        yield return Of(1, new RangeRequest { Limit = 1, Revision = 11 });
        yield return Of(2, new WatchRequest { CreateRequest = new WatchCreateRequest { WatchId = 4 } }, new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = 14 } });
        yield return Of(3, put);
        yield return new InputWriter().Byte(0).Byte(0).Sized("GET"u8).Sized("/x/y"u8).Sized("application/grpc;x"u8).Sized("gzip"u8).Sized("1S"u8).ToArray();
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte cut = reader.Byte();
        byte flags = reader.Byte();
        string[] texts = new string[5];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = Encoding.Latin1.GetString(reader.Sized().Span);
        }

        var exchange = new Exchange(Pieces.Body(reader.Rest, cut));
        exchange.Request.Method = (flags & 1) != 0 ? "POST" : texts[0];
        exchange.Request.Path = (flags & 2) != 0 ? s_paths[(flags >> 3) & 3] : '/' + texts[1]; // HTTP gives no path that begins otherwise.
        exchange.Request.Headers.ContentType = (flags & 4) != 0 ? "application/grpc" : texts[2];
        AddHeader(exchange, "grpc-encoding", texts[3]);
        AddHeader(exchange, "grpc-timeout", texts[4]);
        if (!_front.IsCall(exchange.Request))
        {
            return "no call";
        }

        Pieces.Finished(_front.ServeAsync(exchange.Features, exchange.Request));
        _logger.ThrowIfAny();
        return Check(exchange);
    }

    private static string Check(Exchange exchange)
    {
        byte[] body = exchange.Answer;
        bool isEnd = exchange.Trailers.ContainsKey("grpc-status");
        FuzzFailure.Unless(isEnd != exchange.Headers.ContainsKey("grpc-status"), "there is no status, or there are two");
        FuzzFailure.Unless(isEnd || body.Length == 0, "headers say it all, and there is a body");
        var end = isEnd ? exchange.Trailers : exchange.Headers;
        string? status = end["grpc-status"];
        bool isKnown = int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out int code) && code <= (int)StatusCode.Unauthenticated;
        FuzzFailure.Unless(isKnown, $"{status} is no status");
        string message = end["grpc-message"].ToString();
        FuzzFailure.Unless(!message.AsSpan().ContainsAnyExceptInRange(' ', '~'), $"\"{message}\" cannot stand in a header");
        FuzzFailure.Unless(exchange.Headers.ContentType == "application/grpc", "the answer is of another type");
        int messages = CountFrames(body);
        return $"{exchange.Status} {code} {Shape.Of(message)} {messages}";
    }

    private static int CountFrames(byte[] body)
    {
        var buffer = new ReadOnlySequence<byte>(body);
        int count = 0;
        while (MessageFrame.TryTake(ref buffer, int.MaxValue, out _))
        {
            count++;
        }

        FuzzFailure.Unless(buffer.IsEmpty, $"{buffer.Length} bytes behind the last answer are no frame");
        return count;
    }

    private static void AddHeader(Exchange exchange, string name, string value)
    {
        if (value.Length > 0)
        {
            exchange.Request.Headers[name] = value;
        }
    }

    private static byte[] Of(int path, params IMessage[] messages)
    {
        var body = new ArrayBufferWriter<byte>();
        foreach (IMessage message in messages)
        {
            MessageFrame.Write(body, message, message.CalculateSize());
        }

        return new InputWriter().Byte(0).Byte(7 | (path << 3)).Sized([]).Sized([]).Sized([]).Sized([]).Sized([]).Bytes(body.WrittenSpan).ToArray();
    }
}
