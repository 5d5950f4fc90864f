using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace MetaStore.Tidy;

/// <summary>The house rules, as tests; and for each rule the proof that it can fire.</summary>
public class TidyTests
{
    /// <summary>Who may reference whom. The direction never turns: Raft and Wal know nobody.</summary>
    private static readonly Dictionary<string, string[]> s_allowedReferences = new(StringComparer.Ordinal)
    {
        ["src/Raft"] = [],
        ["src/Wal"] = [],
        ["src/Engine"] = ["Raft", "Wal"],
        ["src/Net"] = ["Engine"],
        ["src/Etcd"] = ["Engine"],
        ["src/Server"] = ["Engine", "Net", "Etcd"],
    };

    public static TheoryData<string> RuleNames => [.. Rules.All.Select(r => r.Name)];

    public static TheoryData<string> SourceProjects => [.. SourceTree.Projects.Where(p => p.IsUnder("src")).Select(p => p.Path)];

    [Theory]
    [MemberData(nameof(RuleNames))]
    public void The_tree_keeps_the_rule(string name)
    {
        Rule rule = Rules.All.Single(r => r.Name == name);
        Assert.NotEmpty(SourceTree.CSharp);
        string[] broken = [.. SourceTree.CSharp.SelectMany(f => rule.Find(f).Select(l => $"{f.Path}:{l.Line}: {name}; instead: {l.Instead}"))];
        Assert.True(broken.Length == 0, string.Join('\n', broken));
    }

    [Theory]
    [MemberData(nameof(RuleNames))]
    public void The_rule_fires_on_what_breaks_it_and_only_there(string name)
    {
        Rule rule = Rules.All.Single(r => r.Name == name);
        Assert.NotEmpty(rule.Find(rule.Bad));
        Assert.Empty(rule.Find(rule.Good));
    }

    [Theory]
    [MemberData(nameof(SourceProjects))]
    public void A_project_references_only_those_below_it(string path)
    {
        string folder = Path.GetDirectoryName(path)!.Replace('\\', '/');
        Assert.True(s_allowedReferences.TryGetValue(folder, out string[]? allowed), $"{folder} has no place in the house plan yet");
        Assert.Empty(Forbidden(XDocument.Load(Path.Combine(SourceTree.Root, path)), allowed));
    }

    [Theory]
    [MemberData(nameof(SourceProjects))]
    public void A_built_assembly_references_only_those_below_it(string path)
    {
        string folder = Path.GetDirectoryName(path)!.Replace('\\', '/');
        XDocument project = XDocument.Load(Path.Combine(SourceTree.Root, path));
        string name = project.Descendants("AssemblyName").FirstOrDefault()?.Value ?? Path.GetFileNameWithoutExtension(path);

        // The tidy tests reference the program, so what was built with them stands beside them.
        Assert.Empty(ForbiddenAssemblies(ReferencesOf(Path.Combine(AppContext.BaseDirectory, name + ".dll")), Below(folder)));
    }

    [Fact]
    public void A_built_reference_in_the_wrong_direction_is_found()
    {
        string[] references = ReferencesOf(Path.Combine(AppContext.BaseDirectory, "MetaStore.Net.dll"));
        Assert.Contains("Engine", ForbiddenAssemblies(references, Below("src/Raft")));
        Assert.Contains("Engine", ForbiddenAssemblies(references, Below("src/Wal")));
    }

    [Theory]
    [InlineData("    public void F(in RecordView record)")]
    [InlineData("    private static void Apply(class1 record, int @struct)")]
    public void A_long_method_is_found_whatever_its_parameters_are_called(string signature)
    {
        Rule rule = Rules.All.Single(r => r.Name.StartsWith("A method", StringComparison.Ordinal));
        string body = $"\n    {{\n{new string('\n', 71)}\n    }}";
        Assert.NotEmpty(rule.Find(SourceFile.Of("src/A.cs", signature + body)));
        Assert.Empty(rule.Find(SourceFile.Of("src/A.cs", "    internal readonly record struct View(int A)" + body)));
    }

    [Fact]
    public void A_reference_in_the_wrong_direction_is_found()
    {
        XDocument raft = XDocument.Parse("""<Project><ItemGroup><ProjectReference Include="..\Wal\MetaStore.Wal.csproj" /></ItemGroup></Project>""");
        Assert.Equal(["Wal"], Forbidden(raft, s_allowedReferences["src/Raft"]));
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        string solution = File.ReadAllText(Path.Combine(SourceTree.Root, "MetaStore.Engine.sln")).Replace('\\', '/');
        Assert.All(SourceTree.Projects, p => Assert.Contains(p.Path, solution, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_package_version_is_central()
    {
        Assert.All(SourceTree.Projects, p => Assert.DoesNotContain(p.Lines, l => Regex.IsMatch(l, "PackageReference.*Version=", RegexOptions.None, TimeSpan.FromSeconds(1))));
    }

    /// <summary>All that a project sees: what it references, and what that references.</summary>
    private static string[] Below(string folder) => [.. s_allowedReferences[folder].SelectMany(name => Below("src/" + name).Append(name)).Distinct()];

    private static string[] ReferencesOf(string assembly)
    {
        using var file = new PEReader(File.OpenRead(assembly));
        MetadataReader metadata = file.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }

    private static IEnumerable<string> ForbiddenAssemblies(string[] references, string[] allowed) =>
        references.Where(name => name.StartsWith("MetaStore.", StringComparison.OrdinalIgnoreCase) || name == "metastore")
            .Select(name => name.Split('.')[^1])
            .Where(name => !allowed.Contains(name));

    private static IEnumerable<string> Forbidden(XDocument project, string[] allowed) =>
        project.Descendants("ProjectReference")
            .Select(r => r.Attribute("Include")!.Value.Replace('\\', '/').Split('/')[^2])
            .Where(name => !allowed.Contains(name));
}
