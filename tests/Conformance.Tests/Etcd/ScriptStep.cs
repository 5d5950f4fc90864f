namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>In what two answers may differ.</summary>
[Flags]
internal enum License
{
    None = 0,

    /// <summary>In any number.</summary>
    Numbers = 1,

    /// <summary>In the order of lines, and of what stands between commas.</summary>
    Order = 2,

    /// <summary>In the words of an error of HTTP, not in its status or code.</summary>
    Words = 4,
}

/// <summary>A request of a script that both get.</summary>
/// <param name="Place">File and line.</param>
/// <param name="Command">Arguments of etcdctl, or method and path of HTTP.</param>
/// <param name="Input">Standard input, or the body.</param>
/// <param name="License">In what the answers may differ.</param>
/// <param name="Theirs">What etcd's answer must contain where the two do differ; null: they must be equal.</param>
/// <param name="Ours">What this store's must contain.</param>
internal sealed record ScriptStep(string Place, string Command, string Input, License License, string? Theirs, string? Ours)
{
    private static readonly string[] s_forms = ["simple", "json", "fields", "table", "protobuf"];

    /// <summary>
    /// Reads a script:
    /// <code>
    /// # a comment
    /// put a 1                       arguments of etcdctl
    /// | what it reads               its standard input
    /// get a -w *                    in all forms of output; -w json,table: in these
    /// [numbers] endpoint status     may differ in numbers; [order]: in the order of lines; [words]: in the words of an error of HTTP
    /// POST /v3/kv/range {"key":""}  method, path and body of HTTP
    /// etcd: …                       the step above has different answers: what etcd's contains,
    /// here: …                       and what this store's contains
    /// </code>
    /// </summary>
    public static IReadOnlyList<ScriptStep> Read(string name)
    {
        var steps = new List<ScriptStep>();
        int number = 0;
        foreach (string line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Etcd", "testdata", name)))
        {
            number++;
            if (line.StartsWith('|'))
            {
                steps[^1] = steps[^1] with { Input = steps[^1].Input + (line.Length > 1 ? line[2..] : string.Empty) + "\n" };
            }
            else if (line.StartsWith("etcd: ", StringComparison.Ordinal))
            {
                steps[^1] = steps[^1] with { Theirs = line[6..] };
            }
            else if (line.StartsWith("here: ", StringComparison.Ordinal))
            {
                steps[^1] = steps[^1] with { Ours = line[6..] };
            }
            else if (line.Length > 0 && line[0] != '#')
            {
                steps.Add(Parse($"{name}:{number}", line));
            }
        }

        return [.. steps.SelectMany(step => step.InAllForms())];
    }

    private static ScriptStep Parse(string place, string line)
    {
        License license = License.None;
        while (line[0] == '[')
        {
            int end = line.IndexOf(']', StringComparison.Ordinal);
            license |= Enum.Parse<License>(line[1..end], ignoreCase: true);
            line = line[(end + 1)..].TrimStart();
        }

        return new ScriptStep(place, line, string.Empty, license, null, null);
    }

    private IEnumerable<ScriptStep> InAllForms()
    {
        Assert.True((Theirs is null) == (Ours is null), $"{Place}: both \"etcd: \" and \"here: \" say in what the answers differ");
        int at = Command.LastIndexOf(" -w ", StringComparison.Ordinal);
        if (at < 0)
        {
            return [this];
        }

        string forms = Command[(at + 4)..];
        return (forms == "*" ? s_forms : forms.Split(',')).Select(form => this with { Command = $"{Command[..at]} -w {form}" });
    }
}
