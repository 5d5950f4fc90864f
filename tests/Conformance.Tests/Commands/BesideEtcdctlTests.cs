using MetaStore.Conformance.Tests.Etcd;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Commands;

/// <summary>Commands that both this program and etcdctl have, at the same servers: what they print must be equal, but for numbers, times and ids.</summary>
public sealed class BesideEtcdctlTests
{
    [SkippableTheory]
    [InlineData("endpoint health", "simple json fields table")]
    [InlineData("endpoint health --cluster", "simple")]
    [InlineData("endpoint status", "simple fields table")]
    [InlineData("endpoint status --cluster", "simple table")]
    [InlineData("endpoint hashkv", "simple fields table")]
    [InlineData("endpoint hashkv --rev 2", "simple")]
    [InlineData("alarm list", "simple json")]
    [InlineData("alarm disarm", "simple json")]
    [InlineData("compaction 2 --physical", "simple")]
    [InlineData("get k --prefix", "simple json fields")]
    [InlineData("put k/3 3 --prev-kv", "simple json fields")]
    [InlineData("del missing", "simple json fields")]
    [InlineData("lease list", "simple json fields")]
    public async Task Both_print_the_same(string command, string forms)
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
        foreach (string form in forms.Split(' '))
        {
            string[] words = [.. command.Split(' '), "-w", form];
            (int exitCode, string output, string errors) = await line.AskAsync(words);
            if (words[0] == "compaction")
            {
                // Once is enough: done again it is an error for both.
                Assert.Equal((0, "compacted revision 2\n", string.Empty), (exitCode, output, errors));
                (int again, _, _) = await line.AskAsync(words);
                Assert.Equal(((await line.AskEtcdctlAsync(words)).ExitCode, 1), (again, again));
                continue;
            }

            (int theirExitCode, string theirOutput, string theirErrors) = await line.AskEtcdctlAsync(words);
            Assert.Equal($"{form}: {theirExitCode}\n{Normal(theirOutput + theirErrors)}", $"{form}: {exitCode}\n{Normal(output + errors)}");
        }
    }

    [SkippableFact]
    public async Task Endpoints_that_do_not_answer_are_told_alike()
    {
        Requires.Program("etcdctl", "etcd-client");
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        var line = new CommandLine(server.Endpoint, $"127.0.0.1:{FreePorts.Take(1)[0]}");
        foreach (string[] command in new string[][] { ["endpoint", "health"], ["endpoint", "status"], ["endpoint", "hashkv"], ["defrag"] })
        {
            (int exitCode, string output, string errors) = await line.AskAsync([.. command, "--command-timeout", "500ms"]);
            (int theirExitCode, string theirOutput, string theirErrors) = await line.AskEtcdctlAsync([.. command, "--command-timeout", "500ms"]);
            Assert.Equal((1, 1), (exitCode, theirExitCode));

            // The one that answers is told all the same; of the other, which and that it failed.
            Assert.Single((output + errors).Split('\n'), said => said.StartsWith($"http://{server.Endpoint}", StringComparison.Ordinal) || said.Contains($"[http://{server.Endpoint}]", StringComparison.Ordinal));
            Assert.Equal(FirstWords(theirOutput + theirErrors), FirstWords(output + errors));
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

    /// <summary>What each line is about, in any order.</summary>
    private static string FirstWords(string text) => string.Join(
        '\n',
        text.Split('\n').Select(said => string.Join(' ', said.Split(' ').Take(3))).Where(words => words.Contains("unhealthy", StringComparison.Ordinal) || words.StartsWith("Failed", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
}
