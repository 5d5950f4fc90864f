using System.Text;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>Commands of etcdctl that go on until they are stopped, at etcd and at this store: what they print while the same things happen must be equal.</summary>
public sealed class LiveCommandTests
{
    private static readonly Func<Twin, Task> s_nothing = _ => Task.CompletedTask;

    [SkippableFact]
    public async Task Watches_tell_the_same()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        await DoAsync(twins, "put w/1 a", "put w/1 b", "put w/2 c", "del w/1", "put w/end d");
        foreach (string form in new[] { "simple", "json", "fields" })
        {
            await CompareAsync(twins, $"watch w --prefix --rev 2 --prev-kv -w {form}", output => Events(output, form) == 5, s_nothing);
        }

        await CompareAsync(twins, "watch w/1 w/2 --rev 3", output => output.Contains("DELETE", StringComparison.Ordinal), s_nothing);
        await CompareAsync(twins, "watch w/1 --rev 2 -- printenv ETCD_WATCH_VALUE ETCD_WATCH_KEY ETCD_WATCH_EVENT_TYPE", output => output.Contains("\"DELETE\"", StringComparison.Ordinal), s_nothing);

        // Over a stream that stays open: the word of progress says that the watch is there.
        await CompareAsync(
            twins,
            "watch -i",
            output => output.Contains("n/end", StringComparison.Ordinal),
            twin => ChangeAsync(twin, "put n/1 a", "put n/1 b --prev-kv", "del n/1", "put n/end z"),
            "watch n --prefix --prev-kv\nprogress\n",
            "progress notify");
    }

    [SkippableFact]
    public async Task Watches_that_cannot_be_are_refused_alike()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        await DoAsync(twins, "put a 1", "put a 2", "put a 3", "compaction 4");
        await CompareAsync(twins, "watch a --rev 2", _ => false, s_nothing);
        await CompareAsync(twins, "watch b a", _ => false, s_nothing);
        await CompareAsync(twins, "watch", _ => false, s_nothing);
    }

    [SkippableFact]
    public async Task Locks_and_elections_go_from_hand_to_hand()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        await Task.WhenAll(twins.Both.Select(twin => HandOverAsync(twin, "lock l", "lock l", "l/", "l/")));
        await Task.WhenAll(twins.Both.Select(twin => HandOverAsync(twin, "elect e one", "elect e two", "one\n", "two\n")));
        await CompareAsync(twins, "lock l", output => output.Contains("l/", StringComparison.Ordinal), s_nothing);
        await CompareAsync(twins, "lock l printenv ETCD_LOCK_KEY", _ => false, s_nothing);
        await CompareAsync(twins, "lock l false", _ => false, s_nothing);
        await CompareAsync(twins, "elect e v", output => output.Contains("v\n", StringComparison.Ordinal), s_nothing);

        // Who listens is told of who leads.
        foreach (Twin twin in twins.Both)
        {
            await using ChildProcess leader = twin.Start("elect e heard");
            await using ChildProcess listener = twin.Start("elect -l e");
            await Deadline.UntilAsync(() => listener.Output.Contains("heard", StringComparison.Ordinal), $"{twin.Name} tells who leads: {listener.Errors}");
            await leader.SignalAsync("TERM");
            await leader.WaitForExitAsync();
            await listener.SignalAsync("TERM");
            await listener.WaitForExitAsync();
        }
    }

    [SkippableFact]
    public async Task A_lease_is_kept_alive()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        await Task.WhenAll(twins.Both.Select(twin => twin.AskAsync(Step("POST /v3/lease/grant {\"ID\":\"7\",\"TTL\":\"2\"}"))));
        await DoAsync(twins, "put a 1 --lease 7");
        await CompareAsync(twins, "lease keep-alive 7", output => output.Split('\n').Length > 6, s_nothing, takeLines: 6);
        foreach (Twin twin in twins.Both)
        {
            await Deadline.UntilAsync(async () => await twin.RunAsync("get a", string.Empty) is { Output: "", Errors: "" }, $"the lease of {twin.Name} ends");
        }

        await CompareAsync(twins, "lease keep-alive 7", _ => false, s_nothing);
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task One_is_mirrored_into_the_other(int from)
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        Twin source = twins.Both[from];
        Twin target = twins.Both[1 - from];
        await ChangeAsync(source, "put m/1 a", "put m/2 b", "put other c");
        await using ChildProcess mirror = source.Start($"make-mirror {target.Endpoint} --prefix m/");
        await SameAsync(source, target, mirror);
        await ChangeAsync(source, "put m/1 A", "del m/2", "put m/3 d");
        await SameAsync(source, target, mirror);
        Assert.Equal(string.Empty, (await target.RunAsync("get other", string.Empty)).Output);
        await mirror.SignalAsync("TERM");
        await mirror.WaitForExitAsync();
    }

    [SkippableFact]
    public async Task A_snapshot_is_saved()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        await DoAsync(twins, "put a 1");
        using var directory = new TestDirectory();
        foreach (Twin twin in twins.Both)
        {
            string file = directory.Of(twin.Name);
            (int exitCode, string output, string errors) = await twin.RunAsync($"snapshot save {file}", string.Empty);
            Assert.True(exitCode == 0 && output == $"Snapshot saved at {file}\n", $"{twin.Name}: {exitCode} {output}{errors}");

            // Sectors, and SHA-256 behind them.
            Assert.Equal(32, new FileInfo(file).Length % 512);
        }

        // What this store saves is no file of bbolt.
        Assert.Equal(0, (await twins.Here.RunAsync($"snapshot status {directory.Of("etcd")}", string.Empty)).ExitCode);
        Assert.Contains("invalid database", (await twins.Here.RunAsync($"snapshot status {directory.Of("here")}", string.Empty)).Errors);
    }

    /// <summary>Two want the same; the second gets it when the first goes, and not before.</summary>
    private static async Task HandOverAsync(Twin twin, string first, string second, string firstHas, string secondHas)
    {
        await using ChildProcess holder = twin.Start(first);
        await Deadline.UntilAsync(() => holder.Output.Contains(firstHas, StringComparison.Ordinal), $"{twin.Name}: {first}: {holder.Errors}");
        await using ChildProcess waiting = twin.Start(second);
        string prefix = first.Split(' ')[1] + "/";
        await Deadline.UntilAsync(async () => (await twin.RunAsync($"get {prefix} --prefix --keys-only", string.Empty)).Output.Split(prefix).Length == 3, $"{twin.Name}: both want {prefix}");
        Assert.Equal(string.Empty, waiting.Output);
        await holder.SignalAsync("TERM");
        await holder.WaitForExitAsync();
        await Deadline.UntilAsync(() => waiting.Output.Contains(secondHas, StringComparison.Ordinal), $"{twin.Name}: {second}: {waiting.Errors}");
        await waiting.SignalAsync("TERM");
        await waiting.WaitForExitAsync();
    }

    private static async Task SameAsync(Twin source, Twin target, ChildProcess mirror)
    {
        string expected = (await source.RunAsync("get m/ --prefix", string.Empty)).Output;
        await Deadline.UntilAsync(async () => (await target.RunAsync("get m/ --prefix", string.Empty)).Output == expected, $"{target.Name} mirrors {source.Name}: {mirror.Errors}");
    }

    private static async Task DoAsync(EtcdTwins twins, params string[] commands) => await Task.WhenAll(twins.Both.Select(twin => ChangeAsync(twin, commands)));

    private static async Task ChangeAsync(Twin twin, params string[] commands)
    {
        foreach (string command in commands)
        {
            (int exitCode, string output, string errors) = await twin.RunAsync(command, string.Empty);
            Assert.True(exitCode == 0, $"{twin.Name}: {command}: {output}{errors}");
        }
    }

    private static async Task CompareAsync(
        EtcdTwins twins, string command, Func<string, bool> isEnough, Func<Twin, Task> meanwhile, string input = "", string ready = "", int takeLines = int.MaxValue)
    {
        string[] said = await Task.WhenAll(twins.Both.Select(twin => RunAsync(twin, command, isEnough, meanwhile, input, ready, takeLines)));
        Assert.Equal(said[0], said[1]);
    }

    private static async Task<string> RunAsync(Twin twin, string command, Func<string, bool> isEnough, Func<Twin, Task> meanwhile, string input, string ready, int takeLines)
    {
        await using ChildProcess child = twin.Start(command);
        await child.Input.WriteAsync(Encoding.ASCII.GetBytes(input));
        await child.Input.FlushAsync();
        await Deadline.UntilAsync(() => child.Output.Contains(ready, StringComparison.Ordinal) || child.HasExited, $"{twin.Name}: {command}: {child.Output}{child.Errors}");
        await meanwhile(twin);
        await Deadline.UntilAsync(() => isEnough(child.Output) || child.HasExited, $"{twin.Name}: {command} has said enough");
        if (!child.HasExited)
        {
            await child.SignalAsync("TERM");
        }

        int exitCode = await child.WaitForExitAsync();
        string output = string.Join('\n', child.Output.Split('\n').Take(takeLines));
        return $"exit code {exitCode}\n{twin.Normalize(output)}\n{twin.Normalize(child.Errors)}";
    }

    private static int Events(string output, string form) => form switch
    {
        "json" => output.Split("\"mod_revision\"").Length - 1 - (output.Split("\"prev_kv\"").Length - 1),
        "fields" => output.Split("\"Type\" : ").Length - 1,
        _ => output.Split('\n').Count(line => line is "PUT" or "DELETE"),
    };

    private static ScriptStep Step(string command) => new(nameof(LiveCommandTests), command, string.Empty, License.None, null, null);
}
