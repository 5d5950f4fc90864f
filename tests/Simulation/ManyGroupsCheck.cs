using MetaStore.Engine.Hosting;
using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>
/// What many groups on few nodes must do once everything has healed: each answers, each falls asleep, those that sleep send nothing, and those
/// whose leader's node dies wake and go on.
/// </summary>
internal sealed class ManyGroupsCheck(World world)
{
    private const int OperationsPerGroup = 4;
    private const long Silence = 10 * VirtualTime.Second;

    public void Run()
    {
        world.ReadAndWriteOnce(OperationsPerGroup);
        if (world.Nodes.Any(node => !node.IsUp))
        {
            return; // One refuses its rotten disk: the groups that have a member which is gone and behind stay awake.
        }

        world.RunUntil(AllSleep);
        CheckSilence();
        KillALeadersNode();
        world.RunUntil(world.Agree);
    }

    /// <summary>A group whose member still has something to say, once its time comes, does not sleep there, though Raft is at rest.</summary>
    private bool AllSleep() => world.Nodes.All(
        node => node.Host is GroupHost host && host.Asleep == world.Groups.Count && host.Groups.All(group => group.Node.IsAsleep));

    private void CheckSilence()
    {
        long messages = world.Network.GroupMessages;
        long beats = world.Network.Beats;
        world.RunFor(Silence);
        if (world.Network.GroupMessages != messages)
        {
            throw new SimulationFailure(FailureKind.Correctness, $"{world.Groups.Count} groups that sleep sent {world.Network.GroupMessages - messages} messages");
        }

        // One with each tick to each other node, however many groups there are, by a clock that may be fast.
        long pairs = world.Nodes.Count * (world.Nodes.Count - 1);
        long most = (long)(pairs * ((Silence / SimulatedNode.Tick) + 1) * (1 + world.Options.ClockDriftMax));
        if (world.Network.Beats == beats || world.Network.Beats - beats > most)
        {
            throw new SimulationFailure(
                FailureKind.Correctness, $"{world.Network.Beats - beats} beats between {world.Nodes.Count} nodes in {Silence / VirtualTime.Second} s; at least 1 and at most {most} are right");
        }
    }

    /// <summary>Nobody asks for anything: the silence of the node alone must wake its groups.</summary>
    private void KillALeadersNode()
    {
        SimulatedNode leader = world.Nodes.First(node => node.LeadsAny);
        leader.IsKeptDown = true;
        leader.Crash(CrashPolicy.LoseAll);
        world.RunUntil(world.HaveLeaders);
        world.ReadAndWriteOnce(OperationsPerGroup);
        leader.IsKeptDown = false;
        leader.Start();
        world.RunUntil(() => world.Nodes.All(node => node.IsUp));
    }
}
