using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>A member that is asked to remove itself, and whose own log never tells it that this was done.</summary>
public sealed class OwnRemovalTests
{
    [Fact]
    public async Task ItIsAnswered_WhenAPeerSaysSo_AndTheMemberStopsAfterThat()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeId leader = cluster.Nodes[0].Node.Status.Leader;
        NodeCore asked = cluster.Nodes.First(node => node.Node.Raft.Id != leader);
        NodeId self = asked.Node.Raft.Id;
        cluster.IsLost = (to, _) => to == self;

        ValueTask<MembersResponse> removal = asked.ChangeMembersAsync(new RemoveMember(self.Value));
        cluster.Await(
            () => cluster.Nodes.Where(node => node != asked).All(node => !node.View.Membership.Contains(self)), "the others have removed it");
        Assert.False(removal.IsCompleted);
        asked.ReportRefused(leader, MemberRefusal.Removed, "it was removed");
        cluster.Await(() => removal.IsCompleted, "the request is answered");

        ulong[] left = [.. (await removal).Members.Select(member => member.Id)];
        Assert.Equal([1ul, 2, 3], left.Append(self.Value).Order().ToArray());
        Assert.Null(asked.Failure.Cause);
        Assert.ThrowsAny<Exception>(() => cluster.Await(() => false, "the member stops"));
        Assert.Contains("it was removed", asked.Failure.Cause!.ToString(), StringComparison.Ordinal);
    }
}
