using MetaStore.Engine.Hosting;
using MetaStore.Engine.Members;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What those are told who ask for a change of the members, where the answer has to come another way than usual.</summary>
public sealed class MembershipAnswerTests
{
    /// <summary>Its own log never tells it, since nobody sends it any more.</summary>
    [Fact]
    public async Task AMemberThatRemovesItself_AnswersWhenAPeerSaysSo_AndStopsAfterThat()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeId leader = cluster.Nodes[0].Node.Status.Leader;
        NodeCore asked = cluster.Nodes.First(node => node.Node.Raft.Id != leader);
        NodeId self = asked.Node.Raft.Id;
        cluster.IsLost = (to, _) => to == self;

        ValueTask<MembersResponse> removal = asked.ChangeMembersAsync(new RemoveMember(self.Value));
        cluster.Await(() => cluster.Nodes.Where(node => node != asked).All(node => !node.View.Membership.Contains(self)), "the others have removed it");
        Assert.False(removal.IsCompleted);
        asked.ReportRefused(leader, MemberRefusal.Removed, "it was removed");
        cluster.Await(() => removal.IsCompleted, "the request is answered");

        ulong[] left = [.. (await removal).Members.Select(member => member.Id)];
        Assert.Equal([1ul, 2, 3], left.Append(self.Value).Order().ToArray());
        Assert.Null(asked.Failure.Cause);
        Assert.ThrowsAny<Exception>(() => cluster.Await(() => false, "the member stops"));
        Assert.Contains("it was removed", asked.Failure.Cause!.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The leader says that it is done; the entry that says so as well goes to those who are left.</summary>
    [Fact]
    public async Task AMemberThatHasItselfRemoved_HearsItFromTheLeader()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeId leader = cluster.Nodes[0].Node.Status.Leader;
        NodeCore asked = cluster.Nodes.First(node => node.Node.Raft.Id != leader);
        NodeId self = asked.Node.Raft.Id;
        cluster.IsLost = (to, message) => to == self && message.Kind != MessageKind.ForwardReply;

        ValueTask<MembersResponse> removal = asked.ChangeMembersAsync(new RemoveMember(self.Value));
        cluster.Await(() => removal.IsCompleted, "the request is answered");

        MembersResponse answer = await removal;
        Assert.Equal(self.Value, answer.MemberId);
        Assert.Equal([1ul, 2, 3], answer.Members.Select(member => member.Id).Append(self.Value).Order().ToArray());
        Assert.True(asked.View.Membership.Contains(self));
    }

    /// <summary>It asked for one thing, and another asked for half of it: what the leader made of its own request it never hears.</summary>
    [Fact]
    public async Task AMemberThatIsRemoved_DoesNotSayThatItWasReplaced()
    {
        const ulong Stranger = 99;
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore leader = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        NodeCore asked = cluster.Nodes.First(node => node != leader);
        NodeId self = asked.Node.Raft.Id;
        cluster.IsLost = (to, _) => to == self;

        ValueTask<MembersResponse> replacement = asked.ChangeMembersAsync(new PromoteMember(Stranger, Replacing: self.Value));
        await Answered(cluster, leader.ChangeMembersAsync(new RemoveMember(self.Value)));
        Assert.False(replacement.IsCompleted);
        asked.ReportRefused(leader.Node.Raft.Id, MemberRefusal.Removed, "it was removed");

        MetaStoreException told = await Assert.ThrowsAsync<MetaStoreException>(() => Answered(cluster, replacement));
        Assert.Equal((MetaStoreError.NoLeader, Outcome.Unknown), (told.Error, told.Outcome));
        Assert.Equal("this member was removed from the cluster; whether 63 took its place the other members tell", told.Message);
    }

