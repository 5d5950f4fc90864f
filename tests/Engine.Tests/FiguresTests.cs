using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What a node tells of itself in numbers.</summary>
public sealed class FiguresTests
{
    /// <summary>By the leader alone, and however late it is, once for each time that it was.</summary>
    [Fact]
    public void HeartbeatsThatComeLate_AreCounted()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        cluster.Pass(TimeSpan.FromSeconds(3));
        NodeCore leader = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        Assert.Equal(0, leader.Figures().HeartbeatsLate);

        PassAtOnce(TimeSpan.FromMilliseconds(250)); // at least 2.5 intervals since the last
        Assert.Equal(1, leader.Figures().HeartbeatsLate);
        cluster.Pass(TimeSpan.FromSeconds(1));
        PassAtOnce(TimeSpan.FromMilliseconds(700));
        Assert.Equal(2, leader.Figures().HeartbeatsLate);

        cluster.Pass(TimeSpan.FromSeconds(3));
        Assert.Equal(Role.Leader, leader.Node.Status.Role);
        Assert.Equal([0L, 0, 2], cluster.Nodes.Select(node => node.Figures().HeartbeatsLate).Order());

        void PassAtOnce(TimeSpan time)
        {
            cluster.Time.Advance(time);
            cluster.Settle();
        }
    }

    [Fact]
    public void WhoIsAlone_SendsNoHeartbeats()
    {
        using var node = new SteppedNode();
        node.Time.Advance(TimeSpan.FromSeconds(1));
        node.Settle();
        Assert.Equal(0, node.Core.Figures().HeartbeatsLate);
    }

    [Fact]
    public async Task Hashes_AreTimed_ByWhetherARevisionWasAskedFor()
    {
        using var node = new SteppedNode();
        await node.Core.HashAsync(new HashRequest(default));
        await node.Core.HashAsync(new HashRequest(new Revision(1)));
        await node.Core.HashAsync(new HashRequest(new Revision(1)));
        await Assert.ThrowsAsync<MetaStoreException>(() => node.Core.HashAsync(new HashRequest(new Revision(9))).AsTask());

        Assert.Equal((1, 2), (node.Core.Hashes.Counts.Sum(), node.Core.HashesOfRevisions.Counts.Sum()));
    }
}
