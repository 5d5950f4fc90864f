using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>
/// A walk through the Raft paper (extended version, 2014): each test cites the section whose sentence it checks. One shape: init,
/// act, check. Pre-vote and the quorum check are of the thesis (9.6 and 6.2).
/// </summary>
public sealed class RaftPaperTests
{
    /// <summary>5.1: "If one server's current term is smaller than the other's, then it updates its current term to the larger value."</summary>
    [Theory]
    [InlineData(MessageKind.Append)]
    [InlineData(MessageKind.Heartbeat)]
    [InlineData(MessageKind.VoteReply)]
    [InlineData(MessageKind.AppendReply)]
    public void Section51_AHigherTerm_IsTakenOver(MessageKind kind)
    {
        NodeBench bench = new NodeBench(3, new Term(1)).Lead();

        bench.Step(NodeBench.From(2, kind, 9)).Sync();

        Assert.Equal(new Term(9), bench.Node.Term);
        Assert.Equal(Role.Follower, bench.Node.Role);
        Assert.Equal(NodeId.None, bench.Node.Vote);
    }

    /// <summary>
    /// 5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state." What it scheduled as a
    /// leader and had not sent by then is not sent in the name of its successor.
    /// </summary>
    [Theory]
    [InlineData(MessageKind.Append)]
    [InlineData(MessageKind.Heartbeat)]
    [InlineData(MessageKind.AppendReply)]
    public void Section51_ADeposedLeader_SendsNothingOfItsLog(MessageKind kind)
    {
        NodeBench bench = new NodeBench(3, new Term(1)).Lead().Sync();
        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 2) with { Index = new LogIndex(1) }).Sync(); // from here on it may be sent more
        bench.Sent.Clear();

        bench.Node.Propose(new byte[] { 1 });
        bench.Node.RequestRead(new ReadContext(1, 1));
        bench.Step(NodeBench.From(2, kind, 9)).Sync();

        Assert.NotEqual(Role.Leader, bench.Node.Role);
        Assert.DoesNotContain(bench.Sent, message => message.Kind is MessageKind.Append && message.Term == bench.Node.Term);
        Assert.DoesNotContain(bench.Sent, message => message.Kind is MessageKind.Heartbeat && message.Term == bench.Node.Term);
    }

    /// <summary>5.1: "If a server receives a request with a stale term number, it rejects the request."</summary>
    [Fact]
    public void Section51_AStaleAppend_ChangesNothing()
    {
        var bench = new NodeBench(3, new Term(5), log: [1]);

        bench.Step(NodeBench.Append(4, 1, 1, 4)).Sync();

        Assert.Equal(new LogIndex(1), bench.Node.LastIndex);
        Message answer = Assert.Single(bench.Sent);
        Assert.Equal(new Term(5), answer.Term);
    }

    /// <summary>5.2: "a follower receives no communication over a period of time called the election timeout" begins an election; the timeouts differ.</summary>
    [Fact]
    public void Section52_TheElectionTimeout_IsDrawnAnewFromItsRange()
    {
        HashSet<int> seen = [];
        var bench = new NodeBench(3);
        for (int i = 0; i < 200; i++)
        {
            bench.Step(NodeBench.Append(1, 0, 0)).Step(NodeBench.From(3, MessageKind.VoteReply, bench.Node.Term.Value + 1)).Sync();
            int ticks = 0;
            while (bench.Node.Role == Role.Follower)
            {
                bench.Tick(1);
                ticks++;
            }

            seen.Add(ticks);
        }

        Assert.Equal(Enumerable.Range(10, 5), seen.Order());
    }

    /// <summary>
    /// Two that stand at once split the votes (5.2), and whom the last heartbeat reached a moment later does not answer yet (thesis, 9.6). Nobody is known to lead, so the next attempt need not wait for a
    /// whole timeout.
    /// </summary>
    [Theory]
    [InlineData(Role.PreCandidate, 0, 2)]
    [InlineData(Role.Candidate, 0, 10)]
    [InlineData(Role.Candidate, 1, 2)]
    [InlineData(Role.Follower, 2, 2)]
    public void Section52_WhoDidNotGetTheVotes_AsksAgainSoon_ButLeavesAnElectionItsTime(Role role, int refusals, int soonest)
    {
        HashSet<int> seen = [];
        for (ulong seed = 1; seed <= 200; seed++)
        {
            var node = new RaftNode(new RaftOptions { Id = new NodeId(1), Voters = [new NodeId(1), new NodeId(2), new NodeId(3)], Seed = seed, ReadOrigin = 1 });
            node.Campaign();
            if (role != Role.PreCandidate)
            {
                node.Step(NodeBench.From(2, MessageKind.PreVoteReply, 1));
                node.Advance(new WriteReceipt(node.TakeReady().Append!.WriteId));
            }

            for (int i = 0; i < refusals; i++)
            {
                node.Step(NodeBench.From((ulong)i + 2, MessageKind.VoteReply, 1) with { Reject = true });
            }

            Assert.Equal(role, node.Role);
            while (node.HasReady)
            {
                node.TakeReady();
            }

            int ticks = 0;
            while (!node.HasReady)
            {
                node.Tick();
                ticks++;
            }

            Assert.Contains(node.TakeReady().Messages, message => message.Kind == MessageKind.PreVote);
            seen.Add(ticks);
        }

        Assert.Equal(Enumerable.Range(soonest, 5), seen.Order());
    }

    /// <summary>5.2: a candidate "increments its current term", "votes for itself" and asks all others; 9.6 of the thesis: a pre-candidate does not.</summary>
    [Fact]
    public void Section52_ACandidate_RaisesItsTermOnlyWhenItCouldWin()
    {
        var bench = new NodeBench(3, new Term(3));

        bench.Node.Campaign();
        bench.Sync();
        Assert.Equal(new Term(3), bench.Node.Term);

        bench.Step(NodeBench.From(2, MessageKind.PreVoteReply, 4)).Sync();
        Assert.Equal(new Term(4), bench.Node.Term);
        Assert.Equal(new NodeId(1), bench.Node.Vote);
        Assert.Equal(2, bench.Sent.Count(message => message.Kind == MessageKind.Vote));
    }

    /// <summary>
    /// 5.2 has a candidate that is not elected in time raise its term and try again. One whose own vote is not on its disk has asked nobody yet: it would raise the term for nothing, and everybody
    /// else that stands would be refused for it.
    /// </summary>
    [Fact]
    public void Section52_ACandidateWhoseDiskStandsStill_StandsOnce()
    {
        var bench = new NodeBench(3, new Term(3));
        bench.Node.Campaign();
        bench.Step(NodeBench.From(2, MessageKind.PreVoteReply, 4)).Take();

        bench.Tick(100).Take();
        Assert.Equal((Role.Candidate, new Term(4)), (bench.Node.Role, bench.Node.Term));
        Assert.Equal([MessageKind.PreVote, MessageKind.PreVote], bench.Sent.Select(message => message.Kind));

        bench.Sync();
        Assert.Equal(2, bench.Sent.Count(message => message.Kind == MessageKind.Vote));
        bench.Tick(20).Take();
        Assert.True(bench.Sent.Count(message => message.Kind == MessageKind.PreVote) > 2, "it tries again when that election has had its time");
    }

    /// <summary>5.2: "A candidate wins an election if it receives votes from a majority of the servers".</summary>
    [Theory]
    [InlineData(1, 0, Role.Leader)]
    [InlineData(3, 1, Role.Leader)]
    [InlineData(3, 0, Role.Candidate)]
    [InlineData(4, 1, Role.Candidate)]
    [InlineData(4, 2, Role.Leader)]
    [InlineData(5, 1, Role.Candidate)]
    [InlineData(5, 2, Role.Leader)]
    public void Section52_AMajorityElects(int size, int votesOfOthers, Role expected)
    {
        var bench = new NodeBench(size);
        bench.Node.Campaign();
        for (int peer = 2; peer <= size; peer++)
        {
            bench.Step(NodeBench.From((ulong)peer, MessageKind.PreVoteReply, 1));
        }

        bench.Sync();
        for (int peer = 2; peer < 2 + votesOfOthers; peer++)
        {
            // The same vote twice is one vote.
            bench.Step(NodeBench.From((ulong)peer, MessageKind.VoteReply, 1)).Step(NodeBench.From((ulong)peer, MessageKind.VoteReply, 1));
        }

        Assert.Equal(expected, bench.Node.Role);
    }

    /// <summary>5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis"; figure 2: after a restart, too.</summary>
    [Theory]
    [InlineData(0, 2, true)]
    [InlineData(2, 2, true)]
    [InlineData(3, 2, false)]
    [InlineData(1, 2, false)]
    public void Section52_OneVotePerTerm(ulong votedFor, ulong candidate, bool granted)
    {
        var bench = new NodeBench(3, new Term(4), new NodeId(votedFor));

        bench.Step(NodeBench.From(candidate, MessageKind.Vote, 4)).Sync();

        Message reply = Assert.Single(bench.Sent);
        Assert.Equal(granted, !reply.Reject);
    }

    /// <summary>Figure 2: state is "updated on stable storage before responding to RPCs": a vote is not given before it is durable.</summary>
    [Fact]
    public void Figure2_AVote_LeavesOnlyWhenDurable()
    {
        var bench = new NodeBench(3, new Term(4));

        bench.Step(NodeBench.From(2, MessageKind.Vote, 5)).Take();
        Assert.Empty(bench.Sent);

        bench.Sync();
        Assert.False(Assert.Single(bench.Sent).Reject);
    }

    /// <summary>Figure 2, the same for appended entries.</summary>
    [Fact]
    public void Figure2_AnAcknowledgement_LeavesOnlyWhenDurable()
    {
        var bench = new NodeBench(3, new Term(1));

        bench.Step(NodeBench.Append(1, 0, 0, 1, 1)).Take();
        Assert.Empty(bench.Sent);

        bench.Sync();
        Assert.Equal(new LogIndex(2), Assert.Single(bench.Sent).Index);
    }

    /// <summary>Figure 2: what was promised in a term that is over stays unsaid.</summary>
    [Fact]
    public void Figure2_APromiseOfAFormerTerm_IsDropped()
    {
        var bench = new NodeBench(3, new Term(1));
        bench.Step(NodeBench.Append(1, 0, 0, 1)).Take();

        bench.Step(NodeBench.From(3, MessageKind.VoteReply, 7)).Sync();

        Assert.Empty(bench.Sent);
    }

    /// <summary>5.3: "a log entry is committed once the leader that created the entry has replicated it on a majority of the servers", itself or not.</summary>
    [Theory]
    [InlineData(new ulong[] { 2 }, false, false)]
    [InlineData(new ulong[] { 2 }, true, true)]
    [InlineData(new ulong[] { 2, 3 }, false, true)]
    [InlineData(new ulong[] { }, true, false)]
    public void Section53_AMajorityCommits_WithOrWithoutTheLeadersDisk(ulong[] acknowledging, bool leaderIsDurable, bool committed)
    {
        NodeBench bench = new NodeBench(3).Lead().Take();
        if (leaderIsDurable)
        {
            bench.Sync();
        }

        foreach (ulong peer in acknowledging)
        {
            bench.Step(NodeBench.From(peer, MessageKind.AppendReply, 1) with { Index = new LogIndex(1) });
        }

        Assert.Equal(committed ? new LogIndex(1) : LogIndex.Zero, bench.Node.CommitIndex);
    }

    /// <summary>5.3, log matching: the entry before the new ones must be there, in its term; a sentinel never stands in for a term.</summary>
    [Theory]
    [InlineData(2, 2, true)]
    [InlineData(2, 1, false)]
    [InlineData(3, 0, false)]
    [InlineData(9, 2, false)]
    [InlineData(0, 0, true)]
    public void Section53_TheConsistencyCheck(ulong afterIndex, ulong afterTerm, bool accepted)
    {
        var bench = new NodeBench(3, new Term(2), log: [1, 2]);

        bench.Step(NodeBench.Append(2, afterIndex, afterTerm)).Sync();

        Assert.Equal(accepted, !Assert.Single(bench.Sent).Reject);
    }

    /// <summary>5.3 and figure 2, AppendEntries 3 and 4: conflicts are overwritten with everything behind them; what agrees stays, even behind an old message.</summary>
    [Theory]
    [InlineData(1, 1, new ulong[] { 3 }, new ulong[] { 1, 3 })]
    [InlineData(0, 0, new ulong[] { 1, 1 }, new ulong[] { 1, 1, 1 })]
    [InlineData(0, 0, new ulong[] { 1, 2 }, new ulong[] { 1, 2 })]
    [InlineData(3, 1, new ulong[] { 3, 3 }, new ulong[] { 1, 1, 1, 3, 3 })]
    public void Section53_Conflicts_AreOverwritten(ulong afterIndex, ulong afterTerm, ulong[] terms, ulong[] expected)
    {
        var bench = new NodeBench(3, new Term(3), log: [1, 1, 1]);

        bench.Step(NodeBench.Append(3, afterIndex, afterTerm, terms)).Sync();

        Assert.Equal(expected, Enumerable.Range(1, (int)bench.Node.LastIndex.Value).Select(index => bench.Node.TermAt(new LogIndex((ulong)index))!.Value.Value));
    }

    /// <summary>Figure 2, AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry).</summary>
    [Theory]
    [InlineData(9, 0, 0, 0)]
    [InlineData(9, 2, 1, 2)]
    [InlineData(1, 2, 1, 1)]
    public void Figure2_AFollower_CommitsNoFurtherThanItIsKnownToMatch(ulong leaderCommit, ulong afterIndex, ulong afterTerm, ulong expected)
    {
        var bench = new NodeBench(3, new Term(2), log: [1, 1, 1]);

        bench.Step(NodeBench.Append(2, afterIndex, afterTerm) with { Commit = new LogIndex(leaderCommit) });

        Assert.Equal(new LogIndex(expected), bench.Node.CommitIndex);
    }

    /// <summary>5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate": the last term first, then the length.</summary>
    [Theory]
    [InlineData(new ulong[] { 1 }, 1, 1, true)]
    [InlineData(new ulong[] { 1 }, 2, 1, true)]
    [InlineData(new ulong[] { 1, 1 }, 1, 1, false)]
    [InlineData(new ulong[] { 1, 1 }, 1, 2, true)]
    [InlineData(new ulong[] { 2 }, 2, 1, false)]
    [InlineData(new ulong[] { 2 }, 1, 2, true)]
    public void Section541_AStaleLog_GetsNoVote(ulong[] log, ulong lastIndex, ulong lastTerm, bool granted)
    {
        foreach (MessageKind kind in new[] { MessageKind.Vote, MessageKind.PreVote })
        {
            var bench = new NodeBench(3, new Term(2), log: log);

            bench.Step(NodeBench.From(2, kind, 3) with { Index = new LogIndex(lastIndex), LogTerm = new Term(lastTerm) }).Sync();

            Assert.Equal(granted, !Assert.Single(bench.Sent).Reject);
        }
    }

    /// <summary>5.4.2: "only log entries from the leader's current term are committed by counting replicas" (figure 8).</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(3, 3)]
    public void Section542_OnlyTheOwnTerm_IsCommittedByCounting(ulong match, ulong expected)
    {
        NodeBench bench = new NodeBench(3, new Term(2), log: [1, 2]).Lead().Sync();

        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 3) with { Index = new LogIndex(match) });

        Assert.Equal(new LogIndex(expected), bench.Node.CommitIndex);
    }

    /// <summary>8: "it needs to commit an entry from its term" before reads; and "exchange heartbeat messages with a majority" for each.</summary>
    [Fact]
    public void Section8_ARead_WaitsForTheOwnTerm_AndForAMajority()
    {
        NodeBench bench = new NodeBench(3, new Term(2), log: [1, 2]).Lead().Sync();
        bench.Node.RequestRead(new ReadContext(1, 1));
        bench.Sync();
        Assert.DoesNotContain(bench.Sent, message => message.Kind == MessageKind.Heartbeat);

        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 3) with { Index = new LogIndex(3) }).Sync();
        Message heartbeat = bench.Sent.First(message => message.Kind == MessageKind.Heartbeat);
        Assert.Empty(bench.Reads);

        bench.Step(NodeBench.From(2, MessageKind.HeartbeatReply, 3)).Sync();
        Assert.Empty(bench.Reads);

        bench.Step(NodeBench.From(2, MessageKind.HeartbeatReply, 3) with { Context = heartbeat.Context }).Sync();
        Assert.Equal(new ReadState(new ReadContext(1, 1), new LogIndex(3)), Assert.Single(bench.Reads));
    }

    /// <summary>8: each read needs a round of its own; a late or doubled answer to an earlier round says nothing of now.</summary>
    [Fact]
    public void Section8_ALateAnswer_ConfirmsNoLaterRead()
    {
        NodeBench bench = new NodeBench(3).Lead().Sync();
        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 1) with { Index = new LogIndex(1) }).Sync();
        bench.Node.RequestRead(new ReadContext(1, 1));
        bench.Sync();
        Message late = NodeBench.From(3, MessageKind.HeartbeatReply, 1) with { Context = bench.Sent.Last(message => message.Kind == MessageKind.Heartbeat).Context };
        bench.Step(late with { From = new NodeId(2) }).Sync();
        Assert.Single(bench.Reads);

        bench.Node.RequestRead(new ReadContext(1, 2));
        bench.Sync().Step(late).Sync();

        Assert.Single(bench.Reads);
    }

    /// <summary>5.3 and figure 2 (lastApplied): entries are applied in order, once, whatever the page is.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(21)]
    [InlineData(22)]
    [InlineData(42)]
    [InlineData(64)]
    [InlineData(1 << 20)]
    public void Section53_Applying_IsGapless_ForEveryPageLimit(int committedBytesMax)
    {
        var bench = new NodeBench(3, new Term(1), log: [1, 1, 1, 1, 1, 1, 1, 1, 1], committedBytesMax: committedBytesMax);

        bench.Step(NodeBench.Append(1, 9, 1) with { Commit = new LogIndex(4) }).Sync();
        bench.Step(NodeBench.Append(1, 9, 1, 1) with { Commit = new LogIndex(10) }).Sync();

        Assert.Equal(Enumerable.Range(1, 10).Select(index => new LogIndex((ulong)index)), bench.Committed.Select(entry => entry.Index));
        Assert.Equal(new LogIndex(10), bench.Node.CommitIndex);
    }

    /// <summary>7: a log that was compacted still knows what it does not know, and an old Append from before does no harm.</summary>
    [Fact]
    public void Section7_BeforeTheSnapshot_NothingIsCompared()
    {
        var bench = new NodeBench(3, new Term(1), log: [1, 1, 1, 1]);
        bench.Step(NodeBench.Append(1, 4, 1) with { Commit = new LogIndex(4) }).Sync();
        bench.Node.AdvanceApplied(new LogIndex(4));
        bench.Node.Compact(new SnapshotMetadata(new LogIndex(3), new Term(1), bench.Node.Membership), keepFrom: new LogIndex(4));
        bench.Sync().Sent.Clear();

        bench.Step(NodeBench.Append(1, 0, 0, 1, 1)).Sync();

        Assert.Equal(new LogIndex(4), Assert.Single(bench.Sent).Index);
        Assert.Null(bench.Node.TermAt(new LogIndex(2)));
        Assert.Null(bench.Node.TermAt(LogIndex.Zero));
        Assert.Null(bench.Node.TermAt(new LogIndex(5)));
        Assert.Equal(new Term(1), bench.Node.TermAt(new LogIndex(3)));
    }
}
