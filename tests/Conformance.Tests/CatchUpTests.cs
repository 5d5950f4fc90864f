using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>A member that was away for so long that the log has gone on without it comes back by a snapshot, sent at a limited rate, while the leader takes all the load it can.</summary>
public sealed class CatchUpTests
{
    private const int Writers = 8;
    private const int ValueBytes = 500;

    [Fact]
    public async Task A_member_far_behind_comes_back_under_load_and_the_load_goes_on()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync(
            "--snapshot-count", "50", "--snapshot-catchup-entries", "20", "--snapshot-bytes-per-second", "1000000", "--heartbeat-interval", "40", "--election-timeout", "400");
        int leader = await cluster.FindLeaderAsync();
        int away = (leader + 1) % 3;
        var writes = new AcknowledgedWrites();
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(cluster.Endpoints[leader], Writers, ValueBytes, stop.Token);
        await Deadline.UntilAsync(() => writes.Count >= 100, "something is written");
        ulong held = (await cluster.TryStatusAsync(away))!.LastIndex;
        await cluster.KillAsync(away);

        // Long enough to be missed, for the leader keeps the log for whoever it has heard of lately; then one more snapshot, with which it is cut.
        int enough = writes.Count + 4000;
        await Deadline.UntilAsync(() => writes.Count >= enough, "much is written without the member that is away");
        ulong snapshot = (await cluster.TryStatusAsync(leader))!.SnapshotIndex;
        await Deadline.UntilAsync(async () => await cluster.TryStatusAsync(leader) is { } status && status.SnapshotIndex > Math.Max(snapshot, held + 200), "the log is cut");
        int before = writes.Count;

        await cluster.StartNodeAsync(away);
        await Deadline.UntilAsync(async () => await cluster.TryStatusAsync(away) is { } status && status.SnapshotIndex > held + 100, "a snapshot of the leader is in place");
        ulong target = (await cluster.TryStatusAsync(leader))!.CommitIndex;
        int during = writes.Count;
        await Deadline.UntilAsync(async () => await cluster.TryStatusAsync(away) is { } status && status.AppliedIndex >= target, "it has what was committed since");
        await Deadline.UntilAsync(() => writes.Count >= during + 100, "the load goes on");

        await stop.CancelAsync();
        await writing;
        Assert.True(during > before, "the leader took nothing while it sent the snapshot");
        await cluster.KillAsync((leader + 2) % 3); // So that what it reads is vouched for by itself and the leader.
        await writes.AssertAllThereAsync(cluster.Endpoints[away]);
    }
}
