using System.Text;
using MetaStore.Fuzz.Running;
using MetaStore.Server;
using MetaStore.Server.Etcd;

namespace MetaStore.Fuzz.Targets;

/// <summary>A configuration file: its settings come out, or it is refused with a message that names the file.</summary>
internal sealed class ConfigurationTarget : FuzzTarget
{
    private const string File = "etcd.conf.yml";
    private const int AllocationFactor = 2048; // A reader of YAML makes objects of every character's surroundings.

    public override string Name => "configuration";

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "name: ", "data-dir: ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "client-transport-security:\n", "peer-transport-security:\n  ", "&a ", "*a", "<<: ", "|\n", ">\n", "'", "\"", "\\x", "? ", "!!str ",
            "---\n", "...\n", "%YAML 1.2\n", "\t", "null", "~", "#", "\u0085", "\ufeff", "@", "`",
        }.Select(Encoding.UTF8.GetBytes),
        [0xff], [0],
    ];

    public override IEnumerable<byte[]> Seeds() => new[]
    {
        "name: 'n3'\ndata-dir: /var/lib/etcd\nwal-dir:\nsnapshot-count: 5000\nlog-outputs: [stderr, other]\n",
        "client-transport-security:\n  cert-file: /c\n  client-cert-auth: false\npeer-transport-security: {key-file: k}\n",
        "{\"name\": \"n1\", \"initial-cluster\": \"a=http://h:1\", \"listen-client-urls\": [\"http://h:1\", \"http://h:2\"]}",
        "", "- a\n", "a: &x [1, 2]\nb: *x\n", "a: |\n  text\n  more\n",
    }.Select(Encoding.UTF8.GetBytes);

    public override string Run(ReadOnlyMemory<byte> input)
    {
        string text = Encoding.UTF8.GetString(input.Span);
        try
        {
            IReadOnlyList<(string Name, string Value)> settings = AllocationBudget.Hold(input.Length, AllocationFactor, () => EtcdConfigurationFile.Read(File, text));
            FuzzFailure.Unless(settings.All(setting => setting.Name is not null && setting.Value is not null), "a setting has no name or no value");
            return $"{Shape.Size(settings.Count)} {string.Join(' ', settings.Take(3).Select(setting => $"{Shape.Of(setting.Name)}={Shape.Size(setting.Value.Length)}"))}";
        }
        catch (RefusalException e)
        {
            FuzzFailure.Unless(e.Message.StartsWith(File, StringComparison.Ordinal) && e.ExitCode == ExitCode.Usage, $"the refusal does not say what it is about: {e.Message}");
            return Shape.Of(e.Message);
        }
    }
}
