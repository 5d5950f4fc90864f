using MetaStore.Engine;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Three real processes, some sixty thousand real records, and kill -9 for each of the three while the records come in.</summary>
public sealed class DebianClusterTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    [SkippableFact]
    public async Task Every_record_is_on_every_node_whoever_was_killed()
    {
        DebianPackages packages = await DebianPackages.ReadAsync();
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        await using ChildProcess load = ChildProcess.Start(
            [.. ProgramPath.Find(), "load", "--endpoints", string.Join(',', cluster.Endpoints), "--command-timeout", "2s", "--retry-time", "2m"]);
        int quarter = packages.Lines.Count / 4;
        int leader = await cluster.FindLeaderAsync();
        int[] victims = [leader, (leader + 1) % 3, (leader + 2) % 3];
        for (int part = 0; part < victims.Length; part++)
        {
            // The records keep coming while the node is killed, and while it is away.
            Task feeding = FeedAsync(load, packages.Lines.Skip(part * quarter).Take(quarter));
            await WaitForKeysAsync(cluster, load, (part * quarter) + (quarter / 2));
            await cluster.KillAsync(victims[part]);
            await WaitForKeysAsync(cluster, load, (part * quarter) + (quarter * 3 / 4));
            await cluster.StartNodeAsync(victims[part]);
            await feeding;
            await WaitUntilCaughtUpAsync(cluster, victims[part]);
        }

        await FeedAsync(load, packages.Lines.Skip(victims.Length * quarter));
        load.Input.Close();
        int exitCode = await load.WaitForExitAsync(s_patience);
        Assert.True(exitCode == 0, load.Errors);
        Assert.StartsWith($"{packages.Expected.Count} records, ", load.Output);
        await AssertEqualAsync(cluster, packages);
        Assert.All(await cluster.StopAllAsync(), code => Assert.Equal(0, code));
    }

    private static async Task FeedAsync(ChildProcess load, IEnumerable<byte[]> lines)
    {
        foreach (byte[] line in lines)
        {
            await load.Input.WriteAsync(line);
        }

        await load.Input.FlushAsync();
    }

    private static Task WaitForKeysAsync(ProcessCluster cluster, ChildProcess load, int keys) => Deadline.UntilAsync(
        async () =>
        {
            Assert.False(load.HasExited, $"the load ended: {load.Errors}");
            StatusResponse?[] all = await Task.WhenAll(Enumerable.Range(0, 3).Select(cluster.TryStatusAsync));
            return all.Max(status => status?.KeyCount ?? 0) >= keys;
        },
        $"{keys} keys are stored",
        s_patience);

    private static Task WaitUntilCaughtUpAsync(ProcessCluster cluster, int node) => Deadline.UntilAsync(
        async () =>
        {
            StatusResponse?[] all = await Task.WhenAll(Enumerable.Range(0, 3).Select(cluster.TryStatusAsync));
            ulong committed = all.Max(status => status?.CommitIndex ?? 0);
            return committed > 0 && all[node]?.AppliedIndex >= committed;
        },
        $"node {node} has applied what the others have",
        s_patience);

    private static async Task AssertEqualAsync(ProcessCluster cluster, DebianPackages packages)
    {
        var hashes = new List<HashResponse>();
        Revision revision = (await cluster.Node(0).RangeAsync(new RangeRequest { Key = "package/0ad"u8.ToArray() })).Header.Revision;
        for (int node = 0; node < 3; node++)
        {
            await WaitUntilCaughtUpAsync(cluster, node);
            IReadOnlyDictionary<string, string> found = await StoreReading.ReadAllAsync(cluster.Node(node), "package/", serializable: true);
            Assert.Equal(packages.Expected.Count, found.Count);
            string[] wrong = [.. packages.Expected.Where(pair => !found.TryGetValue(pair.Key, out string? value) || value != pair.Value).Select(pair => pair.Key)];
            Assert.True(wrong.Length == 0, $"node {node}: {wrong.Length} records differ from the input, the first is {wrong.FirstOrDefault()}");
            hashes.Add(await cluster.Node(node).HashAsync(new HashRequest(revision)));
        }

        Assert.All(hashes, hash => Assert.Equal((hashes[0].Hash, revision, hashes[0].CompactRevision), (hash.Hash, hash.HashRevision, hash.CompactRevision)));
    }
}
