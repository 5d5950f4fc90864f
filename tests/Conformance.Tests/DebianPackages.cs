using System.Text;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>
/// The packages that the machine's apt knows: real records of real sizes. The lines come from the sample script, the expectation is read from
/// apt-cache here, another way, so that the test holds the script, too.
/// </summary>
internal sealed class DebianPackages
{
    private const int RecordsMin = 1000;

    private DebianPackages(IReadOnlyList<byte[]> lines, IReadOnlyDictionary<string, string> expected)
    {
        Lines = lines;
        Expected = expected;
    }

    /// <summary>What "metastore load" reads, line feeds included.</summary>
    public IReadOnlyList<byte[]> Lines { get; }

    /// <summary>What the store must hold.</summary>
    public IReadOnlyDictionary<string, string> Expected { get; }

    public static async Task<DebianPackages> ReadAsync()
    {
        Requires.Program("apt-cache", "apt");
        Requires.Program("awk", "mawk");
        (int exitCode, string lines, string errors) = await ChildProcess.RunAsync(["bash", FindScript()]);
        Assert.Equal((0, string.Empty), (exitCode, errors));
        (_, string records, _) = await ChildProcess.RunAsync(["apt-cache", "dumpavail"]);
        IReadOnlyDictionary<string, string> expected = Parse(records);
        Requires.That(expected.Count >= RecordsMin, "apt (package apt) knows no packages here: run apt-get update");
        return new DebianPackages([.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Encoding.UTF8.GetBytes(line + "\n"))], expected);
    }

    private static Dictionary<string, string> Parse(string records)
    {
        const string Head = "Package: ";
        var packages = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string record in records.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(record => record.Trim('\n')))
        {
            if (record.StartsWith(Head, StringComparison.Ordinal))
            {
                int end = record.IndexOf('\n');
                packages.TryAdd("package/" + record[Head.Length..(end < 0 ? record.Length : end)], record);
            }
        }

        return packages;
    }

    private static string FindScript()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string script = Path.Combine(at.FullName, "samples", "debian-packages.sh");
            if (File.Exists(script))
            {
                return script;
            }
        }

        throw new FileNotFoundException("samples/debian-packages.sh is in no directory above the test's.");
    }
}
