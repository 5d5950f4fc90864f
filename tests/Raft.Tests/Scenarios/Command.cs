namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>A command of a script: a verb, words, and settings of the form name=value.</summary>
internal sealed class Command
{
    private readonly Dictionary<string, string> _settings = [];
    private readonly List<string> _words = [];

    public Command(string text)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Verb = parts[0];
        foreach (string part in parts.Skip(1))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
            {
                _settings[part[..equals]] = part[(equals + 1)..];
            }
            else
            {
                _words.Add(part);
            }
        }
    }

    public string Verb { get; }

    public IReadOnlyList<string> Words => _words;

    public ulong Number(int position) => ulong.Parse(_words[position]);

    public string? Setting(string name) => _settings.GetValueOrDefault(name);

    public int Setting(string name, int otherwise) => _settings.TryGetValue(name, out string? value) ? int.Parse(value) : otherwise;

    /// <summary>The members that the words name; all where there are none.</summary>
    public IEnumerable<ulong> Ids(IEnumerable<ulong> all) => _words.Count == 0 ? all : _words.Select(ulong.Parse);
}
