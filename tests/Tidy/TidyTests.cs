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
        ["src/Server"] = ["Engine", "Net"],
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

    private static IEnumerable<string> Forbidden(XDocument project, string[] allowed) =>
        project.Descendants("ProjectReference")
            .Select(r => r.Attribute("Include")!.Value.Replace('\\', '/').Split('/')[^2])
            .Where(name => !allowed.Contains(name));
}
