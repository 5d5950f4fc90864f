using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>A member that has lost a part of its log: what it says of itself, and what a leader does not ask of it.</summary>
public sealed class RecoveringMemberTests
{
    private const int ElectionTicks = 10;

    private static readonly NodeId s_recovering = new(2), s_sound = new(3);

    [Fact]
    public void WhateverItAnswers_ItSaysThatItIsRecovering()
    {
        NodeBench member = new NodeBench(3, new Term(5), log: [5], quiesces: true, isRecovering: true).Sync();

        // Of the leader that falls asleep, of one of a former term, and of whoever might lead.
        member.Step(NodeBench.From(2, MessageKind.Quiesce, 5) with { Index = new LogIndex(1), LogTerm = new Term(5), Commit = new LogIndex(1) });
        member.Step(NodeBench.From(3, MessageKind.Heartbeat, 4)).Tick(2 * ElectionTicks).Sync();

        Message[] signs = [.. member.Sent.Where(message => message.Kind == MessageKind.HeartbeatReply)];
        Assert.Equal([2UL, 3UL], signs.Take(2).Select(sign => sign.To.Value));
        Assert.True(signs.Length > 2);
        Assert.All(signs, sign => Assert.True(sign.IsRecovering));
    }

    /// <summary>A refusal would say that it has voted for another: a candidate would stand again soon, and not wait for a voter whose disk is slow.</summary>
    [Fact]
    public void ToARequestForItsVote_ItSaysNothing()
    {
        NodeBench member = new NodeBench(3, new Term(5), log: [5], isRecovering: true).Sync();

        member.Step(NodeBench.From(2, MessageKind.PreVote, 6) with { Index = new LogIndex(1), LogTerm = new Term(5) }).Sync();
        Assert.True(Assert.Single(member.Sent).Reject);
        member.Step(NodeBench.From(2, MessageKind.Vote, 6) with { Index = new LogIndex(1), LogTerm = new Term(5) }).Sync();

        Assert.Single(member.Sent);
        Assert.Equal((Role.Follower, new Term(6)), (member.Node.Role, member.Node.Term));
    }

    [Fact]
    public void ALeaderThatIsGone_IsForgotten_ThoughItMayNotStand()
    {
        NodeBench member = new NodeBench(3, new Term(5), log: [5], isRecovering: true).Step(NodeBench.Append(5, 1, 5)).Sync();
        Assert.Equal(new NodeId(2), member.Node.Leader);

        member.Tick(ElectionTicks - 1).Sync();
        Assert.Equal(new NodeId(2), member.Node.Leader);
        member.Tick(ElectionTicks).Sync();

        Assert.Equal((Role.Follower, NodeId.None, new Term(5)), (member.Node.Role, member.Node.Leader, member.Node.Term));
        Assert.Equal(new NodeId(2), member.Step(NodeBench.Append(5, 1, 5)).Sync().Node.Leader);
    }

    /// <summary>A cluster of one voter: nobody but its learner could think itself alone.</summary>
    [Fact]
    public void ALearner_KeepsTheLeaderThatItHears()
    {
        NodeBench learner = new NodeBench(1, new Term(1)).Step(NodeBench.Append(1, 0, 0) with
        {
            Commit = new LogIndex(1),
            Entries = [new Entry(new Term(1), new LogIndex(1), EntryKind.Membership, MembershipCodec.Encode(new Membership([new NodeId(2)], [new NodeId(1)])))],
        }).Sync();

        learner.Tick(ElectionTicks - 1).Sync();

        Assert.Equal(new NodeId(2), learner.Node.Leader);
    }

    [Fact]
    public void LeadershipIsNotHandedToIt()
    {
        NodeBench leader = LeaderOfThree();

        Assert.False(leader.Node.TransferLeadership(s_recovering));
        Assert.Equal(NodeId.None, leader.Node.Transferee);
        Assert.True(leader.Node.TransferLeadership(s_sound));
    }

    [Fact]
    public void ALeaderThatLeaves_AsksAnother()
    {
        NodeBench leader = LeaderOfThree();

        Assert.Equal(MembershipResult.Accepted, leader.Node.ChangeMembership(new Membership([s_recovering, s_sound])));
        leader.Sync().Step(Acknowledge(2, 2) with { IsRecovering = true }).Step(Acknowledge(3, 2)).Sync();

        Assert.Equal(s_sound, Assert.Single(leader.Sent, message => message.Kind == MessageKind.TimeoutNow).To);
    }

    /// <summary>Node 1, whose first entry both others have; node 2 has lost something before.</summary>
    private static NodeBench LeaderOfThree() => new NodeBench(3).Lead().Sync().Step(Acknowledge(2, 1) with { IsRecovering = true }).Step(Acknowledge(3, 1)).Sync();

    private static Message Acknowledge(ulong peer, ulong index) => NodeBench.From(peer, MessageKind.AppendReply, 1) with { Index = new LogIndex(index) };
}
