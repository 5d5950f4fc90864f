using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>
/// Groups that sleep while they have nothing to do. An election timeout is 10 ticks, and a leader puts its group to sleep at the second quorum
/// check in a row between which nothing happened.
/// </summary>
public sealed class QuiescenceTests
{
    private const int ElectionTicks = 10;

    [Fact]
    public void AnIdleGroup_SendsNothing()
    {
        NodeBench leader = Asleep(3);
        Assert.Equal([2, 3], leader.Sent.Where(message => message.Kind == MessageKind.Quiesce).Select(message => (int)message.To.Value));
        Message quiesce = leader.Sent[^1];
        Assert.Equal((1UL, 1UL, 1UL), (quiesce.Index.Value, quiesce.LogTerm.Value, quiesce.Commit.Value));
        leader.Sent.Clear();

        leader.Tick(1000).Sync();

        Assert.Empty(leader.Sent);
        Assert.Equal((Role.Leader, true), (leader.Node.Role, leader.Node.IsQuiescent));
    }

    [Fact]
    public void AGroupWithoutPeers_Sleeps_AndStillAnswers()
    {
        var alone = new NodeBench(1, quiesces: true);
        alone.Tick(1).Sync().Tick(3 * ElectionTicks).Sync();
        Assert.True(alone.Node.IsQuiescent);

        alone.Node.Propose(new byte[] { 1 });

        Assert.Equal(2, alone.Sync().Committed.Count);
    }

    [Fact]
    public void WithoutTheOption_NobodySleeps()
    {
        NodeBench leader = Settled(3, quiesces: false);
        Idle(leader, 5 * ElectionTicks);
        Assert.False(leader.Node.IsQuiescent);
        NodeBench follower = Follower(quiesces: false).Step(Quiesce(2, 1, 1)).Sync();
        Assert.Equal(MessageKind.HeartbeatReply, Assert.Single(follower.Sent).Kind);
        Assert.False(follower.Node.IsQuiescent);
    }

    [Fact]
    public void AFollowerThatLags_KeepsTheGroupAwake()
    {
        NodeBench leader = Settled(3);
        leader.Node.Propose(new byte[] { 1 });
        leader.Sync().Step(Acknowledge(2, 2)).Sync();
        Assert.Equal(2UL, leader.Node.CommitIndex.Value);

        Idle(leader, 5 * ElectionTicks);
        Assert.False(leader.Node.IsQuiescent);
        leader.Step(Acknowledge(3, 2)).Sync();
        Idle(leader, 2 * ElectionTicks);
        Assert.True(leader.Node.IsQuiescent);
    }

    [Fact]
    public void AReadOrAProposal_BetweenTwoChecks_KeepsTheGroupAwake()
    {
        NodeBench leader = Settled(3);
        for (int i = 0; i < 6; i++)
        {
            Idle(leader, ElectionTicks - 1);
            leader.Node.RequestRead(new ReadContext(1, (ulong)i + 1));
            Idle(leader, 1);
            Assert.False(leader.Node.IsQuiescent);
        }
    }

    [Fact]
    public void AHandOver_AndAReadThatNobodyConfirmed_KeepTheGroupAwake()
    {
        NodeBench leader = Settled(3);
        leader.Node.RequestRead(new ReadContext(1, 1));
        for (int i = 0; i < 4 * ElectionTicks; i++)
        {
            // Peers that live, and whose answers name no read.
            leader.Tick(1).Sync().Step(Reply(2, 0)).Sync();
        }

        Assert.False(leader.Node.IsQuiescent);
        Assert.Empty(leader.Reads);
    }

