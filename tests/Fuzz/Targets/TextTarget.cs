using System.Globalization;
using System.Net;
using System.Text;
using MetaStore.Engine;
using MetaStore.Fuzz.Running;
using MetaStore.Net;
using MetaStore.Server;
using MetaStore.Server.Client;
using MetaStore.Server.CommandLine;
using MetaStore.Server.Loading;
using MetaStore.Server.Output;
using MetaStore.Server.Serving;
using MetaStore.Server.Transactions;

namespace MetaStore.Fuzz.Targets;

/// <summary>The small languages of the command line: each text means something or is refused, and what it means, written down, means the same. Input: kind u8, text.</summary>
internal sealed class TextTarget : FuzzTarget
{
    private static readonly Func<ReadOnlyMemory<byte>, string>[] s_kinds = [Txn, QuotedWords, Span, Arguments, Endpoint, Url, Cluster, Line, Lease, Retention, Escape];

    public override string Name => "texts";

    public override int BytesMax => 1024;

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "mod(\"a\") > \"0\"\n", "value(\"", "\")", " = ", "\n\n", "put ", "get ", "del ", "--prefix", "--lease=", "--limit=", "--from-key", "\"", "'", "\\x41", "\\u00e9", "\\U0001F600", "\\777", "\\", "http://",
            "https://", "127.0.0.1:2379", "[::1]:1", ":65536", ",", "=", "\t", "\\n", "ms", "1.5h", "0x",
        }.Select(Encoding.UTF8.GetBytes),
        [0xff], [0], [0xc3],
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        (int Kind, string Text)[] seeds =
        [
            (0, "mod(\"a\") > \"0\"\nvalue(\"b\") = \"x\"\nlease(\"c\") != \"7f\"\n\nput a \"b c\" --lease=7\nget a --prefix --sort-by=key --order=descend\n\ndel a b\n"),
            (1, "put 'a b' \"c\\x41\\n\" --prev-kv"), (2, "a\nb"), (2, "\u00ff"), (3, "put\0größe\0"), (4, "127.0.0.1:2379"), (4, "http://[::1]:2379/"), (5, "http://127.0.0.1:2379,http://[::1]:1"),
            (6, "n1=http://10.0.0.1:2380,n2=http://host:2380"), (7, "key\tvalue\\n\\t\\\\"), (8, "694d5765fc71500b"), (9, "1.5h"), (9, "10000"), (10, "größe\u0001\n\\"),
        ];
        return seeds.Select(seed => (byte[])[(byte)seed.Kind, .. Encoding.UTF8.GetBytes(seed.Text)]);
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        int kind = reader.Byte() % s_kinds.Length;
        try
        {
            return $"{kind} {s_kinds[kind](reader.Rest)}";
        }
        catch (Exception e) when (e is RefusalException or FormatException { Source: "metastore" } or ArgumentException { Source: "MetaStore.Net" })
        {
            FuzzFailure.Unless(e.Message.Length > 0, "a refusal says nothing");
            return $"{kind} {Shape.Of(e)}";
        }
    }

    private static string Txn(ReadOnlyMemory<byte> text)
    {
        TxnRequest txn = TxnText.Parse(text.Span);
        FuzzFailure.Unless(txn.Success.Concat(txn.Failure).All(operation => operation is PutRequest or RangeRequest or DeleteRangeRequest), "an operation is none");
        return $"{Shape.Size(txn.Compare.Count)}{Shape.Size(txn.Success.Count)}{Shape.Size(txn.Failure.Count)} {string.Join(' ', txn.Compare.Take(2).Select(compare => $"{compare.Target}{compare.Relation}"))}";
    }

    private static string QuotedWords(ReadOnlyMemory<byte> text)
    {
        IReadOnlyList<Token> tokens = QuotedText.Split(text.Span);

        // Written with all bytes as escapes, each word is the same word.
        string quoted = string.Join(' ', tokens.Select(token => $"\"{string.Concat(token.Bytes.Select(value => $"\\x{value:x2}"))}\""));
        IReadOnlyList<Token> again = QuotedText.Split(Encoding.ASCII.GetBytes(quoted));
        FuzzFailure.UnlessEqual(Show(tokens), Show(again), "words in quotes are other words");
        return $"{Shape.Size(tokens.Count)} {tokens.Count(token => token.IsQuoted)} {tokens.Count(token => token.IsFlag)}";
    }

    private static string Show(IEnumerable<Token> tokens) => string.Join(',', tokens.Select(token => Convert.ToHexString(token.Bytes)));

    private static string Span(ReadOnlyMemory<byte> text)
    {
        byte flags = text.IsEmpty ? (byte)0 : text.Span[0];
        byte[] key = text[Math.Min(1, text.Length)..].ToArray();
        KeySpan span = KeySpan.Make(key, (flags & 1) != 0 ? [flags] : null, (flags & 2) != 0, (flags & 4) != 0);
        ReadOnlySpan<byte> end = span.End.Span;
        bool isOpen = end is [0];
        FuzzFailure.Unless((flags & 2) == 0 || isOpen || (span.Key.Span.SequenceCompareTo(end) < 0 && !end.StartsWith(span.Key.Span)), "the end of a prefix is not behind it");
        byte[] inside = [.. key, 0xff, 0xff];
        FuzzFailure.Unless((flags & 2) == 0 || isOpen || inside.AsSpan().SequenceCompareTo(end) < 0, "a key with the prefix lies behind its end");
        return $"{flags & 7} {isOpen} {Shape.Size(end.Length)}";
    }

    /// <summary>Arguments as the system has them: bytes, with a zero behind each.</summary>
    private static string Arguments(ReadOnlyMemory<byte> text)
    {
        byte[] commandLine = [.. text.Span, 0];
        List<byte[]> given = [];
        for (int at = 0; at < commandLine.Length;)
        {
            int end = Array.IndexOf(commandLine, (byte)0, at);
            given.Add(commandLine[at..end]);
            at = end + 1;
        }

        string[] decoded = [.. given.Select(Encoding.UTF8.GetString)];
        string[] restored = ArgumentText.Restore(decoded, () => commandLine);
        FuzzFailure.Unless(restored.Length == given.Count, $"{given.Count} arguments are {restored.Length}");
        for (int i = 0; i < given.Count; i++)
        {
            FuzzFailure.UnlessEqual(Convert.ToHexString(given[i]), Convert.ToHexString(ArgumentText.ToBytes(restored[i])), "an argument comes out as other bytes");
        }

        return $"{Shape.Size(given.Count)} {ReferenceEquals(restored, decoded)}";
    }

    private static string Endpoint(ReadOnlyMemory<byte> text)
    {
        EndPoint endpoint = EndpointText.Parse(Encoding.UTF8.GetString(text.Span));
        int port = endpoint is IPEndPoint address ? address.Port : ((DnsEndPoint)endpoint).Port;
        FuzzFailure.Unless(port is >= 1 and <= ushort.MaxValue, $"{endpoint} has port {port}");
        return $"{endpoint.GetType().Name} {endpoint.AddressFamily}";
    }

    private static string Url(ReadOnlyMemory<byte> text)
    {
        IReadOnlyList<HttpUrl> urls = HttpUrl.ParseList("--flag", Encoding.UTF8.GetString(text.Span));
        FuzzFailure.Unless(urls.SequenceEqual(HttpUrl.ParseList("--flag", string.Join(',', urls))), $"{string.Join(',', urls)} are other addresses when they are read again");
        return $"{Shape.Size(urls.Count)} {urls[0].ToRemoteEndPoint().AddressFamily}";
    }

    private static string Cluster(ReadOnlyMemory<byte> text)
    {
        IReadOnlyList<MemberAddress> members = InitialCluster.Parse(Encoding.UTF8.GetString(text.Span));
        string written = string.Join(',', members.Select(member => $"{member.Name}={member.PeerUrl}"));
        FuzzFailure.Unless(members.SequenceEqual(InitialCluster.Parse(written)), $"{written} is another cluster when it is read again");
        return $"{Shape.Size(members.Count)} {ClusterIds.OfCluster("t", members) != 0}";
    }

    private static string Line(ReadOnlyMemory<byte> text)
    {
        LoadLine line = LoadLine.Parse(text.Span, 1);
        byte[] escaped = [.. line.Value.SelectMany(value => value switch { (byte)'\n' => "\\n"u8.ToArray(), (byte)'\t' => "\\t"u8.ToArray(), (byte)'\\' => "\\\\"u8.ToArray(), _ => [value] })];
        LoadLine again = LoadLine.Parse([.. line.Key, (byte)'\t', .. escaped], 1);
        FuzzFailure.UnlessEqual(Convert.ToHexString([.. line.Key, .. line.Value]), Convert.ToHexString([.. again.Key, .. again.Value]), "a line that was read and written is another");
        return $"{Shape.Size(line.Key.Length)} {Shape.Size(line.Value.Length)}";
    }

    private static string Lease(ReadOnlyMemory<byte> text)
    {
        long id = LeaseText.Parse("--lease", Encoding.UTF8.GetString(text.Span));
        FuzzFailure.Unless(LeaseText.Parse("--lease", id.ToString("x", CultureInfo.InvariantCulture)) == id, $"lease {id:x} is another when it is read again");
        return $"{id < 0}";
    }

    private static string Retention(ReadOnlyMemory<byte> text)
    {
        string given = Encoding.UTF8.GetString(text.Span);
        AutoCompactionOptions options = CompactionRetention.Parse(given.Length % 2 == 0 ? CompactionMode.Periodic : CompactionMode.Revision, given);
        options.Validate();
        return $"{Shape.Size(options.RevisionsKept)} {Shape.Size(options.AgeKept.Ticks)}";
    }

    private static string Escape(ReadOnlyMemory<byte> text)
    {
        string escaped = ByteText.Escape(text.Span);
        FuzzFailure.Unless(!escaped.Any(char.IsControl), "what is escaped holds what cannot be printed");
        return $"{Shape.Size(text.Length)} {Shape.Size(escaped.Length)}";
    }
}
