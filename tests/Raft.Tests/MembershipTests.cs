using Xunit;

namespace MetaStore.Raft.Tests;

/// <summary>Memberships by themselves: what they may be, their bytes, and the steps from one to another.</summary>
public sealed class MembershipTests
{
    [Fact]
    public void GoldenBytes_NeverChange()
    {
        var membership = new Membership(Ids(1, 2), Ids(2, 3), Ids(4), new byte[] { 0xAA });

        byte[] bytes = MembershipCodec.Encode(membership);

        const string golden =
            "01000000" + "02000000" + "02000000" + "01000000"
            + "0100000000000000" + "0200000000000000" + "0200000000000000" + "0300000000000000" + "0400000000000000" + "AA";
        Assert.Equal(golden, Convert.ToHexString(bytes));
        Assert.Equal(membership, MembershipCodec.Decode(bytes));
    }

    [Fact]
    public void EveryTruncation_IsRefused()
    {
        byte[] bytes = MembershipCodec.Encode(new Membership(Ids(1, 2, 3), Ids(4)));
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<MessageFormatException>(() => MembershipCodec.Decode(bytes.AsMemory(0, length)));
        }
    }

    [Theory]
    [InlineData(0, "version 2")]
    [InlineData(4, "do not fit")]
    [InlineData(16, "named twice")]
    public void WhatIsWrong_IsSaid(int offset, string expected)
    {
        byte[] bytes = MembershipCodec.Encode(new Membership(Ids(1, 2)));
        bytes[offset] = offset == 4 ? (byte)200 : (byte)2;

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

    private static NodeId[] Ids(params ulong[] ids) => [.. ids.Select(id => new NodeId(id))];

    private static NodeId[] Ids(string ids) => [.. ids.Split(',').Select(id => new NodeId(ulong.Parse(id)))];
}
