using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Members;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>
/// An operator who changes the members while everything else goes wrong: adds, removes, promotes, moves the leader, through whichever node is
/// up, and starts whoever is added, as soon as any node's log says so, for the answer may be lost.
/// </summary>
internal sealed class MembershipNemesis(World world, SimulationRandom random)
{
    private const int MembersMax = 5;
    private const int NodesMax = 9;

    /// <summary>Longer than what a node that died had passed on can be under way, be the leader paused or its disk stalled.</summary>
    private const long UnderWayMax = 20 * VirtualTime.Second;

    private readonly List<(SimulatedNode Node, NodeCore Life, long Time)> _asked = [];
    private readonly MembershipAnswers _answers = new();
    private int _added;

    /// <summary>Learners that took a voter's place, through a joint configuration, and whoever asked was told so.</summary>
    public int Replaced => _answers.Replaced;

    /// <summary>What was said to those who asked is so: see <see cref="MembershipAnswers.Check"/>.</summary>
    public void CheckAnswers(IReadOnlyList<Membership> committed) => _answers.Check(committed);

    /// <summary>Whether a node that is still in the life in which it was asked owes an answer.</summary>
    public bool IsBusy => _asked.Exists(request => ReferenceEquals(request.Node.Core, request.Life));

    /// <summary>Whether something that was asked for may come to be yet.</summary>
    public bool IsChangeInTheOffing => IsBusy || _asked.Exists(request => world.Time.Now - request.Time < UnderWayMax);

    /// <summary>One change, at a node of the dice's choice; false where none was asked for.</summary>
    public bool Change()
    {
        SimulatedNode[] up = [.. world.Nodes.Where(node => node.IsUp && !node.IsPaused)];
        SimulatedNode[] unsound = [.. world.Nodes.Where(node => node.IsUnsound && world.Nodes.Any(other => other.Memberships.Any(view => view.Membership.Contains(node.Id))))];

        // With a member out of action besides, the one that is taken away or let in might be the one that a majority needs.
        if (up.Length == 0 || Array.Exists(unsound, node => !node.IsRetired))
        {
            return false;
        }

        SimulatedNode asked = up[random.Next(up.Length)];
        NodeCore core = asked.Core!;
        Member[] members = [.. MemberTable.From(core.Node.Raft.Membership).Members];
        if (members.Length == 0)
        {
            return false; // Added, and not told of anybody yet.
        }

        if (unsound.Length > 0)
        {
            // What it held is gone for good: it is removed, and another takes its place later.
            Ask(asked, new RemoveMember(unsound[random.Next(unsound.Length)].Id.Value));
            return true;
        }

        Member any = members[random.Next(members.Length)];
        switch (random.Next(5))
        {
            case 0 or 1 when members.Length < MembersMax && world.Nodes.Count < NodesMax:
                bool isLearner = random.Chance(0.5);
                bool isWitness = world.Options.Witnesses && random.Chance(0.5);
                Ask(asked, new AddMember([$"http://added{++_added}:2380"], isLearner, isWitness));
                break;
            case 2:
                Ask(asked, new RemoveMember(any.Id));
                break;
            case 3:
                ulong learner = members.FirstOrDefault(member => member.IsLearner)?.Id ?? any.Id;
                Member[] voters = [.. members.Where(member => !member.IsLearner)];
                ulong replaced = random.Chance(0.7) ? voters[random.Next(voters.Length)].Id : 0;
                Ask(asked, new PromoteMember(learner, replaced));
                break;
            case 4 when world.Options.Priorities && random.Chance(0.7):
                Ask(asked, new UpdateMember(any.Id, [], Priority: (byte)(50 * random.Next(6))));
                break;
            default:
                Await(asked, core.MoveLeaderAsync(any.Id), change: null);
                break;
        }

        return true;
    }

