using MetaStore.Conformance.Tests.Etcd;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Commands;

/// <summary>Commands that both this program and etcdctl have, at the same servers: what they print must be equal, but for numbers, times and ids.</summary>
public sealed class BesideEtcdctlTests
{
    /// <summary>Commands, and the formats in which both have them.</summary>
    private static readonly (string Command, string Forms)[] s_commands =
    [
        ("endpoint health", "simple json fields table"),
        ("endpoint health --cluster", "simple"),
        ("endpoint status", "simple fields table"),
        ("endpoint status --cluster", "simple table"),
        ("endpoint hashkv", "simple fields table"),
        ("endpoint hashkv --rev 2", "simple"),
        ("alarm list", "simple json"),
        ("alarm disarm", "simple json"),
        ("get k --prefix", "simple json fields"),
        ("put k/3 3 --prev-kv", "simple json fields"),
        ("del missing", "simple json fields"),
        ("lease list", "simple json fields"),
        ("compaction 3 --physical", "simple"),
    ];

    [SkippableFact]
    public async Task Both_print_the_same()
    {
        Requires.Program("etcdctl", "etcd-client");
        using var directory = new TestDirectory();
        var flags = new EtcdFlags(1);
        await using ServerProcess server = await ServerProcess.StartAsync(flags.Of(0, directory));
        var line = new CommandLine(server.Endpoint);
        await line.RunAsync("put", "k/1", "1");
        await line.RunAsync("put", "k/2", "two\u0001words");
        await line.RunAsync("put", "k/3", "3");
        await Deadline.UntilAsync(async () => (await line.RunAsync("member", "list")).Contains(server.Endpoint, StringComparison.Ordinal), "the member has told its address");
        var differences = new List<string>();
        foreach ((string command, string form) in s_commands.SelectMany(row => row.Forms.Split(' ').Select(form => (row.Command, form))))
        {
            // etcdctl first: what is compacted once cannot be compacted again.
            string[] words = [.. command.Split(' '), "-w", form];
            string[] next = [.. words.Select(word => words[0] == "compaction" && word == "3" ? "4" : word)];
            (int theirExitCode, string theirOutput, string theirErrors) = await line.AskEtcdctlAsync(words);
            (int exitCode, string output, string errors) = await line.AskAsync(next);
            string theirs = $"{theirExitCode}\n{Normal(theirOutput + theirErrors)}";
            string ours = $"{exitCode}\n{Normal(output + errors)}";
            if (ours != theirs)
            {
                differences.Add($"{command} -w {form}\n  etcdctl: {theirs}\n  metastore: {ours}");
            }
        }

        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    [SkippableFact]
    public async Task Endpoints_that_do_not_answer_are_told_alike()
    {
        Requires.Program("etcdctl", "etcd-client");
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        string dead = $"127.0.0.1:{FreePorts.Take(1)[0]}";
        var line = new CommandLine(server.Endpoint, dead);
        foreach (string[] command in new string[][] { ["endpoint", "health"], ["endpoint", "status"], ["endpoint", "hashkv"], ["defrag"] })
        {
            (int exitCode, string output, string errors) = await line.AskAsync([.. command, "--command-timeout", "500ms"]);
            (int theirExitCode, string theirOutput, string theirErrors) = await line.AskEtcdctlAsync([.. command, "--command-timeout", "500ms"]);
            Assert.Equal((1, 1), (exitCode, theirExitCode));

            // The one that answers is told all the same; of the other, which and that it failed.
            Assert.Single((output + errors).Split('\n'), said => said.StartsWith($"http://{server.Endpoint}", StringComparison.Ordinal) || said.Contains($"[http://{server.Endpoint}]", StringComparison.Ordinal));
            Assert.Equal(FirstWords(theirOutput + theirErrors, dead), FirstWords(output + errors, dead));
        }
    }

    [Fact]
    public async Task Version_and_defrag_say_what_there_is_to_say()
    {
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        (int exitCode, string output, _) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "version"]);
        Assert.Equal(0, exitCode);
        Assert.Matches("^metastore version: [0-9.]+\nAPI version: 3.6\n$", output);
        Assert.StartsWith($"Finished defragmenting etcd member[http://{server.Endpoint}]: there is nothing to do", await new CommandLine(server.Endpoint).RunAsync("defrag"));
    }

    [Fact]
    public async Task A_cluster_is_mirrored_into_another()
    {
        using var directory = new TestDirectory();
        await using ServerProcess source = await ServerProcess.StartSingleAsync(directory.Of("source"));
        await using ServerProcess target = await ServerProcess.StartAsync([.. ServerProcess.SingleArguments(directory.Of("target")), "--initial-cluster-token", "other"]);
        var from = new CommandLine(source.Endpoint);
        var to = new CommandLine(target.Endpoint);
        await from.RunAsync("put", "m/1", "a");
        await from.RunAsync("put", "other", "b");
        await using ChildProcess mirror = from.Start("make-mirror", target.Endpoint, "--prefix", "m/", "--dest-prefix", "n/");
        await Deadline.UntilAsync(async () => await to.RunAsync("get", "", "--prefix") == "n/1\na\n", $"the base is mirrored: {mirror.Errors}");
        await from.RunAsync("put", "m/2", "c");
        await from.RunAsync("del", "m/1");
        await Deadline.UntilAsync(async () => await to.RunAsync("get", "", "--prefix") == "n/2\nc\n", $"changes are mirrored: {mirror.Errors}");
        await mirror.SignalAsync("TERM");
        await mirror.WaitForExitAsync();
    }

    [Fact]
    public async Task Checks_pass_or_fail_and_leave_nothing_behind()
    {
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        (int exitCode, string output, string errors) = await line.AskAsync("check", "perf", "--duration", "1s", "--auto-compact");
        Assert.True(exitCode is 0 or 1 && errors.Length == 0, errors);
        Assert.EndsWith(exitCode == 0 ? "\nPASS\n" : "\nFAIL\n", output);
        Assert.Contains("Throughput", output);
        (exitCode, output, errors) = await line.AskAsync("check", "datascale");
        Assert.True(exitCode == 0, output + errors);
        Assert.Matches("^Start data scale check for work load \\[10000 key-value pairs, 1024 bytes per key-value, 50 concurrent clients\\].\nPASS: Approximate system memory used : -?[0-9.]+ MB.\n$", output);
        Assert.Equal("0\n", await line.RunAsync("get", "", "--prefix", "--count-only"));
    }

    private static string Normal(string text) => TwinText.Allowing(TwinText.WithoutChance(text), License.Numbers);

    /// <summary>How the lines begin that are about an endpoint, in any order.</summary>
    private static string FirstWords(string text, string endpoint) => string.Join(
        '\n',
        text.Split('\n').Where(said => said.Contains(endpoint, StringComparison.Ordinal) && !said.StartsWith('{')).Select(said => string.Join(' ', said.Split(' ').Take(3))).Order(StringComparer.Ordinal));
}
