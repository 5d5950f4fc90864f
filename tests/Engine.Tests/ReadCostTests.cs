using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What linearizable reads cost the whole cluster, in messages, each of them counted. No time passes, so that no heartbeat is among them.</summary>
public sealed class ReadCostTests
{
    private const int Reads = 1000;

    [Fact]
    public void UnderTheLease_ReadsAtTheLeader_CostNoMessage()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore leader = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];

        Assert.Equal(0, CostOf(cluster, leader));
    }

    [Fact]
    public void AtAFollower_AllThatWaitTogether_CostOneQuestionAndItsAnswer()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore follower = cluster.Nodes.First(node => node.Node.Status.Role == Role.Follower);

        Assert.Equal(2, CostOf(cluster, follower));
    }

    private static long CostOf(SteppedCluster cluster, NodeCore node)
    {
        cluster.Pass(TimeSpan.FromSeconds(5)); // All have told who they are, each by a change of the membership, and the lease counts from the heartbeat behind the last.
        long before = cluster.Sent;
        Task<RangeResponse>[] reads = [.. Enumerable.Range(0, Reads).Select(_ => node.RangeAsync(new RangeRequest { Key = new byte[] { 1 } }).AsTask())];
        cluster.Settle();
        Assert.All(reads, read => Assert.True(read.IsCompletedSuccessfully));
        return cluster.Sent - before;
    }
}
