using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Commands;

/// <summary>snapshot save, status and restore.</summary>
public sealed class SnapshotCommandTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_is_saved_under_load_is_restored_as_a_cluster_of_three()
    {
        string file = _directory.Of("saved");
        string[] status;
        var before = new AcknowledgedWrites();
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("source")))
        {
            using var enough = new CancellationTokenSource();
            Task writing = before.WriteAsync(server.Endpoint, writers: 4, valueBytes: 3000, enough.Token);
            await Deadline.UntilAsync(() => before.Count > 1500, "there is something to save");
            await enough.CancelAsync();
            await writing;
            using var stop = new CancellationTokenSource();
            var meanwhile = new AcknowledgedWrites();
            Task load = meanwhile.WriteAsync(server.Endpoint, writers: 4, valueBytes: 3000, stop.Token);
            await Deadline.UntilAsync(() => meanwhile.Count > 20, "somebody writes");
            var line = new CommandLine(server.Endpoint);
            Assert.Equal($"Snapshot saved at {file}\n", await line.RunAsync("snapshot", "save", file));
            await stop.CancelAsync();
            await load;
            Assert.False(File.Exists(file + ".part"));
            status = (await line.RunStatusAsync(file)).Trim().Split(", ");

            // The same hash as the node has at that revision.
            string[] hash = (await line.RunAsync("endpoint", "hashkv", "--rev", status[1])).Trim().Split(", ");
            Assert.Equal(status[0], uint.Parse(hash[1]).ToString("x"));
        }

        var flags = new EtcdFlags(3);
        for (int member = 0; member < 3; member++)
        {
            (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "restore", file, .. RestoreFlags(flags, member)]);
            Assert.True(exitCode == 0, errors);
            Assert.Contains($"members 3, revision {status[1]}, keys {status[2]}", output);
            (exitCode, output, errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "wal", "verify", _directory.Of(EtcdFlags.NameOf(member))]);
            Assert.True(exitCode == 0, output + errors);
        }

        ServerProcess[] servers = await Task.WhenAll(Enumerable.Range(0, 3).Select(member => ServerProcess.StartAsync(flags.Of(member, _directory))));
        try
        {
            var all = new CommandLine([.. flags.Endpoints]);
            await Deadline.UntilAsync(async () => (await all.AskAsync("endpoint", "health")).ExitCode == 0, "the restored cluster is healthy");
            string[] hashes = (await all.RunAsync("endpoint", "hashkv", "--rev", status[1])).Trim().Split('\n');
            Assert.Equal([status[0], status[0], status[0]], hashes.Select(row => uint.Parse(row.Split(", ")[1]).ToString("x")));
            await before.AssertAllThereAsync(flags.Endpoints[1]);
            Assert.Equal("OK\n", await all.RunAsync("put", "after", "restore"));
            Assert.Equal(3, (await all.RunAsync("member", "list")).Trim().Split('\n').Length);
        }
        finally
        {
            foreach (ServerProcess server in servers)
            {
                await server.DisposeAsync();
            }
        }
    }

    [Fact]
    public async Task A_watch_that_resumes_behind_a_bumped_restore_hears_that_history_is_compacted()
    {
        (string file, long revision) = await SavedAsync();
        string[] restore = [.. ProgramPath.Find(), "snapshot", "restore", file, "--data-dir", _directory.Of("restored"), "--bump-revision", "1000000", "--mark-compacted"];
        (int exitCode, string output, string errors) = await ChildProcess.RunAsync(restore);
        Assert.True(exitCode == 0, errors);
        Assert.Contains($"revision {revision + 1_000_000}, keys 2", output);
        await using ServerProcess server = await StartRestoredAsync();
        var line = new CommandLine(server.Endpoint);
        Assert.Equal("a\n2\nb\n3\n", await line.RunAsync("get", "", "--prefix"));

        // It had seen more than was saved.
        (exitCode, _, errors) = await line.AskAsync("watch", "a", "--rev", $"{revision + 50}");
        Assert.Equal(1, exitCode);
        Assert.Contains("compacted", errors);
        (exitCode, _, errors) = await line.AskAsync("get", "a", "--rev", $"{revision}");
        Assert.Equal(1, exitCode);
        Assert.Contains("compacted", errors);

        // Restored into what is there now: refused, and nothing is touched.
        (exitCode, _, errors) = await ChildProcess.RunAsync(restore);
        Assert.Equal((5, $"metastore: --data-dir {_directory.Of("restored")} is not empty; a snapshot is restored into a directory of its own.\n"), (exitCode, errors));
        Assert.Equal("a\n2\n", await line.RunAsync("get", "a"));
    }

    [Fact]
    public async Task The_saved_cluster_and_the_restored_one_know_nothing_of_each_other()
    {
        (string file, _) = await SavedAsync();
        (int exitCode, _, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "restore", file, "--data-dir", _directory.Of("restored")]);
        Assert.True(exitCode == 0, errors);
        await using ServerProcess source = await ServerProcess.StartSingleAsync(_directory.Of("source"));
        await using ServerProcess restored = await StartRestoredAsync();
        (exitCode, _, errors) = await new CommandLine(source.Endpoint, restored.Endpoint).AskAsync("endpoint", "status");
        Assert.True(exitCode == 0, errors);
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [source.Endpoint] });
        await using var other = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [restored.Endpoint] });
        (ResponseHeader one, ResponseHeader two) = ((await client.StatusAsync()).Header, (await other.StatusAsync()).Header);
        Assert.NotEqual(one.ClusterId, two.ClusterId);
        Assert.NotEqual(one.NodeId, two.NodeId);
    }

    [Fact]
    public async Task A_restored_directory_is_refused_to_other_flags()
    {
        (string file, _) = await SavedAsync();
        (int exitCode, _, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "restore", file, "--data-dir", _directory.Of("restored"), "--initial-cluster-token", "t"]);
        Assert.True(exitCode == 0, errors);
        (exitCode, _, errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "serve", .. ServerProcess.SingleArguments(_directory.Of("restored"))]);
        Assert.Equal(3, exitCode);
        Assert.Contains("start it with those it was made with", errors);
        await using ServerProcess server = await ServerProcess.StartAsync([.. ServerProcess.SingleArguments(_directory.Of("restored")), "--initial-cluster-token", "t"]);
        Assert.Equal("a\n2\n", await new CommandLine(server.Endpoint).RunAsync("get", "a"));
    }

    [Fact]
    public async Task A_damaged_snapshot_is_refused_and_the_place_named()
    {
        (string file, _) = await SavedAsync();
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^40] ^= 1;
        File.WriteAllBytes(file, bytes);
        foreach (string[] command in new string[][] { ["snapshot", "status", file], ["snapshot", "restore", file, "--data-dir", _directory.Of("restored")] })
        {
            (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), .. command]);
            Assert.Equal((4, string.Empty), (exitCode, output));
            Assert.StartsWith($"metastore: corruption in {file} at offset ", errors);
        }

        Assert.False(Directory.Exists(_directory.Of("restored")));
        (int missing, _, string reason) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "status", _directory.Of("nothing")]);
        Assert.Equal(5, missing);
        Assert.Contains("No such file", reason);
    }

    [SkippableFact]
    public async Task What_etcdctl_saves_from_this_store_is_restored_as_well()
    {
        Requires.Program("etcdctl", "etcd-client");
        string file = _directory.Of("theirs");
        await using (ServerProcess source = await ServerProcess.StartSingleAsync(_directory.Of("source")))
        {
            var line = new CommandLine(source.Endpoint);
            await line.RunAsync("put", "a", "1");
            (int saved, string output, string complaints) = await line.AskEtcdctlAsync("snapshot", "save", file);
            Assert.True(saved == 0, output + complaints);
            string[] hash = (await line.RunAsync("endpoint", "hashkv")).Trim().Split(", ");
            string[] status = (await line.RunStatusAsync(file)).Trim().Split(", ");
            Assert.Equal((uint.Parse(hash[1]).ToString("x"), "2", "1"), (status[0], status[1], status[2]));
        }

        (int exitCode, _, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "snapshot", "restore", file, "--data-dir", _directory.Of("restored")]);
        Assert.True(exitCode == 0, errors);
        await using ServerProcess server = await StartRestoredAsync();
        Assert.Equal("a\n1\n", await new CommandLine(server.Endpoint).RunAsync("get", "a"));
    }

    /// <summary>A file that cannot be written is named, and what was there before stays.</summary>
    [Fact]
    public async Task A_save_that_fails_leaves_what_was_there()
    {
        await using ServerProcess source = await ServerProcess.StartSingleAsync(_directory.Of("source"));
        var line = new CommandLine(source.Endpoint);
        (int exitCode, _, string errors) = await line.AskAsync("snapshot", "save", _directory.Of("none/file"));
        Assert.Equal(1, exitCode);
        Assert.Contains("none/file.part", errors);
        string file = _directory.Of("kept");
        File.WriteAllText(file, "before");
        await source.StopAsync();
        (exitCode, _, _) = await line.AskAsync("snapshot", "save", file, "--command-timeout", "300ms");
        Assert.Equal((1, "before", false), (exitCode, File.ReadAllText(file), File.Exists(file + ".part")));
    }

    private async Task<(string File, long Revision)> SavedAsync()
    {
        string file = _directory.Of("saved");
        await using ServerProcess source = await ServerProcess.StartSingleAsync(_directory.Of("source"));
        var line = new CommandLine(source.Endpoint);
        await line.RunAsync("put", "a", "1");
        await line.RunAsync("put", "a", "2");
        await line.RunAsync("put", "b", "3");
        await line.RunAsync("snapshot", "save", file);
        Assert.Equal(0, await source.StopAsync());
        return (file, 4);
    }

    /// <summary>With the flags of the restore, whose defaults are those of a server.</summary>
    private Task<ServerProcess> StartRestoredAsync() => ServerProcess.StartAsync(ServerProcess.SingleArguments(_directory.Of("restored")));

    private string[] RestoreFlags(EtcdFlags flags, int member)
    {
        string[] all = flags.Of(member, _directory);
        string Value(string flag) => all[Array.IndexOf(all, flag) + 1];
        return [.. new[] { "--name", "--data-dir", "--initial-cluster", "--initial-cluster-token", "--initial-advertise-peer-urls" }.SelectMany(flag => (string[])[flag, Value(flag)])];
    }
}
