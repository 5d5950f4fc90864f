namespace MetaStore.Tidy;

/// <summary>A file of the repository, with its path from the root.</summary>
public sealed record SourceFile(string Path, string[] Lines)
{
    /// <summary>A file for a rule's own test.</summary>
    public static SourceFile Of(string path, string text) => new(path, text.ReplaceLineEndings("\n").Split('\n'));

    public bool IsUnder(string folder) => Path.StartsWith(folder + "/", StringComparison.Ordinal);
}

/// <summary>The files that the rules are about.</summary>
internal static class SourceTree
{
    private static readonly string[] s_roots = ["src", "tests", "bench", "samples"];

    public static string Root { get; } = FindRoot();

    public static IReadOnlyList<SourceFile> CSharp { get; } = Read("*.cs");

    public static IReadOnlyList<SourceFile> Projects { get; } = Read("*.csproj");

    private static SourceFile[] Read(string pattern) =>
    [
        .. s_roots.SelectMany(root => Directory.EnumerateFiles(Path.Combine(Root, root), pattern, SearchOption.AllDirectories))
            .Select(path => (Full: path, Relative: Path.GetRelativePath(Root, path).Replace('\\', '/')))
            .Where(p => !p.Relative.Split('/').Any(part => part is "bin" or "obj"))
            .Select(p => new SourceFile(p.Relative, File.ReadAllLines(p.Full))),
    ];

    private static string FindRoot()
    {
        // Not from the source path, which deterministic builds map away.
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "MetaStore.Engine.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new InvalidOperationException("MetaStore.Engine.sln is in no folder above the tests.");
    }
}
