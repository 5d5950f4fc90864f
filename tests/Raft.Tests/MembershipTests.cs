using MetaStore.Raft.Tests.Cluster;
using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>Memberships by themselves: what they may be, their bytes, and the steps from one to another.</summary>
public sealed class MembershipTests
{
    [Fact]
    public void GoldenBytes_NeverChange()
    {
        var traits = new Dictionary<NodeId, MemberTraits> { [new(4)] = new(Priority: 7, IsWitness: true), [new(2)] = MemberTraits.Default };
        var membership = new Membership(Ids(1, 2), Ids(2, 3), Ids(4), new byte[] { 0xAA }, traits);

        byte[] bytes = MembershipCodec.Encode(membership);

        const string golden =
            "02000000" + "02000000" + "02000000" + "01000000" + "01000000"
            + "0100000000000000" + "0200000000000000" + "0200000000000000" + "0300000000000000" + "0400000000000000"
            + "0400000000000000" + "07" + "01"
            + "AA";
        Assert.Equal(golden, Convert.ToHexString(bytes));
        Assert.Equal(membership, MembershipCodec.Decode(bytes));
    }

    [Fact]
    public void EveryTruncation_IsRefused()
    {
        byte[] bytes = MembershipCodec.Encode(new Membership(Ids(1, 2, 3), Ids(4), traits: Traits((4, new(5)))));
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<MessageFormatException>(() => MembershipCodec.Decode(bytes.AsMemory(0, length)));
        }
    }

    [Theory]
    [InlineData(0, "version 200")]
    [InlineData(4, "do not fit")]
    [InlineData(16, "do not fit")]
    [InlineData(20, "is no member")]
    [InlineData(28, "named twice")]
    [InlineData(36, "is no member")]
    [InlineData(44, "flags")]
    [InlineData(45, "flags")]
    public void WhatIsWrong_IsSaid(int offset, string expected)
    {
        byte[] bytes = MembershipCodec.Encode(new Membership(Ids(1, 2), traits: Traits((1, new(200)))));
        bytes[offset] = offset switch { 28 => 1, 44 => MemberTraits.DefaultPriority, _ => 200 };

        var refused = Assert.Throws<MessageFormatException>(() => MembershipCodec.Decode(bytes));

        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NobodyIsTwoThings()
    {
        Assert.Throws<ArgumentException>(() => new Membership(Ids(1, 2), Ids(2)));
        Assert.Throws<ArgumentException>(() => new Membership(Ids(1, 1)));
        Assert.Throws<ArgumentException>(() => new Membership(Ids(0)));
        Assert.Throws<ArgumentException>(() => new Membership([], Ids(1)));
        Assert.Throws<ArgumentException>(() => new Membership(Ids(1), traits: Traits((2, new(5)))));
        Assert.Throws<ArgumentException>(() => new Membership(Ids(1), Ids(2), traits: Traits((1, new(5, IsWitness: true)))));
    }

    /// <summary>From then on nobody is left to answer the leader's round.</summary>
    [Fact]
    public void AReadUnderWay_IsAnswered_WhenItsLeaderIsLeftAlone()
    {
        NodeBench bench = new NodeBench(2).Lead().Sync();
        bench.Step(NodeBench.From(2, MessageKind.AppendReply, 1) with { Index = new LogIndex(1) }).Sync();
        bench.Node.RequestRead(new ReadContext(1, 1));
        bench.Sync();
        Assert.Empty(bench.Reads);

        Assert.Equal(MembershipResult.Accepted, bench.Node.ChangeMembership(new Membership(Ids(1))));
        bench.Sync();
        for (ulong index = 2; index <= bench.Node.LastIndex.Value && bench.Reads.Count == 0; index++)
        {
            bench.Step(NodeBench.From(2, MessageKind.AppendReply, 1) with { Index = new LogIndex(index) }).Sync();
        }

        Assert.Equal(new ReadContext(1, 1), Assert.Single(bench.Reads).Context);
        Assert.Equal(0, bench.Node.PendingReads);
    }

    /// <summary>After a restart the commit index may be far behind, so that the end of the log that is cut away has several memberships.</summary>
    [Fact]
    public void WhatIsCutAway_TakesAllItsMembershipsAlong()
    {
        var first = new Membership(Ids(1, 2, 3));
        var history = new MembershipHistory(LogIndex.Zero, first);
        history.Add(new LogIndex(5), new Membership(Ids(1, 2, 4), Ids(1, 2, 3), [], default), commit: LogIndex.Zero);
        history.Add(new LogIndex(7), new Membership(Ids(1, 2, 4)), commit: LogIndex.Zero);

        history.CutFrom(new LogIndex(4));

        Assert.Equal((first, LogIndex.Zero), (history.Current, history.CurrentIndex));
    }

    /// <summary>Both halves decide after a restart too: the outgoing one may have elected somebody meanwhile.</summary>
    [Fact]
    public void AJointMembership_OutlivesARestart()
    {
        var joint = new Membership(Ids(1, 2, 4), Ids(1, 2, 3), [], default);
        var entry = new Entry(new Term(1), new LogIndex(1), EntryKind.Membership, MembershipCodec.Encode(joint));

        var node = new RaftNode(
            new RaftOptions { Id = new NodeId(1), Voters = Ids(1, 2, 3), Seed = 1, ReadOrigin = 1 },
            new RaftRestart { HardState = new HardState(new Term(1), default, LogIndex.Zero), Entries = [entry] });

        Assert.Equal(joint, node.Membership);
    }

    /// <summary>The joint membership is left once, whatever else is committed before that is.</summary>
    [Fact]
    public void AJointMembership_IsLeftOnce()
    {
        NodeBench bench = new NodeBench(3).Lead().Sync();
        Acknowledge(bench, 1);
        Assert.Equal(MembershipResult.Accepted, bench.Node.ChangeMembership(new Membership(Ids(1, 4, 5))));
        bench.Sync();
        bench.Node.Propose(new byte[] { 1 });
        bench.Sync();
        ulong joint = bench.Node.MembershipIndex.Value;

        Acknowledge(bench, joint);
        bench.Sync();
        Acknowledge(bench, joint + 1);
        bench.Sync();

        Assert.Equal(joint + 2, bench.Node.MembershipIndex.Value);
        Assert.Equal(joint + 2, bench.Node.LastIndex.Value);
        Assert.False(bench.Node.Membership.IsJoint);
    }

    [Theory]
    [InlineData("1,2,3", "1,2,3,4", false)]
    [InlineData("1,2,3", "1,2", false)]
    [InlineData("1,2,3", "1,2,4", true)]
    [InlineData("1", "2", true)]
    [InlineData("1,2,3", "1,2,3", false)]
    public void OneVoterMoreOrLess_IsOneStep_EverythingElseIsJoint(string from, string to, bool isJoint)
    {
        Membership step = new Membership(Ids(from)).StepTo(new Membership(Ids(to)));

        Assert.Equal(isJoint, step.IsJoint);
        Assert.Equal(Ids(to), step.Voters);
        Assert.Equal(isJoint ? Ids(from) : [], step.Outgoing);
        Assert.Equal(new Membership(Ids(to)), step.LeaveJoint());
    }

    /// <summary>Whatever one step is, no majority of the one can miss every majority of the other.</summary>
    [Fact]
    public void TwoQuorumsOfNeighbouringMemberships_AlwaysMeet()
    {
        for (int from = 1; from < 32; from++)
        {
            for (int to = 1; to < 32; to++)
            {
                var before = new Membership(Bits(from));
                Membership step = before.StepTo(new Membership(Bits(to)));
                Assert.True(AlwaysMeet(before, step), $"{before} and {step}");
                Assert.True(AlwaysMeet(step, step.LeaveJoint()), $"{step} and {step.LeaveJoint()}");
            }
        }
    }

    /// <summary>Whoever still votes while the configuration is joint is still what it was; then it is forgotten.</summary>
    [Fact]
    public void Traits_AreKept_UntilTheLastVote()
    {
        var before = new Membership(Ids(1, 2, 3), traits: Traits((3, new(9, IsWitness: true)), (1, new(7))));
        var target = new Membership(Ids(1, 4, 5), traits: Traits((1, new(8)), (5, new(200))));

        Membership joint = before.StepTo(target);

        Assert.Equal((8, 200, true), (joint.TraitsOf(new(1)).Priority, joint.TraitsOf(new(5)).Priority, joint.IsWitness(new(3))));
        Assert.Equal(joint, MembershipCodec.Decode(MembershipCodec.Encode(joint)));
        Assert.Equal(target, joint.LeaveJoint());
        Assert.NotEqual(new Membership(Ids(1, 4, 5)), joint.LeaveJoint());
    }

    private static bool AlwaysMeet(Membership one, Membership other)
    {
        var left = new Quorum(one);
        var right = new Quorum(other);
        for (int agreeing = 0; agreeing < 32; agreeing++)
        {
            bool leftAgrees = left.IsMajority(id => IsIn(agreeing, id));
            bool rightAgreesOtherwise = right.IsMajority(id => !IsIn(agreeing, id));
            if (leftAgrees && rightAgreesOtherwise)
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsIn(int set, NodeId id) => (set & (1 << ((int)id.Value - 1))) != 0;

    private static IEnumerable<NodeId> Bits(int set) => Ids(1, 2, 3, 4, 5).Where(id => IsIn(set, id));

    private static IEnumerable<KeyValuePair<NodeId, MemberTraits>> Traits(params (ulong Id, MemberTraits Traits)[] members) =>
        members.Select(member => KeyValuePair.Create(new NodeId(member.Id), member.Traits));

    private static NodeId[] Ids(params ulong[] ids) => [.. ids.Select(id => new NodeId(id))];

    private static NodeId[] Ids(string ids) => [.. ids.Split(',').Select(id => new NodeId(ulong.Parse(id)))];

    /// <summary>All peers have the leader's log through here.</summary>
    private static void Acknowledge(NodeBench bench, ulong index)
    {
        foreach (ulong peer in (ulong[])[2, 3, 4, 5])
        {
            bench.Step(NodeBench.From(peer, MessageKind.AppendReply, bench.Node.Term.Value) with { Index = new LogIndex(index) });
        }
    }
}
