using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>
/// The leader's lease (thesis, 6.4.1), with a clock in plain numbers: a lease lasts 100. A read that the lease answers costs no message; one that
/// it must not answer starts a round.
/// </summary>
public sealed class LeaderLeaseTests
{
    private const long Lease = 100;

    private ulong _reads;

    [Fact]
    public void UnderTheLease_AReadCostsNoMessage()
    {
        RaftNode leader = Leader(3);
        Confirm(leader, sentAt: 1000, from: 2);
        leader.SetTime(1000 + Lease - 1);

        Assert.Empty(Read(leader, out bool answered).Messages);
        Assert.True(answered);
    }

    [Fact]
    public void ItCountsFromTheSendingOfTheRound_NotFromTheAnswer()
    {
        RaftNode leader = Leader(3);
        leader.SetTime(1000);
        ulong round = Heartbeat(leader);
        leader.SetTime(1090);
        Answer(leader, 2, round);
        leader.SetTime(1000 + Lease);

        AssertAsks(leader);
    }

    [Fact]
    public void AMajorityMustHaveAnswered()
    {
        RaftNode leader = Leader(5);
        Confirm(leader, sentAt: 1000, from: 2);

        AssertAsks(leader);
        Confirm(leader, sentAt: 1001, from: 3);
        leader.SetTime(1000 + Lease - 1);
        AssertAnswers(leader); // The second round has only 3's answer, but with it the first has a majority.
        leader.SetTime(1000 + Lease);
        AssertAsks(leader);
    }

    [Fact]
    public void AnOnlyVoter_HasTheLeaseByItself()
    {
        RaftNode leader = Leader(1);
        for (int i = 0; i < 10; i++)
        {
            leader.SetTime(1000 + i);
            leader.Tick();
            Drain(leader);
        }

        AssertAnswers(leader);
    }

    [Fact]
    public void AnAnswerToALaterRound_AnswersTheEarlierOnes()
    {
        RaftNode leader = Leader(5);
        leader.SetTime(1000);
        ulong first = Heartbeat(leader);
        leader.SetTime(1050);
        ulong second = Heartbeat(leader);
        Answer(leader, 2, first);
        Answer(leader, 3, second);
        leader.SetTime(1000 + Lease - 1);

        AssertAnswers(leader);
        leader.SetTime(1000 + Lease);
        AssertAsks(leader);
    }

    /// <summary>Members may have other election timeouts than the leader: what each of them promised counts, whatever the leader would.</summary>
    [Theory]
    [InlineData(new long[] { 10, 10 }, 10)]
    [InlineData(new long[] { 10, 40 }, 40)]
    [InlineData(new long[] { 0, 40 }, 40)]
    [InlineData(new long[] { 0, 0 }, 0)]
    [InlineData(new long[] { 10, 20, 30, 40 }, 30)]
    [InlineData(new long[] { 500, 500 }, 500)]
    public void ItLasts_AsLongAsAMajorityPromised(long[] silences, long lasts)
    {
        RaftNode leader = Leader(silences.Length + 1);
        leader.SetTime(1000);
        ulong round = Heartbeat(leader);
        for (int i = 0; i < silences.Length; i++)
        {
            leader.Step(NodeBench.From((ulong)i + 2, MessageKind.HeartbeatReply, 1) with { Round = round, Silence = (ulong)silences[i] });
        }

        if (lasts > 0)
        {
            leader.SetTime(1000 + lasts - 1);
            AssertAnswers(leader);
        }

        leader.SetTime(1000 + lasts);
        AssertAsks(leader);
    }

    [Fact]
    public void OnceLeadershipWasToBeHandedOver_ThereIsNoLeaseInThatTerm()
    {
        RaftNode leader = Leader(3);
        Confirm(leader, sentAt: 1000, from: 2);
        AssertAnswers(leader);

        Assert.True(leader.TransferLeadership(new NodeId(2)));

        AssertAsks(leader);
        for (int i = 0; i < 8; i++)
        {
            leader.Tick();
        }

        Confirm(leader, sentAt: 1050, from: 3);
        AssertAsks(leader);
    }

    /// <summary>The one that was asked may stand at any later time, in the next term: so the leader takes that term itself, and asks nobody whether it may.</summary>
    [Fact]
    public void AHandOverThatFailed_EndsTheTerm_AndTheNextHasALease()
    {
        RaftNode leader = Leader(3);
        Confirm(leader, sentAt: 1000, from: 2);
        Assert.True(leader.TransferLeadership(new NodeId(2)));
        for (int i = 0; i < 10; i++)
        {
            leader.Step(NodeBench.From(3, MessageKind.HeartbeatReply, 1));
            leader.Tick();
        }

        Assert.Equal((Role.Candidate, new Term(2)), (leader.Role, leader.Term));
        PendingAppend vote = leader.TakeReady().Append!;
        leader.Advance(new WriteReceipt(vote.WriteId));
        Assert.All(Drain(leader).Where(message => message.Kind == MessageKind.Vote), message => Assert.True(message.IsTransfer));
        leader.Step(NodeBench.From(3, MessageKind.VoteReply, 2));
        Sync(leader);
        leader.Step(NodeBench.From(3, MessageKind.AppendReply, 2) with { Index = leader.LastIndex });
        Confirm(leader, sentAt: 2000, from: 3);

        AssertAnswers(leader);
    }

