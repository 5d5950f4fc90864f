using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>
/// The member that a cluster began with, and whose damaged log ends before it grew: by all that it can read it is alone. Its operator knows better, and says so to the
/// repair and at the start.
/// </summary>
public sealed class FounderRepairTests
{
    private const int Founder = 0;

    [Theory]
    [InlineData(5000)] // what is before it is kept, and names the founder alone
    [InlineData(10)] // in the segment's header: nothing of the log can be read
    public async Task A_damaged_founder_comes_back_to_the_cluster_that_grew(int offset)
    {
        await using var cluster = new GrowingCluster(3);
        await cluster.StartAloneAsync(Founder);
        var writes = new AcknowledgedWrites();
        await WriteAsync(cluster, writes, Founder);
        for (int node = 1; node < cluster.Size; node++)
        {
            await cluster.AddAndStartAsync(node, through: Founder);
            await cluster.AwaitVotersAsync(node + 1, seenBy: Founder);
        }

        await cluster.KillAsync(Founder);
        await WriteAsync(cluster, writes, 1);
        string data = cluster.DataDirectory(Founder);
        string segment = Directory.GetFiles(Path.Combine(data, "wal"), "*.wal").Order(StringComparer.Ordinal).First();
        byte[] bytes = await File.ReadAllBytesAsync(segment);
        bytes[offset] ^= 0xff;
        await File.WriteAllBytesAsync(segment, bytes);

        Assert.Contains("--has-peers", await RepairAsync(4, data));
        Assert.Contains("repaired. Start the member", await RepairAsync(0, data, "--has-peers"));
        (int exitCode, string errors) = await cluster.StartRefusedAsync(Founder, "--initial-cluster", cluster.ClusterText(Founder));
        Assert.Equal(4, exitCode);
        Assert.Contains("there is nobody to mend it from", errors);
        Assert.Contains("--initial-cluster-state existing", errors);
        (exitCode, errors) = await cluster.StartRefusedAsync(Founder, "--initial-cluster-state", "existing", "--initial-cluster", cluster.ClusterText(Founder));
        Assert.Equal(5, exitCode);
        Assert.Contains("--initial-cluster names no other member", errors);

        await cluster.StartJoinedAsync(Founder, 0, 1, 2);
        await Deadline.UntilAsync(() => !File.Exists(Path.Combine(data, "recovering")), "it has caught up", TimeSpan.FromMinutes(1));

        // Its vote counts again: of the others one goes.
        await cluster.KillAsync(2);
        await WriteAsync(cluster, writes, 1);
        await writes.AssertAllThereAsync(cluster.Endpoint(Founder));
    }

    /// <summary>Some puts that are acknowledged.</summary>
    private static async Task WriteAsync(GrowingCluster cluster, AcknowledgedWrites writes, int node)
    {
        int target = writes.Count + 200;
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(cluster.Endpoint(node), writers: 4, valueBytes: 100, stop.Token);
        await Deadline.UntilAsync(() => writes.Count >= target, $"{target} writes are acknowledged", TimeSpan.FromMinutes(1));
        await stop.CancelAsync();
        await writing;
    }

    private static async Task<string> RepairAsync(int expected, string data, params string[] flags)
    {
        (int exitCode, string output, string errors) = await GrowingCluster.RunAsync(["repair", "--data-dir", data, .. flags]);
        Assert.True(exitCode == expected, $"{exitCode}: {output}{errors}");
        return output + errors;
    }
}