    /// <summary>
    /// As the peer transport does when it connects, which it tries all the time: a node that was removed while it was away, or comes with another
    /// directory, is refused by those whom it still takes for its peers.
    /// </summary>
    public void RefuseRemoved()
    {
        foreach (SimulatedNode node in world.Nodes.Where(node => node.IsUp && !node.IsPaused).ToArray())
        {
            // Who has been told of nobody asks those whom it was given at its start.
            Membership known = node.Core!.Node.Raft.Membership;
            IEnumerable<SimulatedNode?> peers = known.All.Any() ? known.All.Select(world.Find) : world.Nodes.Where(other => other != node);
            SimulatedNode? refusing = peers.FirstOrDefault(peer =>
                peer is { Core: not null }
                && !world.Network.IsCut(node.Id, peer.Id)
                && !world.Network.IsCut(peer.Id, node.Id)
                && peer.Known.Judge(node.Id.Value, node.Core!.DirectoryId) is not null);
            if (refusing is not null)
            {
                node.Core.ReportRefused(refusing.Id, refusing.Known.Judge(node.Id.Value, node.Core.DirectoryId)!.Value, "refused");
            }
            else if (IsStray(node))
            {
                node.Core.ReportRefused(node.Id, MemberRefusal.DirectoryReplaced, "the cluster does not know it"); // Its operator takes it away.
            }
        }
    }

    /// <summary>
    /// The cluster has never heard of it, or not in a way that lasts: the leader that added it died with the news, having told nobody but the node itself. Or the cluster has removed it since, and
    /// all whom it knows as well. Of a node that is down nobody knows what it comes back with, nor of a change that is under way what becomes of it.
    /// </summary>
    private bool IsStray(SimulatedNode node)
    {
        SimulatedNode[] others = [.. world.Nodes.Where(other => other != node && !other.IsRetired)];
        (Membership Membership, bool IsCommitted)[] known = [.. others.SelectMany(other => other.Memberships).Where(view => view.Membership.All.Any())];
        return known.Length > 0
            && Array.TrueForAll(others, other => other.IsUp)
            && Array.TrueForAll(known, view => view.IsCommitted && !view.Membership.Contains(node.Id))
            && (!node.Core!.View.Membership.Contains(node.Id) || WasRemovedByStrangers(node));
    }

    /// <summary>Nobody is left of those it knows, so nobody tells it that it was removed: its operator knows.</summary>
    private bool WasRemovedByStrangers(SimulatedNode node) =>
        MemberTable.From(world.Groups[0].Invariants.Memberships[^1]).WasRemoved(node.Id.Value)
        && node.Core!.Node.Raft.Membership.All.All(member => member == node.Id || world.Find(member) is { IsRetired: true });

    /// <summary>Starts the members that no node runs for yet.</summary>
    public void StartMembers()
    {
        foreach (NodeId member in world.Nodes.Where(node => node.IsUp).SelectMany(node => node.Core!.Node.Raft.Membership.All).Distinct().ToArray())
        {
            if (world.Find(member) is null)
            {
                world.AddNode(member);
            }
        }
    }

    private void Ask(SimulatedNode node, MemberChange change) => Await(node, node.Core!.ChangeMembersAsync(change), change);

    private void Await(SimulatedNode node, ValueTask<MembersResponse> answer, MemberChange? change)
    {
        (SimulatedNode, NodeCore, long) request = (node, node.Core!, world.Time.Now);
        int known = world.Groups[0].Invariants.Memberships.Count;
        _asked.Add(request);
        ValueTaskAwaiter<MembersResponse> awaiter = answer.GetAwaiter();
        if (awaiter.IsCompleted)
        {
            Observe(awaiter, request, change, known);
        }
        else
        {
            awaiter.UnsafeOnCompleted(world.Time.Continuation(() => Observe(awaiter, request, change, known)));
        }
    }

    private void Observe(ValueTaskAwaiter<MembersResponse> awaiter, (SimulatedNode, NodeCore, long) request, MemberChange? change, int known)
    {
        _asked.Remove(request);
        try
        {
            MembersResponse answer = awaiter.GetResult();
            _answers.Made(change, answer, known);
        }
        catch (MetaStoreException refusal)
        {
            _answers.Refused(change, refusal);
        }
    }
}