    [Fact]
    public void AnotherMembership_WantsAnotherRound()
    {
        RaftNode leader = Leader(3);
        leader.SetTime(1000);
        ulong before = Heartbeat(leader);
        Answer(leader, 2, before);
        AssertAnswers(leader);

        Assert.Equal(MembershipResult.Accepted, leader.ChangeMembership(new Membership([new(1), new(2), new(3), new(4)])));

        AssertAsks(leader);
        Answer(leader, 3, before);
        AssertAsks(leader);
        Confirm(leader, sentAt: 1001, from: 2);
        AssertAsks(leader); // Two of four are no majority.
        Confirm(leader, 1002, 2, 3);
        AssertAnswers(leader);
    }

    /// <summary>The voter that is left stands as soon as it knows that it is the only one, whatever it answered a moment ago.</summary>
    [Fact]
    public void ALeaderThatRemovesItself_HasNoLease_ThoughItGoesOnUntilThatIsCommitted()
    {
        RaftNode leader = Leader(2);
        Confirm(leader, sentAt: 1000, from: 2);
        AssertAnswers(leader);

        Assert.Equal(MembershipResult.Accepted, leader.ChangeMembership(new Membership([new(2)])));
        Confirm(leader, sentAt: 1001, from: 2);

        Assert.Equal(Role.Leader, leader.Role);
        AssertAsks(leader);
    }

    /// <summary>A refusal of another's old request tells it of the term in which a third one stands.</summary>
    [Fact]
    public void WhatAFollowerPromised_HoldsWhateverTermsItHearsOf()
    {
        var follower = new RaftNode(Options(1, 3));
        follower.Step(NodeBench.From(3, MessageKind.Heartbeat, 1) with { Round = 1 });
        follower.Step(NodeBench.From(2, MessageKind.PreVoteReply, 2) with { Reject = true });
        Sync(follower);
        Message vote = NodeBench.From(2, MessageKind.Vote, 2);
        Assert.Equal(new Term(2), follower.Term);
        for (int tick = 0; tick < 10; tick++)
        {
            Assert.False(Grants(follower, vote), $"after {tick} ticks");
            follower.Tick();
        }

        Assert.True(Grants(follower, vote));
    }

    [Fact]
    public void WhatAFollowerPromised_IsNotInTheWayOfWhomTheLeaderAskedToStand()
    {
        var follower = new RaftNode(Options(1, 3));
        follower.Step(NodeBench.From(3, MessageKind.Heartbeat, 1) with { Round = 1 });
        Sync(follower);

        Assert.True(Grants(follower, NodeBench.From(2, MessageKind.Vote, 2) with { IsTransfer = true }));
    }

    [Fact]
    public void AMemberThatRestarts_KeepsSilenceForAnElectionTimeout()
    {
        var restart = new RaftRestart { HardState = new HardState(new Term(3), NodeId.None, LogIndex.Zero) };
        var node = new RaftNode(Options(1, 3), restart);
        var vote = new Message { Kind = MessageKind.Vote, From = new NodeId(2), To = new NodeId(1), Term = new Term(4) };

        for (int i = 0; i < 9; i++)
        {
            node.Tick();
            node.Step(vote);
            Assert.Equal(new Term(3), node.Term);
        }

        node.Tick();
        node.Step(vote);
        Assert.Equal((new Term(4), new NodeId(2)), (node.Term, node.Vote));
    }

    /// <summary>Its settings are others now, and it has heard of a leader since: what the leader was promised before holds all the same.</summary>
    [Fact]
    public void AMemberThatRestartsWithAShorterTimeout_KeepsWhatItPromisedBefore()
    {
        var restart = new RaftRestart { HardState = new HardState(new Term(3), NodeId.None, LogIndex.Zero), SilenceTicks = 25 };
        var node = new RaftNode(Options(1, 3), restart);
        node.Step(NodeBench.From(3, MessageKind.Heartbeat, 3) with { Round = 1 });
        Sync(node);
        Message vote = NodeBench.From(2, MessageKind.Vote, 4);
        for (int tick = 0; tick < 25; tick++)
        {
            Assert.False(Grants(node, vote), $"after {tick} ticks");
            node.Tick();
        }

        Assert.True(Grants(node, vote));
    }

