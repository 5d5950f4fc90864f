using System.Text;
using System.Text.RegularExpressions;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// What headers of gRPC carry: deadlines, messages of statuses, metadata. A deadline is one just where the protocol has it so; a message comes back out of its header; a value of metadata is
/// UTF-8 or is marked. Input: kind u8, text.
/// </summary>
internal sealed class GrpcTextTarget : FuzzTarget
{
    private static readonly Regex s_timeout = new("^[0-9]{1,8}[HMSmun]\\z", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    public override string Name => "grpc-texts";

    public override int BytesMax => 512;

    public override IReadOnlyList<byte[]> Words { get; } = [.. new[] { "99999999H", "1n", "%", "%25", "é", "\ud83d\ude00" }.Select(Encoding.UTF8.GetBytes), [0xc3], [0xff]];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (string timeout in new[] { "1H", "20m", "99999999S", "5u", "0n", "200n", "7M" })
        {
            yield return [0, .. Encoding.ASCII.GetBytes(timeout)];
        }

        yield return [1, .. Encoding.Unicode.GetBytes("etcdserver: größe 100%\n\ud800")];
        yield return [2, .. Encoding.UTF8.GetBytes("3.5 größe")];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        return (reader.Byte() % 3) switch
        {
            0 => Timeout(Encoding.Latin1.GetString(reader.Rest.Span)),
            1 => Message(Encoding.Unicode.GetString(reader.Rest.Span)),
            _ => Metadata(reader.Rest.Span),
        };
    }

    private static string Timeout(string text)
    {
        bool isOne = GrpcTimeout.TryParse(text, out TimeSpan timeout);
        FuzzFailure.Unless(isOne == s_timeout.IsMatch(text), $"\"{text}\" is {(isOne ? "" : "not ")}taken for a deadline");
        FuzzFailure.Unless(!isOne || timeout > TimeSpan.Zero == text.AsSpan(0, text.Length - 1).ContainsAnyInRange('1', '9'), $"\"{text}\" is a deadline of {timeout}");
        return isOne ? $"timeout {text[^1]} {Shape.Size(timeout.Ticks)}" : $"no timeout {Shape.Size(text.Length)}";
    }

    private static string Message(string message)
    {
        string header = GrpcStatusText.Encode(message);
        FuzzFailure.Unless(!header.AsSpan().ContainsAnyExceptInRange(' ', '~'), $"\"{header}\" cannot stand in a header");
        FuzzFailure.UnlessEqual(Shape.Hex(Encoding.UTF8.GetBytes(message)), Shape.Hex(Unescape(header)), "a message does not come back out of its header");
        return $"message {Shape.Size(message.Length)} {Shape.Size(header.Length)} {message.Any(char.IsSurrogate)} {message.Contains('%', StringComparison.Ordinal)}";
    }

    private static byte[] Unescape(string header)
    {
        var bytes = new List<byte>();
        for (int at = 0; at < header.Length; at++)
        {
            if (header[at] == '%')
            {
                bytes.Add(Convert.ToByte(header.Substring(at + 1, 2), 16));
                at += 2;
            }
            else
            {
                bytes.Add((byte)header[at]);
            }
        }

        return [.. bytes];
    }

    private static string Metadata(ReadOnlySpan<byte> value)
    {
        var exchange = new Exchange();
        exchange.Request.Headers["x"] = Encoding.Latin1.GetString(value);
        using var call = new GrpcCall(exchange.Features, exchange.Request, new UnreadAnswers(long.MaxValue), CancellationToken.None);
        string read = call.Metadata("x")!;
        bool isUtf8 = System.Text.Unicode.Utf8.IsValid(value);
        FuzzFailure.Unless(isUtf8 || read.Contains('\uFFFD', StringComparison.Ordinal), "a value that is no UTF-8 is not marked");
        FuzzFailure.Unless(!isUtf8 || Encoding.UTF8.GetBytes(read).AsSpan().SequenceEqual(value), "a value of UTF-8 is read as another");
        FuzzFailure.Unless(call.Metadata("y") is null, "there is a value that nobody gave");
        return $"metadata {isUtf8} {Shape.Size(value.Length)} {Shape.Size(read.Length)}";
    }
}
