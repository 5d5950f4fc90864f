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

    /// <summary>
    /// A leader that is cut off would refuse a change for what another has changed since. The moment of the cut varies, as above.
    /// </summary>
    [Fact]
    public async Task ALeaderThatIsNoneAnyMore_RefusesNothing()
    {
        int askedOfALeader = 0;
        for (int milliseconds = 0; milliseconds < 1000; milliseconds += 100)
        {
            using var cluster = new SteppedCluster(new SnapshotOptions());
            cluster.Pass(TimeSpan.FromMilliseconds(2000 + milliseconds));
            NodeCore former = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
            NodeId self = former.Node.Raft.Id;
            IReadOnlyList<string> urls = MemberTable.From(former.View.Membership).Find(self.Value)!.PeerUrls;
            NodeCore[] others = [.. cluster.Nodes.Where(node => node != former)];
            cluster.IsLost = (to, message) => to == self || message.From == self || to.Value > 3;
            cluster.Await(() => Array.Exists(others, node => node.Node.Raft.Role == Role.Leader), "another leads");
            NodeCore leader = others.First(node => node.Node.Raft.Role == Role.Leader);
            await Answered(cluster, leader.ChangeMembersAsync(new UpdateMember(self.Value, ["http://elsewhere:2380"])));
            askedOfALeader += former.Node.Raft.Role == Role.Leader ? 1 : 0;

            // It takes the address for its own still, and it is free.
            ValueTask<MembersResponse> asked = former.ChangeMembersAsync(new AddMember(urls));
            cluster.Pass(TimeSpan.FromMilliseconds(100));
            Assert.False(asked.IsCompleted, $"answered {milliseconds} ms on");
            cluster.IsLost = (to, _) => to.Value > 3;

            Assert.Equal(urls, (await Answered(cluster, asked)).Members.Single(member => member.IsLearner).PeerUrls);
        }

        Assert.InRange(askedOfALeader, 1, 10);
    }

    /// <summary>What a leader goes by may be a former one's, and be taken back with the next.</summary>
    [Fact]
    public async Task ARefusal_WaitsUntilWhatItGoesByIsCommitted()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore former = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        NodeCore[] others = [.. cluster.Nodes.Where(node => node != former)];
        NodeId heir = others[0].Node.Raft.Id, last = others[1].Node.Raft.Id;
        var addition = new AddMember(["http://newcomer:2380"]);
        cluster.IsLost = (to, message) => to == last || message.From == last || to.Value > 3 || message.Kind == MessageKind.AppendReply;
        ValueTask<MembersResponse> first = former.ChangeMembersAsync(addition);
        cluster.Await(() => others[0].Node.Raft.Membership.Learners.Count == 1, "the heir has the addition in its log");

        // The heir is elected by the last one's vote, which gets none of its entries.
        cluster.IsLost = (to, message) => to == former.Node.Raft.Id || message.From == former.Node.Raft.Id || to.Value > 3 || (to == last && message.Kind == MessageKind.Append);
        cluster.Await(() => others[0].Node.Raft.Role == Role.Leader, "the heir leads");
        Assert.True(others[0].Node.Raft.MembershipIndex > others[0].Node.Raft.CommitIndex);
        ValueTask<MembersResponse> second = others[0].ChangeMembersAsync(addition);
        cluster.Pass(TimeSpan.FromMilliseconds(300));
        Assert.False(second.IsCompleted);
        Assert.False(others[0].Node.Raft.IsMembershipSettled);

        cluster.IsLost = (to, _) => to.Value > 3;
        MetaStoreException told = await Assert.ThrowsAsync<MetaStoreException>(() => Answered(cluster, second));
        Assert.Equal(MetaStoreError.PeerUrlsExist, told.Error);
        Assert.Single((await Answered(cluster, first)).Members, member => member.IsLearner);
    }

    /// <summary>The message may come twice; what the second is refused for is what the first has done.</summary>
    [Fact]
    public async Task ARequestThatComesTwice_IsCarriedOutOnce()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore leader = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        NodeCore asked = cluster.Nodes.First(node => node != leader);
        Message? request = null;
        cluster.IsLost = (to, message) =>
        {
            request = message.Kind == MessageKind.Forward ? message : request;
            return to.Value > 3 || message.Kind == MessageKind.ForwardReply;
        };
        ValueTask<MembersResponse> answer = asked.ChangeMembersAsync(new AddMember(["http://newcomer:2380"]));
        cluster.Await(() => request is not null, "the request is on its way");
        leader.Receive(NodeCore.Group, request!);
        int refusals = 0;
        cluster.IsLost = (to, message) =>
        {
            refusals += message.Kind == MessageKind.ForwardReply && ForwardCodec.DecodeReply(message.Chunk).Reply.Error is not null ? 1 : 0;
            return to.Value > 3;
        };
        cluster.Pass(TimeSpan.FromSeconds(3));

        Assert.Single((await Answered(cluster, answer)).Members, member => member.IsLearner);
        Assert.Equal(0, refusals);
    }

    /// <summary>Who is no leader any more must not say that nothing was done: it has done the first half itself.</summary>
    [Fact]
    public async Task ARequestThatComesAgainToTheFormerLeader_IsNotRefused()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore former = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        NodeCore[] others = [.. cluster.Nodes.Where(node => node != former)];
        Message? request = null;
        cluster.IsLost = (to, message) =>
        {
            request = message.Kind == MessageKind.Forward ? message : request;
            return to.Value > 3 || message.Kind == MessageKind.AppendReply;
        };
        ValueTask<MembersResponse> answer = others[0].ChangeMembersAsync(new AddMember(["http://newcomer:2380"]));
        cluster.Await(() => others.All(node => node.Node.Raft.Membership.Learners.Count == 1), "all have the addition in their logs");
        cluster.IsLost = (to, message) => to == former.Node.Raft.Id || message.From == former.Node.Raft.Id || to.Value > 3;
        cluster.Await(() => Array.Exists(others, node => node.Node.Raft.Role == Role.Leader), "another leads");
        int refusals = 0;
        cluster.IsLost = (to, message) =>
        {
            refusals += message.Kind == MessageKind.ForwardReply && ForwardCodec.DecodeReply(message.Chunk).Reply.Error is not null ? 1 : 0;
            return to.Value > 3;
        };
        cluster.Await(() => former.Node.Raft.Role == Role.Follower, "the former leader follows");
        former.Receive(NodeCore.Group, request!);
        cluster.Pass(TimeSpan.FromSeconds(1));

        Assert.Single((await Answered(cluster, answer)).Members, member => member.IsLearner);
        Assert.Equal(0, refusals);
    }

    /// <summary>Of what was refused once, since whoever got it did not lead, nothing is made when it comes again, though it leads by then.</summary>
    [Fact]
    public async Task ARequestThatComesAgainToTheNextLeader_IsNotCarriedOut()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions());
        NodeCore leader = cluster.Nodes[(int)cluster.Nodes[0].Node.Status.Leader.Value - 1];
        NodeCore[] others = [.. cluster.Nodes.Where(node => node != leader)];
        Message? request = null;
        cluster.IsLost = (to, message) =>
        {
            request = message.Kind == MessageKind.Forward ? message : request;
            return to.Value > 3 || message.Kind == MessageKind.Forward;
        };
        Task<MembersResponse> answer = others[0].ChangeMembersAsync(new AddMember(["http://newcomer:2380"])).AsTask();
        cluster.Await(() => request is not null, "the request is on its way");
        others[1].Receive(NodeCore.Group, request!);
        cluster.Await(() => answer.IsCompleted, "the request is refused");
        Assert.Equal(MetaStoreError.NoLeader, (await Assert.ThrowsAsync<MetaStoreException>(() => answer)).Error);

        cluster.IsLost = (to, _) => to.Value > 3;
        await Answered(cluster, leader.MoveLeaderAsync(others[1].Node.Raft.Id.Value));
        others[1].Receive(NodeCore.Group, request!);
        cluster.Pass(TimeSpan.FromSeconds(2));

        Assert.Equal(Role.Leader, others[1].Node.Raft.Role);
        Assert.Empty(others[1].Node.Raft.Membership.Learners);
    }

    private static async Task<MembersResponse> Answered(SteppedCluster cluster, ValueTask<MembersResponse> asked)
    {
        Task<MembersResponse> answer = asked.AsTask();
        cluster.Await(() => answer.IsCompleted, "the request is answered");
        return await answer;
    }
}
