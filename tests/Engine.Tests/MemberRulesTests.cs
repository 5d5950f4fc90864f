using MetaStore.Engine.Members;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What each change makes of the members, and what must stay as it was; which changes are refused.</summary>
public sealed class MemberRulesTests
{
    private const ulong Newcomer = 77;

    private readonly MemberRules _rules;
    private ulong _nextId = Newcomer;

    public MemberRulesTests() => _rules = new MemberRules(learnersMax: 1, () => _nextId++);

    [Fact]
    public void ANewMember_BeginsAsALearner()
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));

        Member added = table.Find(Newcomer)!;
        Assert.True(added.IsLearner);
        Assert.Equal([1, 2, 3], table.Voters.Select(voter => (int)voter.Id));
    }

    [Fact]
    public void ALearner_StaysOne_WhateverElseIsChangedOfIt()
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));
        table = Apply(table, new UpdateMember(Newcomer, ["http://10.0.0.10:2380"]));
        table = Apply(table, new PublishMember(Newcomer, "four", ["http://10.0.0.10:2379"], DirectoryId: 5));

        Member learner = MemberTable.From(table.ToMembership()).Find(Newcomer)!;
        Assert.True(learner.IsLearner);
        Assert.Equal(("four", 5u), (learner.Name, learner.DirectoryId));
        Assert.Equal(["http://10.0.0.10:2380"], learner.PeerUrls);
    }

    [Fact]
    public void ARemovedId_IsKept_AndNeverGivenOutAgain()
    {
        MemberTable table = Apply(Three(), new RemoveMember(3));

        MemberTable restored = MemberTable.From(table.ToMembership());
        Assert.True(restored.WasRemoved(3));
        var rules = new MemberRules(learnersMax: 1, new Queue<ulong>([3, Newcomer]).Dequeue);
        Assert.Equal(Newcomer, rules.Apply(restored, new AddMember(["http://10.0.0.9:2380"]), AllUp()).MemberId);
    }

    /// <summary>Each state of the cluster against each change: a member that is down must not stand in the way of a change that leaves a majority up.</summary>
    [Theory]
    [InlineData("add", 3, null)]
    [InlineData("add", 2, null)]
    [InlineData("remove the one that is down", 2, null)]
    [InlineData("remove one that is up", 2, MetaStoreError.UnhealthyCluster)]
    [InlineData("promote", 3, null)]
    [InlineData("promote", 2, MetaStoreError.LearnerNotReady, false)]
    [InlineData("promote", 3, MetaStoreError.LearnerNotReady, false)]
    public void AChange_IsTakenOrRefused_ByWhoIsUp(string change, int votersUp, MetaStoreError? refusal, bool learnerHasStarted = true)
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));
        if (learnerHasStarted)
        {
            table = Apply(table, new PublishMember(Newcomer, "four", [], DirectoryId: 5));
        }

        var knowledge = new LeaderKnowledge(
            1,
            id => id == Newcomer ? learnerHasStarted : id <= (ulong)votersUp,
            id => id == Newcomer && learnerHasStarted ? 100ul : 0,
            100);
        MemberChange asked = change switch
        {
            "add" => new AddMember(["http://10.0.0.11:2380"]),
            "remove one that is up" => new RemoveMember(2),
            "remove the one that is down" => new RemoveMember(3),
            _ => new PromoteMember(Newcomer),
        };
        if (refusal is null)
        {
            _rules.Apply(table, asked, knowledge);
            return;
        }

        Assert.Equal(refusal, Assert.Throws<MetaStoreException>(() => _rules.Apply(table, asked, knowledge)).Error);
    }

    /// <summary>Of one that has told who it is, nine tenths of the log are asked, and a sign of life.</summary>
    [Theory]
    [InlineData(true, 90, null)]
    [InlineData(true, 89, MetaStoreError.LearnerNotReady)]
    [InlineData(false, 100, MetaStoreError.LearnerNotReady)]
    public void ALearner_IsPromoted_OnceItIsThereAndHasCaughtUp(bool isUp, ulong match, MetaStoreError? refusal)
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));
        table = Apply(table, new PublishMember(Newcomer, "four", [], DirectoryId: 5));
        var knowledge = new LeaderKnowledge(1, id => id != Newcomer || isUp, id => id == Newcomer ? match : 100, 100);

        MetaStoreError? answer = null;
        try
        {
            _rules.Apply(table, new PromoteMember(Newcomer), knowledge);
        }
        catch (MetaStoreException refused)
        {
            answer = refused.Error;
        }

        Assert.Equal(refusal, answer);
    }

    [Fact]
    public void ALearnerThatHasNotSaidWhereItsDataIs_IsNotPromoted()
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));
        Assert.Equal(MetaStoreError.LearnerNotReady, Refusal(table, new PromoteMember(Newcomer)));

        table = Apply(table, new PublishMember(Newcomer, "four", [], DirectoryId: 5));
        Assert.False(Apply(table, new PromoteMember(Newcomer)).Find(Newcomer)!.IsLearner);
    }

    [Fact]
    public void TheLastVoter_Stays() =>
        Assert.Equal(MetaStoreError.NotEnoughStarted, Refusal(Apply(Apply(Three(), new RemoveMember(3)), new RemoveMember(2)), new RemoveMember(1)));

    [Fact]
    public void APriority_IsChangedAlone_AndKept()
    {
        MemberTable table = Apply(Three(), new UpdateMember(2, [], Priority: 0));
        table = Apply(table, new UpdateMember(2, ["http://10.0.0.22:2380"]));
        table = Apply(table, new UpdateMember(3, ["http://10.0.0.33:2380"], Priority: 200));

        Member[] members = [.. MemberTable.From(table.ToMembership()).Members];
        Assert.Equal([(100, "http://10.0.0.1:2380"), (0, "http://10.0.0.22:2380"), (200, "http://10.0.0.33:2380")], members.Select(member => ((int)member.Priority, member.PeerUrls[0])));
        Assert.Equal(MetaStoreError.InvalidArgument, Refusal(table, new UpdateMember(2, [])));
    }

    [Fact]
    public void AWitness_StaysOne_BeginsWithoutAVote_AndHasNoPriority()
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsWitness: true, Priority: 7));
        table = Apply(table, new PublishMember(Newcomer, "w", [], DirectoryId: 5));
        table = Apply(table, new UpdateMember(Newcomer, ["http://10.0.0.10:2380"]));
        Assert.Equal(MetaStoreError.InvalidArgument, Refusal(table, new UpdateMember(Newcomer, [], Priority: 200)));
        Member learner = MemberTable.From(table.ToMembership()).Find(Newcomer)!;
        Assert.Equal((true, true, true, MetaStore.Raft.MemberTraits.DefaultPriority), (learner.IsWitness, learner.IsLearner, learner.PromoteWhenReady, learner.Priority));

        table = Apply(table, new PromoteMember(Newcomer));

        Member voter = MemberTable.From(table.ToMembership()).Find(Newcomer)!;
        Assert.Equal((true, false), (voter.IsWitness, voter.IsLearner));
    }

    /// <summary>Any majority has a member with data: witnesses are half of the voters at most, however the voters came to be these.</summary>
    [Fact]
    public void WitnessesAreHalfOfTheVotersAtMost()
    {
        MemberTable two = Apply(Apply(Three(), new RemoveMember(3)), new AddMember(["http://10.0.0.9:2380"], IsWitness: true));
        two = Apply(Apply(two, new PublishMember(Newcomer, "w", [], DirectoryId: 5)), new PromoteMember(Newcomer));

        MemberTable oneOfEach = Apply(two, new RemoveMember(2)); // To put another in the place of one that is lost.

        Assert.Equal(MetaStoreError.TooManyWitnesses, Refusal(oneOfEach, new AddMember(["http://10.0.0.10:2380"], IsWitness: true)));
        Assert.Equal(MetaStoreError.TooManyWitnesses, Refusal(oneOfEach, new RemoveMember(1)));
        Assert.Equal([1], Apply(oneOfEach, new RemoveMember(Newcomer)).Voters.Select(voter => (int)voter.Id));
        MemberTable waiting = Apply(two, new AddMember(["http://10.0.0.10:2380"], IsWitness: true));
        waiting = Apply(Apply(waiting, new PublishMember(Newcomer + 1, "v", [], DirectoryId: 6)), new RemoveMember(2));
        Assert.Equal(MetaStoreError.TooManyWitnesses, Refusal(waiting, new PromoteMember(Newcomer + 1)));
    }

    /// <summary>What does not fit into an entry of the log and the head of a snapshot would end each node that comes upon it.</summary>
    [Fact]
    public void WhatWouldNotFit_IsRefused_AndSaysWhatWould()
    {
        MemberTable table = Three();
        for (int i = 4; i <= MetaStore.Raft.Membership.MembersMax; i++)
        {
            table = Apply(table, new AddMember([$"http://10.0.0.{i}:2380"]));
        }

        MetaStoreException many = Assert.Throws<MetaStoreException>(() => _rules.Apply(table, new AddMember(["http://10.0.1.1:2380"]), AllUp()));
        Assert.Equal((MetaStoreError.InvalidArgument, "the cluster would have 129 members; it has at most 128: remove one first"), (many.Error, many.Message));
        Apply(Apply(table, new RemoveMember(2)), new AddMember(["http://10.0.1.1:2380"]));

        string[] addresses = [.. Enumerable.Range(1, 25_000).Select(port => $"http://10.0.2.1:{port}")];
        foreach (MemberChange change in (MemberChange[])[new AddMember(addresses), new UpdateMember(2, addresses), new PublishMember(2, "n2", addresses, DirectoryId: 5)])
        {
            MetaStoreException large = Assert.Throws<MetaStoreException>(() => _rules.Apply(Three(), change, AllUp()));
            Assert.Equal(MetaStoreError.InvalidArgument, large.Error);
            Assert.Matches("would take [0-9]+ bytes, and may take 524288: give fewer or shorter addresses$", large.Message);
        }
    }

    /// <summary>Name and address of who goes are needed for as long as its vote counts.</summary>
    [Fact]
    public void WhoIsReplaced_StaysUntilTheJointMembershipIsLeft()
    {
        MemberTable before = Apply(Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true)), new PublishMember(Newcomer, "four", [], DirectoryId: 5));
        Membership target = Apply(before, new PromoteMember(Newcomer, Replacing: 2)).Because(new ChangeOrigin(1, 8, Newcomer)).ToMembership();

        Membership half = before.ToMembership().StepTo(target);
        Assert.True(half.IsJoint);
        MemberTable joint = MemberTable.From(half);
        Assert.Equal([1ul, 2, 3, Newcomer], joint.Voters.Select(voter => voter.Id));
        Assert.Equal(["http://10.0.0.2:2380"], joint.Find(2)!.PeerUrls);
        Assert.False(joint.WasRemoved(2));
        Assert.Empty(joint.Removed);

        MemberTable after = MemberTable.From(half.LeaveJoint());
        Assert.Equal([1ul, 3, Newcomer], after.Voters.Select(voter => voter.Id));
        Assert.Null(after.Find(2));
        Assert.Equal([2ul], after.Removed);
        Assert.Equal(new ChangeOrigin(1, 8, Newcomer), after.LastChange);
    }

    /// <summary>Nobody's place can be taken by one that has none to fill it, and both halves need a majority that is up.</summary>
    [Fact]
    public void AReplacementThatMeansNothing_OrWouldStandStill_IsRefused()
    {
        MemberTable table = Apply(Three(), new AddMember(["http://10.0.0.9:2380"], IsLearner: true));
        Assert.Equal(MetaStoreError.LearnerNotReady, Refusal(table, new PromoteMember(Newcomer, Replacing: 2)));

        table = Apply(table, new PublishMember(Newcomer, "four", [], DirectoryId: 5));
        Assert.Equal(MetaStoreError.MemberNotFound, Refusal(table, new PromoteMember(Newcomer, Replacing: 9)));
        Assert.Equal(MetaStoreError.InvalidArgument, Refusal(table, new PromoteMember(Newcomer, Replacing: Newcomer)));
        Assert.Equal(MetaStoreError.MemberNotLearner, Refusal(table, new PromoteMember(3, Replacing: 2)));

        // With 2 and 3 down the voters as they are have no majority; with 3 alone down both halves have one, whoever of the three goes.
        Assert.Equal(MetaStoreError.UnhealthyCluster, Answer(table, new PromoteMember(Newcomer, Replacing: 2), up: [1, Newcomer]));
        Assert.Null(Answer(table, new PromoteMember(Newcomer, Replacing: 3), up: [1, 2, Newcomer]));
        Assert.Null(Answer(table, new PromoteMember(Newcomer, Replacing: 2), up: [1, 2, Newcomer]));
        Assert.Null(Answer(table, new PromoteMember(Newcomer, Replacing: 1), up: [1, 2, Newcomer]));
    }

    /// <summary>While it is joint a membership names its voters twice, and there is a limit to how many it can name.</summary>
    [Fact]
    public void AReplacementInAClusterThatIsTooLargeForIt_IsRefused()
    {
        IEnumerable<Member> many = Enumerable.Range(1, Membership.MembersMax / 2).Select(id => new Member((ulong)id, $"n{id}", [$"http://10.0.1.{id}:2380"], []));
        MemberTable table = MemberTable.From(MemberTable.Bootstrap(many)).With(new Member(Newcomer, "new", ["http://10.0.2.1:2380"], [], IsLearner: true, DirectoryId: 5));

        MetaStoreException refused = Assert.Throws<MetaStoreException>(() => _rules.Apply(table.With(table.Find(Newcomer)! with { Id = 78, PeerUrls = ["http://10.0.2.2:2380"] }), new PromoteMember(Newcomer, Replacing: 2), AllUp()));
        Assert.Equal(MetaStoreError.InvalidArgument, refused.Error);
        Assert.EndsWith("promote 4d, and remove 2 then", refused.Message, StringComparison.Ordinal);
        table.ToMembership().StepTo(Apply(table, new PromoteMember(Newcomer, Replacing: 2)).ToMembership());
    }

    private MetaStoreError? Answer(MemberTable table, MemberChange change, ulong[] up)
    {
        try
        {
            _rules.Apply(table, change, new LeaderKnowledge(1, up.Contains, id => up.Contains(id) ? 100ul : 0, 100));
            return null;
        }
        catch (MetaStoreException refused)
        {
            return refused.Error;
        }
    }

    private MetaStoreError Refusal(MemberTable table, MemberChange change) =>
        Assert.Throws<MetaStoreException>(() => _rules.Apply(table, change, AllUp())).Error;

    private MemberTable Apply(MemberTable table, MemberChange change) => _rules.Apply(table, change, AllUp()).Table;

    private static LeaderKnowledge AllUp() => new(1, _ => true, _ => 100, 100);

    private static MemberTable Three() => MemberTable.From(MemberTable.Bootstrap(
        Enumerable.Range(1, 3).Select(id => new Member((ulong)id, $"n{id}", [$"http://10.0.0.{id}:2380"], []))));
}