    [Theory]
    [InlineData("proposal")]
    [InlineData("read")]
    [InlineData("message")]
    [InlineData("transfer")]
    [InlineData("membership")]
    [InlineData("check")]
    [InlineData("campaign")]
    public void WhateverHappens_WakesTheLeader(string what)
    {
        NodeBench leader = Asleep(3);
        leader.Sent.Clear();
        RaftNode node = leader.Node;
        _ = what switch
        {
            "proposal" => node.Propose(new byte[] { 1 }) == ProposeResult.Accepted,
            "read" => node.RequestRead(new ReadContext(1, 1)),
            "message" => leader.Step(Reply(2, 0)) is not null,
            "transfer" => node.TransferLeadership(new NodeId(2)),
            "membership" => node.ChangeMembership(new Membership([new(1), new(2), new(3)], [new(4)])) == MembershipResult.Accepted,
            "check" => node.ProposeStateCheck(new byte[] { 1 }),
            _ => Campaign(node),
        };

        Assert.False(node.IsQuiescent);
        leader.Tick(1).Sync();
        Assert.Superset(
            new HashSet<ulong> { 2, 3 }, leader.Sent.Where(message => message.Kind == MessageKind.Heartbeat).Select(message => message.To.Value).ToHashSet());
        Idle(leader, ElectionTicks - 1);
        Assert.Equal(Role.Leader, node.Role); // Its peers had a whole period to be heard of.
    }

    [Fact]
    public void AFollowerThatStandsWhereTheLeaderSays_SleepsWithoutAWord_AndNeverStands()
    {
        NodeBench follower = Follower().Step(Quiesce(1, 1, 1)).Sync();
        Assert.True(follower.Node.IsQuiescent);
        Assert.Equal(1UL, follower.Node.CommitIndex.Value);

        follower.Tick(1000).Sync();

        Assert.Empty(follower.Sent);
        Assert.Equal((Role.Follower, new NodeId(2)), (follower.Node.Role, follower.Node.Leader));
    }

    [Fact]
    public void ASleeperThatIsWokenBeforeItsDriverLooked_GoesByNoEarlierSilence()
    {
        var follower = new NodeBench(3, new Term(1), log: [1], quiesces: true, lease: 100);
        follower.Step(NodeBench.Append(1, 1, 1)).Sync().Step(Quiesce(1, 1, 1)).Sync();
        Assert.True(follower.Node.IsQuiescent);
        follower.Node.SetLeaderSilence(ElectionTicks);
        follower.Node.Wake();
        follower.Sent.Clear();

        // It promises the leader that came back a whole silence, sleeps again, and is woken in the same turn by one that stands.
        follower.Step(NodeBench.From(2, MessageKind.Heartbeat, 1) with { Round = 7 }).Sync();
        Assert.True(Assert.Single(follower.Sent).Silence > 0);
        follower.Step(Quiesce(1, 1, 1) with { Round = 7 });
        Assert.True(follower.Node.IsQuiescent);
        follower.Sent.Clear();
        follower.Step(NodeBench.From(3, MessageKind.PreVote, 2) with { Index = new LogIndex(1), LogTerm = new Term(1) });
        follower.Step(NodeBench.From(3, MessageKind.Vote, 2) with { Index = new LogIndex(1), LogTerm = new Term(1) }).Sync();

        Assert.DoesNotContain(follower.Sent, message => message.Kind is MessageKind.PreVoteReply or MessageKind.VoteReply);
        Assert.Equal(1UL, follower.Node.Term.Value);
    }

    [Theory]
    [InlineData(2, 1, 2)] // The leader has an entry more.
    [InlineData(1, 2, 1)] // Its last entry is another.
    [InlineData(1, 1, 0)] // It has not committed all: no leader says so, and nobody sleeps on it.
    public void AFollowerThatStandsElsewhere_StaysAwake_AndSaysSo(ulong last, ulong lastTerm, ulong commit)
    {
        NodeBench follower = Follower().Step(Quiesce(last, lastTerm, commit) with { Term = new Term(2) }).Sync();

        Assert.False(follower.Node.IsQuiescent);
        Assert.Equal(MessageKind.HeartbeatReply, Assert.Single(follower.Sent).Kind);
    }

