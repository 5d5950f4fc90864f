using System.CommandLine;
using System.Text;
using MetaStore.Fuzz.Running;
using MetaStore.Server;
using MetaStore.Server.CommandLine;
using MetaStore.Server.Etcd;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A command line and the variables beside it: a command line comes out, or a refusal with a message; and the parser says of it what is wrong, or nothing. Input: lines; those with an equals sign
/// behind capitals are variables, the others arguments.
/// </summary>
internal sealed class ArgumentTarget : FuzzTarget
{
    public override string Name => "arguments";

    public override int BytesMax => 1024;

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. EtcdFlag.All.Keys.Order(StringComparer.Ordinal).SelectMany(name => new[] { $"--{name}", $"ETCD_{name.ToUpperInvariant().Replace('-', '_')}=x\n" })
            .Concat(["\n", "=", "--", "-", "serve\n", "get\n", "txn\n", "member\nadd\n", "lease\n", "watch\n", "--prefix", "--endpoints", "false", "@x", "\"", "http://127.0.0.1:2379", "ETCD_SERVICE_PORT=1\n"])
            .Select(Encoding.UTF8.GetBytes),
    ];

    public override IEnumerable<byte[]> Seeds() => new[]
    {
        "--name\nn1\n--data-dir=/d\n-initial-cluster\na=http://h:1", "serve\n--enable-v2\n--max-wals=5", "ETCD_NAME=n1\nETCD_CERT_FILE=", "put\na\nb\n--lease\n7", "get\n--prefix\n--\n--name", "--auto-tls=false",
        "member\nadd\nn2\n--peer-urls=http://h:1", "lease\ngrant\n60", "serve\n--auto-compaction-retention=1h\n--heartbeat-interval\n100", "", "--help",
    }.Select(Encoding.UTF8.GetBytes);

    public override string Run(ReadOnlyMemory<byte> input)
    {
        string[] lines = Encoding.UTF8.GetString(input.Span).Split('\n');
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        var arguments = new List<string>();
        foreach (string line in lines.Where(line => !line.Contains("config-file", StringComparison.Ordinal) && !line.Contains("CONFIG_FILE", StringComparison.Ordinal)))
        {
            int equals = line.IndexOf('=');
            if (equals > 0 && !line.AsSpan(0, equals).ContainsAnyExcept("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"))
            {
                variables[line[..equals]] = line[(equals + 1)..];
            }
            else if (line.Length > 0)
            {
                arguments.Add(line);
            }
        }

        var io = new ProgramIo(Stream.Null, Stream.Null, TextWriter.Null, name => variables.GetValueOrDefault(name)) { VariableNames = variables.Keys };
        try
        {
            EtcdArguments read = EtcdArguments.Read(arguments, io);
            FuzzFailure.Unless(read.Notes.Count == 0 || read.Arguments.Count > 0, "there are notes about nothing");
            ParseResult parsed = MetaStoreProgram.MakeRoot(io, read.Notes).Parse(read.Arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
            string? error = ParseErrorText.Describe(parsed, read.Arguments);
            FuzzFailure.Unless(error is not { Length: 0 }, "an error says nothing");
            return $"{Shape.Size(read.Arguments.Count)} {Shape.Size(read.Notes.Count)} {parsed.CommandResult.Command.Name} {Shape.Of(error ?? "well")}";
        }
        catch (RefusalException e)
        {
            FuzzFailure.Unless(e.Message.Length > 0 && e.ExitCode == ExitCode.Usage, $"a refusal says nothing, or ends with {e.ExitCode}");
            return Shape.Of(e.Message);
        }
    }
}
