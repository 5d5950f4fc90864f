using MetaStore.Engine.Members;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>What the leader does about the members by itself.</summary>
public sealed class MembershipDeskTests
{
    private static readonly Member s_self = new(1, "n1", ["http://n1:2380"], [], DirectoryId: 1);

    private readonly RaftNode _raft = new(new RaftOptions { Id = new NodeId(1), Voters = [new NodeId(1)], Seed = 1, ReadOrigin = 1 });
    private NodeId _behind;
    private readonly MembershipDesk _desk = new(s_self, new MemberRules(learnersMax: 1, () => 9), electionTicks: 10, (_, _, _) => { }, _ => throw new NotSupportedException(), readOrigin: 2, firstSequence: 0);

    /// <summary>One voter and two witnesses are no cluster: the second waits for a member with data, which stands behind it.</summary>
    [Fact]
    public void AReadyLearnerThatIsRefused_IsNotInTheWayOfTheNext()
    {
        _raft.Campaign();
        Settle();
        MemberTable table = MemberTable.From(MemberTable.Bootstrap([s_self])).With(Learner(2, isWitness: true)).With(Learner(3, isWitness: true)).With(Learner(4, isWitness: false));
        Assert.Equal(MembershipResult.Accepted, _raft.ChangeMembership(table.ToMembership()));
        PassTicks(20);
        Assert.Equal([1ul, 2, 3, 4], _raft.Membership.Voters.Select(voter => voter.Value));
    }

    /// <summary>Those that were asked for, and not what the leader does by itself.</summary>
    [Fact]
    public void Promotions_AreCounted_ByWhatCameOfThem()
    {
        _raft.Campaign();
        Settle();
        _behind = new NodeId(2);
        Member asked = Learner(2, isWitness: false) with { PromoteWhenReady = false };
        MemberTable table = MemberTable.From(MemberTable.Bootstrap([s_self])).With(asked).With(Learner(3, isWitness: false));
        Assert.Equal(MembershipResult.Accepted, _raft.ChangeMembership(table.ToMembership()));
        PassTicks(20);
        Assert.Equal([1ul, 3], _raft.Membership.Voters.Select(voter => voter.Value));
        Assert.Equal(0, _desk.Promotions.Succeeded);

        Ask(id: 1, new PromoteMember(2));
        _behind = NodeId.None;
        Ask(id: 2, new PromoteMember(2));

        Assert.Equal([1ul, 2, 3], _raft.Membership.Voters.Select(voter => voter.Value));
        Assert.Equal(1, _desk.Promotions.Succeeded);
        Assert.Equal([KeyValuePair.Create(MetaStoreError.LearnerNotReady, 1L)], _desk.Promotions.Failed);

        void Ask(ulong id, MemberChange change)
        {
            _desk.Receive(
                new Message { Kind = MessageKind.Forward, From = new NodeId(3), To = _raft.Id, Chunk = ForwardCodec.EncodeRequest(id, new ClusterRequest(change, 0)) }, _raft);
            PassTicks(20);
        }
    }

    private void PassTicks(int ticks)
    {
        for (int tick = 0; tick < ticks; tick++)
        {
            Settle();
            _desk.Tick(_raft);
            _desk.Run(_raft);
        }

        Settle();
    }

    private static Member Learner(ulong id, bool isWitness) => new(id, $"n{id}", [$"http://n{id}:2380"], [], IsLearner: true, PromoteWhenReady: true, IsWitness: isWitness, DirectoryId: id);

    /// <summary>The disk takes everything, and the others acknowledge it.</summary>
    private void Settle()
    {
        do
        {
            while (_raft.HasReady)
            {
                Ready ready = _raft.TakeReady();
                foreach (Entry entry in ready.Committed.Where(entry => entry.Kind == EntryKind.Membership))
                {
                    _desk.Committed(entry, MembershipCodec.Decode(entry.Data));
                }

                if (ready.Append is { } append)
                {
                    _raft.Advance(new WriteReceipt(append.WriteId));
                }
            }

            foreach (NodeId peer in _raft.Membership.All.Where(peer => peer != _raft.Id && peer != _behind))
            {
                _raft.Step(new Message { Kind = MessageKind.AppendReply, From = peer, To = _raft.Id, Term = _raft.Term, Index = _raft.LastIndex });
            }
        }
        while (_raft.HasReady);
    }
}
