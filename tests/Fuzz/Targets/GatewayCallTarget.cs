using System.Text;
using System.Text.Json;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A whole request to the JSON gateway: however it is made, it is answered with JSON, in lines where it is a stream, and a status of HTTP; and nothing is logged as unexpected.
/// Input: cut u8, flags u8, then with its length (u16) each: method, path, deadline; then the body. The flags' first two bits put the usual method and path in, the next two choose the path.
/// </summary>
internal sealed class GatewayCallTarget : FuzzTarget
{
    private const int MessageBytesMax = 2000;

    private static readonly string[] s_paths = ["/v3/kv/put", "/v3/kv/rangestream", "/v3beta/watch", "/v3/kv/nothing"];

    private readonly FindingLogger _logger = new();
    private readonly GatewayFront _front;

    public GatewayCallTarget()
    {
        _front = new GatewayFront(new RpcDesk(EchoMethods.Table), MessageBytesMax, new UnfinishedMessages(long.MaxValue, TimeSpan.FromDays(1), TimeProvider.System), new UnreadAnswers(long.MaxValue), TimeProvider.System, CancellationToken.None, _logger);
    }

    public override string Name => "json-calls";

    public override IReadOnlyList<byte[]> Words => JsonTarget.JsonWords;

    public override IEnumerable<byte[]> Seeds()
    {
        yield return Of(0, """{"key":"Zm9v","value":"YmFy","prev_kv":true}""");
        yield return Of(0, """{"key":"Zm9v","lease":"5","value":"ACE="}""");
        yield return Of(1, """{"key":"Zm9v","limit":3}""");
        yield return Of(2, """{"create_request":{"key":"Zm9v","watch_id":"4"}} {"cancel_request":{"watch_id":14}}""");
        yield return Of(3, "{}");
        yield return new InputWriter().Byte(0).Byte(0).Sized("PUT"u8).Sized("/v3/x"u8).Sized("1S"u8).ToArray();
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte cut = reader.Byte();
        byte flags = reader.Byte();
        string method = Encoding.Latin1.GetString(reader.Sized().Span);
        string path = Encoding.Latin1.GetString(reader.Sized().Span);
        string deadline = Encoding.Latin1.GetString(reader.Sized().Span);
        var exchange = new Exchange(Pieces.Body(reader.Rest, cut));
        exchange.Request.Method = (flags & 1) != 0 ? "POST" : method;
        exchange.Request.Path = (flags & 2) != 0 ? s_paths[(flags >> 2) & 3] : '/' + path;
        if (deadline.Length > 0)
        {
            exchange.Request.Headers.GrpcTimeout = deadline;
        }

        if (!GatewayFront.IsCall(exchange.Request.Path))
        {
            return "no call";
        }

        Pieces.Finished(_front.ServeAsync(exchange.Features, exchange.Request));
        _logger.ThrowIfAny();
        return Check(exchange, isStream: exchange.Request.Path.EndsWith("stream", StringComparison.Ordinal) || exchange.Request.Path.EndsWith("watch", StringComparison.Ordinal));
    }

    private static string Check(Exchange exchange, bool isStream)
    {
        FuzzFailure.Unless(exchange.Status is 200 or (>= 400 and < 600), $"{exchange.Status} is no status to answer with");
        byte[] answer = exchange.Answer;
        string[] parts = isStream && exchange.Status != 405 ? Encoding.UTF8.GetString(answer).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [Encoding.UTF8.GetString(answer)];
        string last = string.Empty;
        foreach (string part in parts)
        {
            using JsonDocument json = Parse(part);
            FuzzFailure.Unless(json.RootElement.ValueKind == JsonValueKind.Object, $"the answer is no object: {part}");
            bool isError = json.RootElement.TryGetProperty("error", out JsonElement error);
            FuzzFailure.Unless(isError || exchange.Status == 200, $"status {exchange.Status} with no error: {part}");
            last = isError ? Shape.Of(error.ToString()) : "result";
        }

        return $"{exchange.Status} {Shape.Size(parts.Length)} {Shape.Size(answer.Length)} {last}";
    }

    private static JsonDocument Parse(string text)
    {
        try
        {
            return JsonDocument.Parse(text);
        }
        catch (JsonException e)
        {
            throw new FuzzFailure($"the answer is no JSON: {text}", e);
        }
    }

    private static byte[] Of(int path, string body) => new InputWriter().Byte(0).Byte(3 | (path << 2)).Sized([]).Sized([]).Sized([]).Bytes(Encoding.UTF8.GetBytes(body)).ToArray();
}
