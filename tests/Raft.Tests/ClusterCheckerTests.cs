using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>The watcher of the random runs is worth what it notices: each of its checks is made to fire.</summary>
public sealed class ClusterCheckerTests
{
    [Fact]
    public void AStaleRead_IsNoticed()
    {
        (Member member, ClusterChecker checker) = SingleLeader();
        var context = new ReadContext(1, 1);
        checker.ReadStarted(context);

        var violation = Assert.Throws<SafetyViolation>(() => checker.ReadAnswered(new ReadState(context, new LogIndex(member.Node.CommitIndex.Value - 1))));

        Assert.Contains("stale read", violation.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnAnswerNobodyAskedFor_IsNoticed()
    {
        (_, ClusterChecker checker) = SingleLeader();

        Assert.Throws<SafetyViolation>(() => checker.ReadAnswered(new ReadState(new ReadContext(1, 9), new LogIndex(1))));
    }

    [Fact]
    public void ACommitThatIsOnNoMajorityOfDisks_IsNoticed()
    {
        Member first = LoneMember(1);
        Settle(first);
        Member[] others = [LoneMember(2), LoneMember(3)];

        // Alone, member 1 commits by itself; as one of three it has no right to.
        var violation = Assert.Throws<SafetyViolation>(() => new ClusterChecker([first, .. others]).Check());

        Assert.Contains("the disks of 1 holding it", violation.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TwoLeadersOfATerm_AreNoticed()
    {
        Member[] members = [LoneMember(1), LoneMember(2)];
        Array.ForEach(members, Elect);

        var violation = Assert.Throws<SafetyViolation>(() => new ClusterChecker(members).Check());

        Assert.Contains("both lead term 1", violation.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnAppendOfNoLeader_IsNoticed()
    {
        (Member member, ClusterChecker checker) = SingleLeader();
        var append = new Message { Kind = MessageKind.Append, From = member.Id, To = new NodeId(2), Term = member.Node.Term };
        checker.Sent(append);

        Assert.Throws<SafetyViolation>(() => checker.Sent(append with { From = new NodeId(2) }));
        Assert.Throws<SafetyViolation>(() => checker.Sent(append with { Term = member.Node.Term.Next }));
    }

    [Fact]
    public void DifferentDataAtACommittedPosition_IsNoticed()
    {
        Member[] members = [LoneMember(1), LoneMember(2), LoneMember(3)];
        var checker = new ClusterChecker(members);
        for (int i = 0; i < members.Length; i++)
        {
            Settle(members[i]);
            members[i].Node.Propose(new[] { (byte)i });
            Settle(members[i]);
        }

        Assert.Throws<SafetyViolation>(checker.Check);
        Assert.Throws<SafetyViolation>(checker.CheckLogMatching);
    }

    [Fact]
    public void AnEntryAppliedOutOfOrder_IsNoticed()
    {
        Assert.Throws<SafetyViolation>(() => new StateMachine().Apply(NodeBench.Make(1, 2)));
    }

    [Fact]
    public void AGapOnDisk_IsNoticed()
    {
        var disk = new MemoryDisk();
        disk.Submit(new PendingAppend { WriteId = 1, Entries = [NodeBench.Make(1, 2)] });

        Assert.Throws<SafetyViolation>(() => disk.CompleteOne());
    }

    private static (Member Member, ClusterChecker Checker) SingleLeader()
    {
        Member member = LoneMember(1);
        var checker = new ClusterChecker([member]);
        Settle(member);
        checker.Check();
        return (member, checker);
    }

    /// <summary>A member that believes it is alone in the world.</summary>
    private static Member LoneMember(ulong id) =>
        new(new RaftOptions { Id = new NodeId(id), Voters = [new NodeId(id)], Seed = id, ReadOrigin = 0 });

    private static void Elect(Member member)
    {
        member.Node.Campaign();
        member.Process();
        member.CompleteWrite();
    }

    private static void Settle(Member member)
    {
        member.Node.Campaign();
        while (member.Node.HasReady || member.Disk.UnderWay > 0)
        {
            member.Process();
            while (member.Disk.UnderWay > 0)
            {
                member.CompleteWrite();
            }
        }
    }
}
