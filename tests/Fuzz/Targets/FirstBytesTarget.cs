using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using MetaStore.Etcd.Http;
using MetaStore.Fuzz.Running;
using MetaStore.Net;
using MetaStore.Net.Wire;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// What a connection speaks is told by its first bytes: once told, more bytes change nothing; nothing is taken; and the binary protocol is told from all others by one byte.
/// Input: cut u8, bytes.
/// </summary>
internal sealed class FirstBytesTarget : FuzzTarget
{
    private static readonly byte[] s_preface = Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    public override string Name => "first-bytes";

    public override int BytesMax => 128;

    public override IReadOnlyList<byte[]> Words { get; } = [s_preface, "PRI * HTTP/2.0\r\n"u8.ToArray(), "GET / HTTP/1.1\r\n"u8.ToArray(), Handshake.Magic.ToArray(), [0x16, 3, 1]];

    public override IEnumerable<byte[]> Seeds() => Words.Select(word => (byte[])[3, .. word]);

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        byte cut = reader.Byte();
        ReadOnlyMemory<byte> bytes = reader.Rest;
        PrefaceKind kind = Preface.Classify(Pieces.Cut(bytes, cut));
        PrefaceKind before = PrefaceKind.Undecided;
        for (int length = 0; length <= bytes.Length; length++)
        {
            PrefaceKind now = Preface.Classify(new ReadOnlySequence<byte>(bytes[..length]));
            FuzzFailure.Unless(before == PrefaceKind.Undecided || before == now, $"{length - 1} bytes were {before}, {length} are {now}");
            before = now;
        }

        FuzzFailure.Unless(kind == before, "the same bytes in pieces are another protocol's");
        FuzzFailure.Unless((kind == PrefaceKind.Http2) == bytes.Span.StartsWith(s_preface.AsSpan(0, 16)), $"{kind} begins otherwise");

        PipeReader pipe = Pieces.Body(bytes, cut);
        FuzzFailure.Unless(Pieces.Finished(Preface.PeekAsync(pipe, CancellationToken.None)) == kind, "who looks sees another protocol");
        ReadOnlySequence<byte> left = Pieces.Finished(pipe.ReadAsync()).Buffer;
        FuzzFailure.UnlessEqual(Shape.Hex(left.ToArray()), Shape.Hex(bytes.Span), "looking has taken something away");

        bool isBinary = BinaryServer.IsBinaryProtocol(bytes.Span);
        FuzzFailure.Unless(!isBinary || kind == PrefaceKind.Http1, "a connection speaks both protocols");
        return $"{kind} {isBinary} {Shape.Size(bytes.Length)} {(bytes.IsEmpty ? "" : char.IsAsciiLetterUpper((char)bytes.Span[0]) ? "A" : bytes.Span[0] < 0x80 ? "." : "+")}";
    }
}