    [Fact]
    public void AFollowerWhoseDiskIsBehind_OrWhoWaitsForARead_StaysAwake()
    {
        NodeBench slow = Follower().Step(NodeBench.Append(1, 1, 1, 1)).Take();
        slow.Sent.Clear();
        slow.Step(Quiesce(2, 1, 2)).Take();
        Assert.False(slow.Node.IsQuiescent);
        Assert.Equal(MessageKind.HeartbeatReply, Assert.Single(slow.Sent).Kind);

        NodeBench reading = Follower();
        Assert.True(reading.Node.RequestRead(new ReadContext(1, 1)));
        Assert.False(reading.Step(Quiesce(1, 1, 1)).Sync().Node.IsQuiescent);
    }

    [Fact]
    public void ALeaderOfAnEarlierTerm_PutsNobodyToSleep_AndLearnsOfTheTerm()
    {
        NodeBench follower = Follower().Step(NodeBench.From(3, MessageKind.Heartbeat, 4)).Sync();
        follower.Sent.Clear();

        follower.Step(Quiesce(1, 1, 1)).Sync();

        Assert.False(follower.Node.IsQuiescent);
        Assert.Equal(4UL, Assert.Single(follower.Sent).Term.Value);
    }

    [Fact]
    public void WhoeverMissedIt_AsksForVotes_AndThatWakesTheOthers_WhoRefuse()
    {
        NodeBench asleep = Follower().Step(Quiesce(1, 1, 1)).Sync();
        NodeBench leader = Asleep(3);
        leader.Sent.Clear();
        Message ask = NodeBench.From(3, MessageKind.PreVote, 2) with { Index = new LogIndex(1), LogTerm = new Term(1) };

        asleep.Step(ask).Sync();
        leader.Step(ask).Sync();

        Assert.Equal((false, false), (asleep.Node.IsQuiescent, leader.Node.IsQuiescent));
        Assert.Empty(asleep.Sent);
        Assert.Empty(leader.Sent);
        leader.Tick(1).Sync();
        Assert.Contains(leader.Sent, message => message.Kind == MessageKind.Heartbeat && message.To == new NodeId(3));
    }

    /// <summary>Else no group would sleep whose members are further apart than a tick.</summary>
    [Fact]
    public void WhatWasOnItsWayWhenTheGroupFellAsleep_WakesNobody()
    {
        NodeBench leader = Asleep(3);
        ulong round = leader.Sent.Last(message => message.Kind == MessageKind.Heartbeat).Round;
        leader.Step(Reply(2, round)).Step(Acknowledge(3, 1)).Sync();
        Assert.True(leader.Node.IsQuiescent);
        Assert.False(leader.Step(Acknowledge(3, 1) with { Reject = true }).Sync().Node.IsQuiescent);

        NodeBench follower = Follower().Step(Quiesce(1, 1, 1) with { Round = 5 }).Sync();
        follower.Step(NodeBench.From(2, MessageKind.Heartbeat, 1) with { Round = 5 }).Step(NodeBench.Append(1, 0, 0, 1)).Step(Quiesce(1, 1, 1) with { Round = 5 }).Sync();
        Assert.True(follower.Node.IsQuiescent);
        Assert.False(follower.Step(NodeBench.From(2, MessageKind.Heartbeat, 1) with { Round = 6 }).Sync().Node.IsQuiescent);
    }

    [Fact]
    public void OnceTheLeadersNodeIsSilent_ASleeperStands_AndVotesForOthers()
    {
        Message ask = NodeBench.From(3, MessageKind.PreVote, 2) with { Index = new LogIndex(1), LogTerm = new Term(1) };
        NodeBench voter = Follower().Step(Quiesce(1, 1, 1)).Sync();
        voter.Node.SetLeaderSilence(ElectionTicks - 1);
        Assert.Empty(voter.Step(ask).Sync().Sent); // The leader was heard of an instant ago, for all a follower may say.
        voter.Tick(1).Step(ask).Sync();
        Assert.Equal((MessageKind.PreVoteReply, false), (Assert.Single(voter.Sent).Kind, voter.Sent[0].Reject));

        NodeBench candidate = Follower().Step(Quiesce(1, 1, 1)).Sync();
        candidate.Node.SetLeaderSilence(ElectionTicks * 1000);
        candidate.Node.Wake();
        candidate.Tick(ElectionTicks).Sync();
        Assert.Contains(candidate.Sent, message => message.Kind == MessageKind.PreVote);
    }

