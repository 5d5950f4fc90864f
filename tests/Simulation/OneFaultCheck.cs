using MetaStore.Raft;
using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>
/// What the cluster must do while one thing is broken, and only one: a majority that is up, whole and connected goes on answering, under another leader where the former one is what broke; and where
/// only a follower is cut off, from all or from the leader alone, nobody else is elected, neither meanwhile nor when it comes back.
/// </summary>
internal sealed class OneFaultCheck(World world, SimulationRandom random)
{
    private const int Operations = 5;
    private const long Undisturbed = 5 * VirtualTime.Second;

    // Beside an election: a request that went to the leader that was lost is given up after three seconds, and so may be a second one, which went to who had not noticed.
    private const long AnswersMax = 10 * VirtualTime.Second;

    private SimulatedNode[] _voters = [];
    private SimulatedNode _leader = null!;

    private bool HasSoundVoters
    {
        get
        {
            Membership membership = world.Nodes.Where(node => node.IsUp).MaxBy(node => node.Core!.View.AppliedIndex)!.Core!.View.Membership;
            SimulatedNode?[] voters = [.. membership.Voters.Select(world.Find)];
            _voters = [.. voters.OfType<SimulatedNode>().Where(node => node.IsUp && !node.IsUnsound)];
            return membership.Voters.Count >= 3 && _voters.Length == membership.Voters.Count && _voters.Count(HoldsData) >= 2;
        }
    }

    /// <summary>False: there are no three voters that are whole, and nothing was broken.</summary>
    public bool Run()
    {
        if (!HasSoundVoters)
        {
            return false;
        }

        _leader = world.Nodes.First(node => node.LeadsAny);
        switch (random.Next(5))
        {
            case 0:
                LoseLeader(Kill, leader => leader.IsKeptDown = false);
                break;
            case 1:
                LoseLeader(leader => Sever((one, _) => one == leader.Id), _ => Sever((_, _) => false));
                break;
            case 2:
                StallLeader();
                break;
            case 3:
                LoseFollower(follower => Sever((one, _) => one == follower.Id), _ => Sever((_, _) => false));
                break;
            default:
                LoseFollower(follower => Sever((one, other) => one == follower.Id && other == _leader.Id), _ => Sever((_, _) => false));
                break;
        }

        foreach (SimulatedNode node in world.Nodes)
        {
            node.Start();
        }

        world.RunUntil(() => world.Nodes.All(node => node.IsUp || node.IsRetired) && world.Agree());
        return true;
    }

    private static bool HoldsData(SimulatedNode node) => !node.Core!.IsWitness;

    /// <summary>Be it a learner that has become a voter meanwhile.</summary>
    private bool AnotherLeads(SimulatedNode than) => world.Nodes.Any(node => node != than && node.LeadsAny);

    private void Sever(Func<NodeId, NodeId, bool> isSevered) => world.Network.IsSevered = isSevered;

    private static void Kill(SimulatedNode node)
    {
        node.IsKeptDown = true;
        node.Crash(CrashPolicy.LoseAll);
    }

    /// <summary>Whoever leads is lost: within the time of an election, and that after which a lost one is missed, another leads, and answers.</summary>
    private void LoseLeader(Action<SimulatedNode> lose, Action<SimulatedNode> giveBack)
    {
        SimulatedNode lost = _leader;
        lose(lost);
        SimulatedNode[] others = [.. _voters.Where(node => node != lost)];
        world.RunUntil(() => AnotherLeads(than: lost), 2 * world.ElectionTimeMax);
        world.AwaitAnswers([.. others.Where(HoldsData)], Operations, AnswersMax);
        giveBack(lost);
    }

    /// <summary>A leader whose disk stands still goes on answering, by the others' disks, but once it has noticed it lets another lead.</summary>
    private void StallLeader()
    {
        SimulatedNode stalled = _leader;
        SimulatedNode[] others = [.. _voters.Where(node => node != stalled && HoldsData(node))];
        stalled.StallDisk(long.MaxValue / 2);
        long enough = world.Time.Now + (2 * world.ElectionTimeMax);
        while (stalled.LeadsAny)
        {
            if (world.Time.Now > enough)
            {
                throw new SimulationFailure(FailureKind.Liveness, $"node {stalled.Id} leads on, though its disk stands still");
            }

            world.AwaitPut(others, AnswersMax, () => stalled.LeadsAny); // A leader that has nothing to write does not notice.
            world.RunFor(50 * VirtualTime.Millisecond);
        }

        world.RunUntil(() => AnotherLeads(than: stalled), 2 * world.ElectionTimeMax);
        world.AwaitAnswers(others, Operations, AnswersMax);
        stalled.Resume();
    }

    private void LoseFollower(Action<SimulatedNode> lose, Action<SimulatedNode> giveBack)
    {
        SimulatedNode[] followers = [.. _voters.Where(node => node != _leader)];
        SimulatedNode lost = followers[random.Next(followers.Length)];
        Term term = _leader.Core!.Node.Raft.Term;
        lose(lost);
        world.AwaitAnswers([_leader], Operations, AnswersMax);
        world.RunFor(Undisturbed);
        RequireSameLeader(term, $"while node {lost.Id} was cut off");
        giveBack(lost);
        world.RunFor(Undisturbed);
        RequireSameLeader(term, $"when node {lost.Id} came back");
    }

    /// <summary>Where members have priorities, leadership may be handed to another at any time.</summary>
    private void RequireSameLeader(Term term, string when)
    {
        RaftNode raft = _leader.Core!.Node.Raft;
        if (!world.Options.Priorities && (raft.Role != Role.Leader || raft.Term != term))
        {
            throw new SimulationFailure(FailureKind.Liveness, $"{when}, node {_leader.Id}, which led in term {term}, was unseated: it is {raft.Role} in term {raft.Term}");
        }
    }
}
