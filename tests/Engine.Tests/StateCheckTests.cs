using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>State checks: what most voters report counts, and a node that differs from it stops.</summary>
public sealed class StateCheckTests
{
    private static readonly Membership s_three = new([new NodeId(1), new NodeId(2), new NodeId(3)], [new NodeId(4)]);

    [Fact]
    public void WhatMostVotersReport_IsProposedOnce()
    {
        var tally = new StateTally();

        Assert.Null(tally.Add(1, new StateCheck(100, 7), s_three));
        Assert.Null(tally.Add(1, new StateCheck(100, 7), s_three));
        Assert.Null(tally.Add(4, new StateCheck(100, 7), s_three)); // A learner has no vote in this either.
        Assert.Null(tally.Add(2, new StateCheck(100, 8), s_three));
        Assert.Equal(new StateCheck(100, 8), tally.Add(3, new StateCheck(100, 8), s_three));
        Assert.Null(tally.Add(3, new StateCheck(100, 8), s_three));
        Assert.Null(tally.Add(1, new StateCheck(99, 1), s_three));
    }

    [Fact]
    public void AWitness_IsInNoState()
    {
        var witness = new Dictionary<NodeId, MemberTraits> { [new(3)] = MemberTraits.Default with { IsWitness = true } };
        var twoAndOne = new Membership([new NodeId(1), new NodeId(2), new NodeId(3)], traits: witness);
        var tally = new StateTally();

        Assert.Null(tally.Add(1, new StateCheck(100, 7), twoAndOne));
        Assert.Null(tally.Add(3, new StateCheck(100, 7), twoAndOne));
        Assert.Equal(new StateCheck(100, 7), tally.Add(2, new StateCheck(100, 7), twoAndOne));
        Assert.Null(new StateTally().Add(1, new StateCheck(100, 7), new Membership([new NodeId(1), new NodeId(3)], traits: witness)));
    }

    /// <summary>Nobody can tell which of two is right: both must stop, rather than both serve.</summary>
    [Theory]
    [InlineData(7, 8)]
    [InlineData(7, 8, 9)]
    [InlineData(7, 7, 8, 8)]
    public void WhereNoStateCanHaveAMajority_ThatIsProposed(params int[] digests)
    {
        var membership = new Membership(Enumerable.Range(1, digests.Length).Select(id => new NodeId((ulong)id)));
        var tally = new StateTally();
        StateCheck?[] checks = [.. digests.Select((digest, i) => tally.Add((ulong)i + 1, new StateCheck(100, (ulong)digest), membership))];
        Assert.Equal(new StateCheck(100, 0, IsSplit: true), checks[^1]);
        Assert.All(checks[..^1], Assert.Null);
    }

    [Fact]
    public void WhileOneIsMissingThatMayDecide_TheDifferenceIsTold_AndNobodyIsStopped()
    {
        var tally = new StateTally();
        Assert.Null(tally.Add(1, new StateCheck(100, 7), s_three));
        Assert.Null(tally.TakeDifference());
        Assert.Null(tally.Add(2, new StateCheck(100, 8), s_three));
        Assert.Equal(100u, tally.TakeDifference());
        Assert.Null(tally.TakeDifference());
    }

    [Fact]
    public void ASplit_StopsANode_UnlessItWasHistoryWhenItStarted()
    {
        var split = new StateCheck(10, 0, IsSplit: true);
        var started = new StateChecks(every: 10, _ => { }, logEndedAt: 15);
        started.Applied(10, digest: 1010);
        started.Compare(split, at: 15);
        Assert.Equal(0, started.Agreed);
        Assert.Contains("none has a majority", Assert.Throws<StateDivergedException>(() => started.Compare(split, at: 16)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALoneVoter_HasNobodyToCompareWith() =>
        Assert.Null(new StateTally().Add(1, new StateCheck(100, 7), new Membership([new NodeId(1)])));

    [Fact]
    public void ALoneVoter_SaysWhatItsLearnersAreHeldAgainst()
    {
        var tally = new StateTally();
        var membership = new Membership([new NodeId(1)], [new NodeId(2)]);

        Assert.Null(tally.Add(2, new StateCheck(100, 8), membership));
        Assert.Equal(new StateCheck(100, 7), tally.Add(1, new StateCheck(100, 7), membership));
    }

    [Fact]
    public void WhereTheLogIsSlow_ReportsAreAskedFor_UntilMostHaveAnswered()
    {
        var tally = new StateTally(askTicks: 3);
        bool Tick(ulong digest) => tally.Tick(digest, s_three, _ => true);

        Assert.Equal([false, false, true, false, false, true], Enumerable.Range(0, 6).Select(_ => Tick(digest: 7)));
        Assert.Equal([false, false], Enumerable.Range(0, 2).Select(_ => Tick(digest: 7)));
        tally.Add(1, new StateCheck(100, 7), s_three);
        tally.Add(2, new StateCheck(100, 7), s_three);
        Assert.DoesNotContain(true, Enumerable.Range(0, 9).Select(_ => Tick(digest: 7)));
        Assert.True(Tick(digest: 8)); // It was time already, and there was nothing new to ask about.
        Assert.Equal([false, false], Enumerable.Range(0, 2).Select(_ => Tick(digest: 9)));
        tally.Add(1, new StateCheck(110, 9), s_three);
        tally.Add(2, new StateCheck(110, 9), s_three); // Settled: what comes out of the log by itself need not be asked for.
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(_ => Tick(digest: 9)));
        Assert.DoesNotContain(true, Enumerable.Range(0, 9).Select(i => tally.Tick((ulong)i, new Membership([new NodeId(1)]), _ => true)));
    }

    /// <summary>Late reports of the state before say nothing of this one.</summary>
    [Fact]
    public void WhatSettlesOfAnEarlierState_IsNoAnswer()
    {
        var tally = new StateTally(askTicks: 3);
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(_ => tally.Tick(digest: 8, s_three, _ => true)));
        tally.Add(1, new StateCheck(100, 7), s_three);
        Assert.NotNull(tally.Add(2, new StateCheck(100, 7), s_three));

        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(_ => tally.Tick(digest: 8, s_three, _ => true)));
    }