    [Fact]
    public void WokenForAnotherReason_AFollowerWaitsAWholeTimeout()
    {
        NodeBench follower = Follower().Tick(ElectionTicks - 1).Step(Quiesce(1, 1, 1)).Sync();
        follower.Node.Wake();
        follower.Tick(ElectionTicks - 1).Sync();
        Assert.Empty(follower.Sent);
    }

    [Fact]
    public void TheLease_EndsWhileTheGroupSleeps_AndAReadAsks()
    {
        NodeBench leader = Settled(3, lease: 100);
        leader.Node.SetTime(1000);
        Idle(leader, 2 * ElectionTicks);
        Assert.True(leader.Node.IsQuiescent);
        leader.Node.SetTime(1100);
        leader.Sent.Clear();

        leader.Node.RequestRead(new ReadContext(1, 7));

        Assert.Empty(leader.Sync().Reads);
        Assert.Equal(2, leader.Sent.Count(message => message.Kind == MessageKind.Heartbeat));
        Message round = leader.Sent[^1];
        leader.Step(Reply(2, round.Round) with { Context = round.Context }).Sync();
        Assert.Equal(7UL, Assert.Single(leader.Reads).Context.Sequence);
    }

    /// <summary>A leader of term 1 whose first entry everybody has.</summary>
    private static NodeBench Settled(int size, bool quiesces = true, long lease = 0)
    {
        NodeBench leader = new NodeBench(size, quiesces: quiesces, lease: lease).Lead().Sync();
        for (ulong peer = 2; peer <= (ulong)size; peer++)
        {
            leader.Step(Acknowledge(peer, 1)).Sync();
        }

        return leader;
    }

    private static NodeBench Asleep(int size)
    {
        NodeBench leader = Settled(size);
        Idle(leader, 2 * ElectionTicks);
        Assert.True(leader.Node.IsQuiescent);
        return leader;
    }

    /// <summary>Time passes, and the peers answer whatever heartbeat comes.</summary>
    private static void Idle(NodeBench leader, int ticks)
    {
        for (int i = 0; i < ticks; i++)
        {
            int seen = leader.Sent.Count;
            leader.Tick(1).Sync();
            foreach (Message heartbeat in leader.Sent.Skip(seen).Where(message => message.Kind == MessageKind.Heartbeat).ToArray())
            {
                leader.Step(Reply(heartbeat.To.Value, heartbeat.Round) with { Context = heartbeat.Context }).Sync();
            }
        }
    }

    /// <summary>Node 1 as a follower of node 2 in term 1, with one entry, committed as far as it knows to 0.</summary>
    private static NodeBench Follower(bool quiesces = true)
    {
        NodeBench follower = new NodeBench(3, new Term(1), log: [1], quiesces: quiesces).Step(NodeBench.Append(1, 1, 1)).Sync();
        follower.Sent.Clear();
        return follower;
    }

    private static Message Quiesce(ulong last, ulong lastTerm, ulong commit) => NodeBench.From(2, MessageKind.Quiesce, 1) with
    {
        Index = new LogIndex(last),
        LogTerm = new Term(lastTerm),
        Commit = new LogIndex(commit),
    };

    private static Message Acknowledge(ulong peer, ulong index) => NodeBench.From(peer, MessageKind.AppendReply, 1) with { Index = new LogIndex(index) };

    private static Message Reply(ulong peer, ulong round) => NodeBench.From(peer, MessageKind.HeartbeatReply, 1) with { Round = round, Silence = 100 };

    private static bool Campaign(RaftNode node)
    {
        node.Campaign();
        return true;
    }
}
