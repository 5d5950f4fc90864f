using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>
/// Runs the scripts in testdata. Set METASTORE_REWRITE=1 to write the actual output into them; commit only what you understand.
/// </summary>
public sealed class ScenarioTests
{
    private static readonly IVerbs[] Families = [new ClusterVerbs(), new DriveVerbs(), new DeliveryVerbs(), new SnapshotVerbs(), new ShowVerbs()];

    public static TheoryData<string> Scripts => [.. Directory.GetFiles(Folder(), "*.txt").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Scripts))]
    public void Script(string name)
    {
        string path = Path.Combine(Folder(), name + ".txt");
        string text = File.ReadAllText(path);
        var cluster = new ScenarioCluster();
        string actual = ScenarioFile.Rewrite(text, step => Run(cluster, step));
        if (Environment.GetEnvironmentVariable("METASTORE_REWRITE") == "1")
        {
            File.WriteAllText(path, actual);
            return;
        }

        Assert.Equal(text, actual);
    }

    [Fact]
    public void AScriptWithAWrongExpectation_IsNoticed()
    {
        const string text = "# Heading\nadd-nodes 1\n----\nok\n\nstatus\n----\n1 Leader of the world\n";
        var cluster = new ScenarioCluster();

        string actual = ScenarioFile.Rewrite(text, step => Run(cluster, step));

        Assert.Equal("# Heading\nadd-nodes 1\n----\nok\n\nstatus\n----\n1 Follower term=0 vote=0 leader=0 last=0 durable=0 commit=0 applied=0\n", actual);
    }

    private static string Run(ScenarioCluster cluster, ScenarioStep step)
    {
        cluster.Output.Clear();
        var command = new Command(step.Command);
        try
        {
            if (!Families.Any(family => family.TryRun(cluster, command)))
            {
                cluster.Print($"line {step.Line}: there is no command {command.Verb}");
            }

            cluster.Checker.Check();
            cluster.Checker.CheckLogMatching();
        }
        catch (Exception violation) when (violation is SafetyViolation or InvariantException)
        {
            cluster.Print("VIOLATION: " + violation.Message);
        }

        return cluster.Output.Length == 0 ? "ok\n" : cluster.Output.ToString();
    }

    /// <summary>Found from the output folder: a deterministic build knows no source paths.</summary>
    private static string Folder()
    {
        string? root = AppContext.BaseDirectory;
        while (root is not null && !File.Exists(Path.Combine(root, "MetaStore.Engine.sln")))
        {
            root = Path.GetDirectoryName(root);
        }

        return Path.Combine(root ?? throw new DirectoryNotFoundException("MetaStore.Engine.sln is in no folder above the tests."), "tests", "Raft.Tests", "testdata");
    }
}