    /// <summary>
    /// A leader that is cut off proposes a change; another leads and makes another one, which comes to stand in its place. Whether the former leader still takes itself for one
    /// then depends on when it looked for its majority last, so the moment of the cut varies.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AChangeThatAnotherLeadersReplaced_IsNotSaidToBeDone(bool isRemoval)
    {
        int replacedUnderALeader = 0;
        for (int milliseconds = 0; milliseconds < 1000; milliseconds += 100)
        {
            using var cluster = new SteppedCluster(new SnapshotOptions());
            cluster.Pass(TimeSpan.FromMilliseconds(2000 + milliseconds));
            NodeCore former = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
            NodeId self = former.Node.Raft.Id;
            NodeCore[] others = [.. cluster.Nodes.Where(node => node != former)];
            cluster.IsLost = (to, message) => to == self || message.From == self || to.Value > 3;
            MemberChange change = isRemoval ? new RemoveMember(others[0].Node.Raft.Id.Value) : new AddMember(["http://newcomer:2380"]);
            ValueTask<MembersResponse> asked = former.ChangeMembersAsync(change);
            cluster.Await(() => Array.Exists(others, node => node.Node.Raft.Role == Role.Leader), "another leads");
            NodeCore leader = others.First(node => node.Node.Raft.Role == Role.Leader);
            MembersResponse second = await Answered(cluster, leader.ChangeMembersAsync(new AddMember(["http://other:2380"])));
            replacedUnderALeader += former.Node.Raft.Role == Role.Leader ? 1 : 0;
            cluster.IsLost = (to, _) => to.Value > 3;

            MetaStoreException told = await Assert.ThrowsAsync<MetaStoreException>(() => Answered(cluster, asked));

            Assert.True(told.Error is MetaStoreError.NoLeader or MetaStoreError.Timeout, $"{told.Error}");
            Assert.Equal(second.Members.Select(member => member.Id), MemberTable.From(former.View.Membership).Members.Select(member => member.Id));
        }

        Assert.InRange(replacedUnderALeader, 1, 10);
    }

    /// <summary>
    /// A leader that is cut off is asked for what it still takes for the state of things, while another leads and has made it otherwise. The moment of the cut varies, as above.
    /// </summary>
    [Fact]
    public async Task AChangeOfNothing_IsNotAnsweredByALeaderThatIsNoneAnyMore()
    {
        int askedOfALeader = 0;
        for (int milliseconds = 0; milliseconds < 1000; milliseconds += 100)
        {
            using var cluster = new SteppedCluster(new SnapshotOptions());
            cluster.Pass(TimeSpan.FromMilliseconds(2000 + milliseconds));
            NodeCore former = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
            NodeId self = former.Node.Raft.Id;
            IReadOnlyList<string> before = MemberTable.From(former.View.Membership).Find(self.Value)!.PeerUrls;
            NodeCore[] others = [.. cluster.Nodes.Where(node => node != former)];
            cluster.IsLost = (to, message) => to == self || message.From == self;
            cluster.Await(() => Array.Exists(others, node => node.Node.Raft.Role == Role.Leader), "another leads");
            NodeCore leader = others.First(node => node.Node.Raft.Role == Role.Leader);
            await Answered(cluster, leader.ChangeMembersAsync(new UpdateMember(self.Value, ["http://elsewhere:2380"])));
            askedOfALeader += former.Node.Raft.Role == Role.Leader ? 1 : 0;

            ValueTask<MembersResponse> asked = former.ChangeMembersAsync(new UpdateMember(self.Value, before));
            cluster.Pass(TimeSpan.FromMilliseconds(100));
            Assert.False(asked.IsCompletedSuccessfully, $"answered {milliseconds} ms on");
            cluster.IsLost = (_, _) => false;
            bool isDone = await Record.ExceptionAsync(() => Answered(cluster, asked)) is null;

            // A member that had noticed hands the request on, and then it is done, after the other.
            cluster.AwaitAgreement();
            Assert.Equal(isDone ? before : ["http://elsewhere:2380"], MemberTable.From(former.View.Membership).Find(self.Value)!.PeerUrls);
        }

        Assert.InRange(askedOfALeader, 1, 10);
    }

    private static async Task<MembersResponse> Answered(SteppedCluster cluster, ValueTask<MembersResponse> asked)
    {
        Task<MembersResponse> answer = asked.AsTask();
        cluster.Await(() => answer.IsCompleted, "the request is answered");
        return await answer;
    }
}