    /// <summary>Its own vote is promised as well.</summary>
    [Fact]
    public void AMemberThatRestartsWithAShorterTimeout_DoesNotStandBefore()
    {
        var node = new RaftNode(Options(1, 3), new RaftRestart { HardState = new HardState(new Term(3), NodeId.None, LogIndex.Zero), SilenceTicks = 25 });
        for (int tick = 1; tick < 25; tick++)
        {
            node.Tick();
            Assert.Equal(Role.Follower, node.Role);
        }

        node.Tick();
        Assert.Equal(Role.PreCandidate, node.Role);
    }

    [Fact]
    public void ALeaderWhoseDiskTakesNothing_StepsDown()
    {
        RaftNode leader = Leader(3);
        leader.Propose(new byte[] { 1 });
        Drain(leader);
        int ticks = 0;
        while (leader.Role == Role.Leader && ticks < 100)
        {
            leader.Tick();
            ticks++;
            ulong round = Drain(leader).Select(message => message.Round).LastOrDefault();
            Answer(leader, 2, round); // The majority is there all the time.
        }

        Assert.InRange(ticks, 10, 12);
    }

    private static RaftOptions Options(ulong id, int size) => new()
    {
        Id = new NodeId(id),
        Voters = [.. Enumerable.Range(1, size).Select(voter => new NodeId((ulong)voter))],
        Seed = 1,
        ReadOrigin = id,
        Silence = Lease,
    };

    /// <summary>A leader whose first entry is committed.</summary>
    private static RaftNode Leader(int size)
    {
        var node = new RaftNode(Options(1, size));
        node.Campaign();
        Sync(node);
        for (ulong voter = 2; voter <= (ulong)size; voter++)
        {
            node.Step(NodeBench.From(voter, MessageKind.PreVoteReply, 1));
        }

        Sync(node);
        for (ulong voter = 2; voter <= (ulong)size; voter++)
        {
            node.Step(NodeBench.From(voter, MessageKind.VoteReply, 1));
        }

        Sync(node);
        for (ulong voter = 2; voter <= (ulong)size; voter++)
        {
            node.Step(NodeBench.From(voter, MessageKind.AppendReply, 1) with { Index = new LogIndex(1) });
        }

        Sync(node);
        Assert.Equal((Role.Leader, new LogIndex(1)), (node.Role, node.CommitIndex));
        return node;
    }

    private static void Sync(RaftNode node)
    {
        while (node.HasReady)
        {
            if (node.TakeReady().Append is { } append)
            {
                node.Advance(new WriteReceipt(append.WriteId));
            }
        }
    }

    private static bool Grants(RaftNode node, Message vote)
    {
        node.Step(vote);
        var sent = new List<Message>();
        while (node.HasReady)
        {
            Ready ready = node.TakeReady();
            sent.AddRange(ready.Messages);
            if (ready.Append is { } append)
            {
                node.Advance(new WriteReceipt(append.WriteId));
            }
        }

        return sent.Exists(message => message is { Kind: MessageKind.VoteReply, Reject: false });
    }

    /// <summary>What the node sends; its disk takes nothing.</summary>
    private static List<Message> Drain(RaftNode node)
    {
        var sent = new List<Message>();
        while (node.HasReady)
        {
            sent.AddRange(node.TakeReady().Messages);
        }

        return sent;
    }

    private static ulong Heartbeat(RaftNode leader)
    {
        Sync(leader);
        leader.Tick();
        return Drain(leader).Last(message => message.Kind == MessageKind.Heartbeat).Round;
    }

    private static void Answer(RaftNode leader, ulong from, ulong round) =>
        leader.Step(NodeBench.From(from, MessageKind.HeartbeatReply, leader.Term.Value) with { Round = round, Silence = Lease });

    private static void Confirm(RaftNode leader, long sentAt, params ulong[] from)
    {
        leader.SetTime(sentAt);
        ulong round = Heartbeat(leader);
        foreach (ulong peer in from)
        {
            Answer(leader, peer, round);
        }
    }

    private Ready Read(RaftNode leader, out bool answered)
    {
        Drain(leader);
        var context = new ReadContext(1, ++_reads);
        Assert.True(leader.RequestRead(context));
        Ready ready = leader.HasReady ? leader.TakeReady() : new Ready();
        answered = ready.Reads.Any(read => read.Context == context);
        return ready;
    }

    private void AssertAnswers(RaftNode leader)
    {
        Read(leader, out bool answered);
        Assert.True(answered);
    }

    private void AssertAsks(RaftNode leader)
    {
        Read(leader, out bool answered);
        Assert.False(answered);
    }
}