    /// <summary>They would get the question with a snapshot, and it would be asked for nothing.</summary>
    [Fact]
    public void WhileMostAreBehind_NobodyIsAsked()
    {
        var tally = new StateTally(askTicks: 3);

        Assert.DoesNotContain(true, Enumerable.Range(0, 9).Select(_ => tally.Tick(digest: 7, s_three, member => member.Value == 1)));
        Assert.True(tally.Tick(digest: 7, s_three, member => member.Value < 3));
    }

    [Fact]
    public void WhoIsAsked_Reports_WhateverTheIndex()
    {
        var reported = new List<StateCheck>();
        var checks = new StateChecks(every: 10, reported.Add);
        checks.Applied(13, digest: 5, isAsked: true);
        checks.Compare(StateCheck.Ask, at: 13);

        Assert.Equal([new StateCheck(13, 5)], reported);
        checks.Compare(new StateCheck(13, 5), at: 14);
        Assert.Equal(1, checks.Agreed);
        Assert.Throws<StateDivergedException>(() => checks.Compare(new StateCheck(13, 6), at: 15));
    }

    [Fact]
    public void ANodeInAnotherState_SaysSo()
    {
        var reported = new List<StateCheck>();
        var checks = new StateChecks(every: 10, reported.Add);
        for (ulong index = 1; index <= 25; index++)
        {
            checks.Applied(index, digest: 1000 + index);
        }

        Assert.Equal([new StateCheck(10, 1010), new StateCheck(20, 1020)], reported);
        checks.Compare(new StateCheck(10, 1010), at: 11);
        checks.Compare(new StateCheck(15, 1), at: 16); // Nothing is known of that index: another node counts otherwise.
        Assert.Equal(1, checks.Agreed);
        var diverged = Assert.Throws<StateDivergedException>(() => checks.Compare(new StateCheck(20, 1021), at: 21));
        Assert.Equal(20u, diverged.Index);
        Assert.Contains("has diverged: at index 20", diverged.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ANodeThatDiffersFromTheOthers_StopsServing()
    {
        using var node = new SteppedNode();
        ulong last = node.Core.View.AppliedIndex;
        for (ulong index = last + 1; index <= 1000; index++)
        {
            node.Core.Apply.Enqueue(new ApplyItem(new Entry(new Term(1), new LogIndex(index), EntryKind.Empty, default), null, null));
        }

        byte[] verdict = new StateCheck(1000, Digest: 1).Encode();
        node.Core.Apply.Enqueue(new ApplyItem(new Entry(new Term(1), new LogIndex(1001), EntryKind.StateCheck, verdict), null, null));

        Assert.Throws<StateDivergedException>(() =>
        {
            while (node.Core.Apply.RunOnce())
            {
                // Until it has applied everything, or throws.
            }
        });
    }

    /// <summary>What only witnesses are sent must not be taken for nothing to do by anybody else: its state would be wrong from there on.</summary>
    [Fact]
    public void ACommandThatCameWithoutItsBody_StopsAMemberThatIsNoWitness()
    {
        using var node = new SteppedNode();
        ulong next = node.Core.View.AppliedIndex + 1;
        node.Core.Apply.Enqueue(new ApplyItem(new Entry(new Term(1), new LogIndex(next), EntryKind.Command, default), null, null));

        Exception broken = Assert.ThrowsAny<Exception>(() => node.Core.Apply.RunOnce());

        Assert.Contains("came without its command", broken.Message, StringComparison.Ordinal);
        Assert.False(node.Core.View.IsHollow);
    }

    [Fact]
    public void GoldenBytes() => Assert.Equal("0800000000000000" + "0700000000000000" + "0100000000000000", Convert.ToHexString(new StateCheck(8, 7, IsSplit: true).Encode()));
}
