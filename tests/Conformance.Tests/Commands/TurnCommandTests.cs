using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Commands;

/// <summary>lock and elect, beside etcdctl's.</summary>
public sealed class TurnCommandTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Locks_exclude_those_of_etcdctl(bool oursFirst)
    {
        Requires.Program("etcdctl", "etcd-client");
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        await using ChildProcess holder = oursFirst ? line.Start("lock", "l") : line.StartEtcdctl("lock", "l");
        await SaysAsync(holder, "l/");
        await using ChildProcess waiting = oursFirst ? line.StartEtcdctl("lock", "l") : line.Start("lock", "l");
        await KeysAsync(line, "l/", 2);
        Assert.Equal(string.Empty, waiting.Output);
        await holder.SignalAsync("TERM");
        Assert.Equal(0, await holder.WaitForExitAsync());
        await SaysAsync(waiting, "l/");

        // Both print the key, and nothing for its value.
        Assert.Equal(Normal(holder.Output), Normal(waiting.Output));
        await waiting.SignalAsync("TERM");
        Assert.Equal(0, await waiting.WaitForExitAsync());
        Assert.Equal(string.Empty, await line.RunAsync("get", "l/", "--prefix"));
    }

    [SkippableFact]
    public async Task A_holder_that_is_killed_loses_the_lock()
    {
        Requires.Program("etcdctl", "etcd-client");

        // Not with heartbeats as quick as in other tests: time in which a busy machine lets the leader stand still counts as two of them.
        await using ServerProcess server = await ServerProcess.StartAsync(
            ["--data-dir", _directory.Of("data"), "--listen-client-urls", "http://127.0.0.1:0", "--listen-peer-urls", "http://127.0.0.1:0"]);
        var line = new CommandLine(server.Endpoint);
        await using ChildProcess holder = line.Start("lock", "l", "--ttl", "2");
        await SaysAsync(holder, "l/");
        await using ChildProcess theirs = line.StartEtcdctl("lock", "l");
        await KeysAsync(line, "l/", 2);
        await holder.KillAsync();
        await SaysAsync(theirs, "l/");
        await theirs.SignalAsync("TERM");
        await theirs.WaitForExitAsync();
    }

    [Fact]
    public async Task Who_waits_for_a_lock_can_be_interrupted()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        await using ChildProcess holder = line.Start("lock", "l");
        await SaysAsync(holder, "l/");
        await using ChildProcess waiting = line.Start("lock", "l", "echo", "never");
        await KeysAsync(line, "l/", 2);
        await waiting.SignalAsync("TERM");
        Assert.Equal(1, await waiting.WaitForExitAsync());
        Assert.Equal((string.Empty, "metastore: interrupted before the lock was taken\n"), (waiting.Output, waiting.Errors));
        await KeysAsync(line, "l/", 1);
        await holder.SignalAsync("TERM");
        Assert.Equal(0, await holder.WaitForExitAsync());
        Assert.Equal("found 0 leases\n", await line.RunAsync("lease", "list")); // etcdctl leaves its own to run out.
    }

    [SkippableFact]
    public async Task A_program_runs_while_the_lock_is_held()
    {
        Requires.Program("etcdctl", "etcd-client");
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        string[] printed = ["lock", "l", "printenv", "ETCD_LOCK_KEY"];
        Assert.Equal(Normal((await line.AskEtcdctlAsync(printed)).Output), Normal(await line.RunAsync(printed)));
        string both = await line.RunAsync("lock", "l", "printenv", "ETCD_LOCK_REV", "METASTORE_LOCK_TOKEN");
        Assert.Equal(2, both.Split('\n', StringSplitOptions.RemoveEmptyEntries).Count(number => long.Parse(number) > 1));
        Assert.Equal(7, (await line.AskAsync("lock", "l", "--", "sh", "-c", "exit 7")).ExitCode); // As etcdctl from 3.5 on; the one before ends with 1.
        (int exitCode, _, string errors) = await line.AskAsync("lock", "l", "/nonexistent");
        Assert.Equal(1, exitCode);
        Assert.Contains("cannot run /nonexistent", errors);
        Assert.Equal(string.Empty, await line.RunAsync("get", "l/", "--prefix"));
    }

    [Fact]
    public async Task A_program_is_asked_to_end_with_this_one_and_with_the_lock()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        string[] patient = ["lock", "l", "--ttl", "2", "--", "sh", "-c", "trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done"];
        await using (ChildProcess asked = line.Start(patient))
        {
            await SaysAsync(asked, "up");
            await asked.SignalAsync("TERM");
            Assert.Equal(9, await asked.WaitForExitAsync());
            Assert.Equal("up\nasked\n", asked.Output);
            Assert.Equal(string.Empty, await line.RunAsync("get", "l/", "--prefix"));
        }

        await using ChildProcess losing = line.Start(patient);
        await SaysAsync(losing, "up");
        string lease = (await line.RunAsync("lease", "list")).Split('\n')[1];
        await line.RunAsync("lease", "revoke", lease);
        Assert.Equal(1, await losing.WaitForExitAsync());
        Assert.Equal("up\nasked\n", losing.Output);
        Assert.Equal("metastore: the lock is lost: its lease has ended, and sh with it\n", losing.Errors);
    }

    [Fact]
    public async Task A_lock_whose_lease_is_revoked_ends()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        await using ChildProcess holder = line.Start("lock", "l", "--ttl", "2");
        await using ChildProcess leader = line.Start("elect", "e", "v");
        await SaysAsync(holder, "l/");
        await SaysAsync(leader, "v\n");
        foreach (string lease in (await line.RunAsync("lease", "list")).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..])
        {
            await line.RunAsync("lease", "revoke", lease);
        }

        Assert.Equal(1, await holder.WaitForExitAsync());
        Assert.Equal("metastore: the lock is lost: its lease has ended\n", holder.Errors);
        await leader.SignalAsync("TERM");
        await leader.WaitForExitAsync();
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Elections_go_from_hand_to_hand_with_etcdctls(bool oursFirst)
    {
        Requires.Program("etcdctl", "etcd-client");
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        var line = new CommandLine(server.Endpoint);
        await using ChildProcess ourListener = line.Start("elect", "-l", "e");
        await using ChildProcess theirListener = line.StartEtcdctl("elect", "-l", "e");
        await using ChildProcess first = oursFirst ? line.Start("elect", "e", "one") : line.StartEtcdctl("elect", "e", "one");
        await SaysAsync(first, "one\n");
        await using ChildProcess second = oursFirst ? line.StartEtcdctl("elect", "e", "two") : line.Start("elect", "e", "two");
        await KeysAsync(line, "e/", 2);
        await SaysAsync(ourListener, "one\n");
        await SaysAsync(theirListener, "one\n");
        Assert.Equal(string.Empty, second.Output);
        await first.SignalAsync("TERM");
        Assert.Equal(0, await first.WaitForExitAsync());
        await SaysAsync(second, "two\n");
        await SaysAsync(ourListener, "two\n");
        await SaysAsync(theirListener, "two\n");
        Assert.Equal(theirListener.Output, ourListener.Output);
        await second.SignalAsync("TERM");
        Assert.Equal(0, await second.WaitForExitAsync());
        await ourListener.SignalAsync("TERM");
        Assert.Equal(0, await ourListener.WaitForExitAsync());
        await theirListener.SignalAsync("TERM");
        await theirListener.WaitForExitAsync();
    }

    private static async Task SaysAsync(ChildProcess child, string what)
    {
        await Deadline.UntilAsync(() => child.Output.Contains(what, StringComparison.Ordinal) || child.HasExited, $"it says {what.Trim()}");
        Assert.True(child.Output.Contains(what, StringComparison.Ordinal), $"{what.Trim()}: {child.Output}{child.Errors}");
    }

    private static Task KeysAsync(CommandLine line, string prefix, int count) => Deadline.UntilAsync(
        async () => (await line.RunAsync("get", prefix, "--prefix", "--count-only")).Trim() == count.ToString(), $"{count} keys begin with {prefix}");

    /// <summary>Without the lease, which nobody has chosen.</summary>
    private static string Normal(string text) => System.Text.RegularExpressions.Regex.Replace(text, "l/[0-9a-f]+", "l/…", default, TimeSpan.FromSeconds(1));
}
