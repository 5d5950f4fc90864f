using System.Buffers;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// JSON and the messages of every method. A body of JSON is a message or is refused, however it is cut; a message, read from JSON or from protobuf, becomes JSON that is sound and gives the
/// same message again. Input: kind u8 (0 JSON of one request, 1 JSON of many, 2 protobuf of a request, 3 protobuf of an answer), method u8, cut u8, body.
/// </summary>
internal sealed class JsonTarget : FuzzTarget
{
    private const int MessageBytesMax = 1 << 20;
    private const int BytesOfAMessage = 16;
    private const int AllocationFactor = 256;

    public static readonly IReadOnlyList<byte[]> JsonWords =
    [
        .. new[]
        {
            "{", "}", "[", "]", ":", ",", "\"", "\\", "null", "true", "false", "\"key\":", "\"Zm9v\"", "\"rangeEnd\":", "\"range_end\":", "-9223372036854775808", "18446744073709551616", "1e400",
            "0.5", "-0", "\"\\ud800\"", "\"\\u0000\"", "\"NaN\"", "{}{}", "\"requestPut\":{", "\"request_txn\":", "\"DESCEND\"", "\"=\"", "\"-_\"", "\u2028", "1.0", "1E2",
        }.Select(Encoding.UTF8.GetBytes),
        [0xff], [0xef, 0xbb, 0xbf],
    ];

    public override string Name => "json";

    public override IReadOnlyList<byte[]> Words => JsonWords;

    public override IEnumerable<byte[]> Seeds()
    {
        foreach ((string path, IMessage message) in SeedMessages.All)
        {
            byte[] json = Encoding.UTF8.GetBytes(ToJson(message));
            int method = Methods.NumberOf(path);
            yield return new InputWriter().Byte(0).Byte(method).Byte(3).Bytes(json).ToArray();
            yield return new InputWriter().Byte(1).Byte(method).Byte(5).Bytes(json).Bytes("\n"u8).Bytes(json).ToArray();
            yield return new InputWriter().Byte(2).Byte(method).Byte(0).Bytes(message.ToByteArray()).ToArray();
            yield return new InputWriter().Byte(3).Byte(method).Byte(0).Bytes([0x0a, 0x04, 0x08, 0x01, 0x18, 0x05, 0x12, 0x02, 0x08, 0x01]).ToArray();
        }
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        int kind = reader.Byte() % 4;
        Method method = Methods.At(reader.Byte());
        byte cut = reader.Byte();
        ReadOnlyMemory<byte> body = reader.Rest;
        if (kind < 2)
        {
            // Each message of a stream is one of its own, which goes before the next is read.
            int messages = kind == 1 ? body.Span.Count((byte)'{') : 0;
            string whole = AllocationBudget.Hold(body.Length + (messages * BytesOfAMessage), AllocationFactor, () => ReadJson(method, body, 0, isMany: kind == 1));
            FuzzFailure.UnlessEqual(whole, ReadJson(method, body, cut, isMany: kind == 1), "the same JSON in pieces is read otherwise");
            return $"{method.Path} {whole}";
        }

        try
        {
            IMessage message = Methods.Known(kind == 2 ? method.Request : method.Answer, body.Span);
            CheckRoundTrip(message);
            return $"{method.Path} {kind} {Skeleton.Of(message)}";
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or IndexOutOfRangeException) // the latter is a fault of the parser
        {
            return "no protobuf";
        }
    }

    private static string ReadJson(Method method, ReadOnlyMemory<byte> body, byte cut, bool isMany)
    {
        var read = new List<IMessage>();
        var served = new ServedMethod(new StreamMethod(method.Path, method.Request.Parser, takesOneRequest: !isMany, (_, _, _) => Task.CompletedTask), new RpcCounters());
        var requests = new JsonRequests(Pieces.Body(body, cut), served, method.Request, MessageBytesMax);
        string end = "end";
        try
        {
            if (isMany)
            {
                while (Pieces.Finished(requests.ReadAsync(CancellationToken.None)) is { } message)
                {
                    read.Add(message);
                }
            }
            else
            {
                read.Add(Pieces.Finished(requests.ReadOnlyOneAsync(CancellationToken.None)));
            }
        }
        catch (RpcException e) when (e.Code is StatusCode.InvalidArgument or StatusCode.ResourceExhausted)
        {
            end = $"{e.Code} {Shape.Of(e.Message)}";
        }

        read.ForEach(CheckRoundTrip);
        return $"{Shape.Size(read.Count)} {string.Join(' ', read.Take(2).Select(Skeleton.Of))} {end}";
    }

    /// <summary>Through JSON and through protobuf, a message stays what it is.</summary>
    private static void CheckRoundTrip(IMessage message)
    {
        byte[] bytes = message.ToByteArray();
        FuzzFailure.Unless(message.Equals(Methods.Known(message.Descriptor, bytes)), $"protobuf gives another message: {message}");
        string json = ToJson(message);
        using (JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 }))
        {
            // It is sound.
        }

        IMessage again = new JsonParser(JsonParser.Settings.Default).Parse(JsonNumbers.QuoteLong(json), message.Descriptor);
        FuzzFailure.Unless(message.Equals(again), $"JSON gives another message: {json}\n{message}\n{again}");
    }

    private static string ToJson(IMessage message)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonAnswers.WriteMessage(output, message);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
