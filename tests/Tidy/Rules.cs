using System.Text.RegularExpressions;

namespace MetaStore.Tidy;

/// <summary>A house rule: what it finds in one file, and two samples that show it works.</summary>
/// <param name="Name">The rule, as a sentence.</param>
/// <param name="Find">The lines that break it (1 is the first), with what to do instead.</param>
/// <param name="Bad">A file that breaks it.</param>
/// <param name="Good">A file that is near to breaking it and does not.</param>
public sealed record Rule(string Name, Func<SourceFile, IEnumerable<(int Line, string Instead)>> Find, SourceFile Bad, SourceFile Good)
{
    public override string ToString() => Name;
}

/// <summary>All house rules on C# files.</summary>
internal static class Rules
{
    private const int FileLinesMax = 800;
    private const int MethodLinesMax = 70;

    /// <summary>The rules' own samples break them.</summary>
    private const string Here = "tests/Tidy/";

    private static readonly Regex s_type = new(@"^\s*(?:[a-z]+\s+)*(?:class|struct|record|interface)\s+\w", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    private static readonly string[] s_core = ["src/Raft", "src/Wal", "src/Engine"];

    public static IReadOnlyList<Rule> All { get; } =
    [
        Banned("A managed flush hides a failed fsync", @"\.Flush\(true\)|flushToDisk|FlushToDisk\(", ["src"], "IDiskFile.SyncData", "s.Flush(true);", "s.Flush();", except: "src/Wal/Native/WindowsFiles.cs"),
        Banned("Nobody sleeps", @"Thread\.Sleep\(|SpinWait\.SpinUntil", ["src"], "a condition and a signal", "Thread.Sleep(1);", "thread.Join();"),
        Banned("Core code starts no tasks", @"Task\.Run\(|Task\.Factory|ThreadPool\.", s_core, "a loop (ILoop)", "Task.Run(F);", "task.Result();"),
        Banned("Raft has no clock, thread, I/O or randomness", @"System\.IO|System\.Net|System\.Threading|DateTime|Stopwatch|TimeProvider|new Random\(|Random\.Shared|\bTask\b|\basync\b|\block\b", ["src/Raft"], "a parameter", "DateTime now;", "int ticks;"),
        Banned("Nothing platform-sized or of platform byte order is written", @"BitConverter\.|MemoryMarshal\.(Cast|AsBytes|Write|Read)\b", ["src"], "BinaryPrimitives", "BitConverter.GetBytes(1);", "BinaryPrimitives.WriteInt32LittleEndian(b, 1);"),
        Banned("Time comes through the seam", @"DateTime(Offset)?\.(Utc)?Now|Environment\.TickCount", ["src/Raft", "src/Wal", "src/Engine", "src/Net"], "TimeProvider", "var t = DateTime.UtcNow;", "var t = time.GetTimestamp();"),
        Banned("Randomness comes from a seed", @"Random\.Shared|new Random\(\)", ["src/Raft", "src/Wal", "src/Engine", "tests/Simulation"], "a generator with a seed that is printed", "Random.Shared.Next();", "random.Next();"),
        Banned("Tests wait for conditions", @"Thread\.Sleep\(", ["tests"], "a condition with a deadline", "Thread.Sleep(100);", "thread.Join();"),
        Banned("unsafe stays in its place", @"\bunsafe\b(?!-)", ["src"], "Span, or a type in src/Engine/Memory", "unsafe void F() { }", "void Safe() { }", except: "src/Engine/Memory/"),
        Banned("Work that is not done is not marked, it is done", @"\b(TODO|FIXME|HACK|XXX)\b|NotImplementedException", ["src", "tests", "bench", "samples"], "the work, or nothing", "// TODO: later", "// Done."),
        Banned("No test is switched off", @"Skip\s*=\s*""", ["tests"], "Skip.If with the package that is missing", "[Fact(Skip = \"flaky\")]", "Skip.If(missing, \"install strace\");"),
        Banned("One class, one file: no partial types", @"\bpartial\s+(class|struct|record|interface)\b", ["src", "tests", "bench", "samples"], "a type of its own", "partial class A { }", "class A { }", except: "src/Wal/Native/|src/Engine/Memory/NativeBlock.cs|src/Engine/Hosting/FutexWord.cs"),
        new(
            $"A file has at most {FileLinesMax} lines",
            file => file.Lines.Length > FileLinesMax ? [(FileLinesMax + 1, "two types, two files")] : [],
            SourceFile.Of("src/A.cs", new string('\n', FileLinesMax + 1)),
            SourceFile.Of("src/A.cs", new string('\n', FileLinesMax - 1))),
        new(
            $"A method has at most {MethodLinesMax} lines",
            LongMethods,
            SourceFile.Of("src/A.cs", $"    public void F()\n    {{\n{new string('\n', MethodLinesMax)}\n    }}"),
            SourceFile.Of("src/A.cs", $"    public void F()\n    {{\n{new string('\n', MethodLinesMax - 10)}\n    }}\n    A a = new(1)\n    {{\n    }};\n{new string('\n', MethodLinesMax)}\n    }}")),
    ];

    private static Rule Banned(string name, string pattern, string[] folders, string instead, string bad, string good, string? except = null)
    {
        var regex = new Regex(pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));
        return new Rule(name, Find, SourceFile.Of($"{folders[0]}/A.cs", bad), SourceFile.Of($"{folders[0]}/A.cs", good));

        IEnumerable<(int Line, string Instead)> Find(SourceFile file)
        {
            bool applies = folders.Any(file.IsUnder) && !file.Path.StartsWith(Here, StringComparison.Ordinal) && (except is null || !except.Split('|').Any(path => file.Path.StartsWith(path, StringComparison.Ordinal)));
            return applies
                ? file.Lines.Select((line, i) => (Line: i + 1, Code: WithoutComment(name, line))).Where(l => regex.IsMatch(l.Code)).Select(l => (l.Line, instead))
                : [];
        }
    }

    /// <summary>Comments may speak of what code may not do; only the rule on unfinished work is about comments.</summary>
    private static string WithoutComment(string rule, string line)
    {
        int comment = line.IndexOf("//", StringComparison.Ordinal);
        bool isInString = comment > 0 && line[..comment].Count(c => c == '"') % 2 == 1;
        return comment < 0 || isInString || rule.StartsWith("Work", StringComparison.Ordinal) ? line : line[..comment];
    }

    private static IEnumerable<(int Line, string Instead)> LongMethods(SourceFile file)
    {
        for (int i = 1; i < file.Lines.Length; i++)
        {
            string line = file.Lines[i];
            string indent = line[..^line.TrimStart().Length];

            // A type's own length is no concern here. The word must stand where a declaration has it: a parameter may be named record.
            bool opensMember = line == indent + "{" && indent.Length > 0 && file.Lines[i - 1].EndsWith(')') && !s_type.IsMatch(file.Lines[i - 1]);

            // An initializer looks the same where it opens, and ends with more than a brace.
            int end = opensMember ? Array.FindIndex(file.Lines, i, l => l.StartsWith(indent + "}", StringComparison.Ordinal)) : -1;
            if (end - i > MethodLinesMax)
            {
                yield return (i, "methods that each do one thing");
            }
        }
    }
}
