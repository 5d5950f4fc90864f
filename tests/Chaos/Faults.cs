using MetaStore.Simulation;
using MetaStore.Testing.Processes;

namespace MetaStore.Chaos;

/// <summary>Something that goes wrong with one node or its links, until it is undone.</summary>
internal abstract record Fault(int Victim)
{
    /// <summary>Whether a leader that is its victim can no longer commit.</summary>
    public virtual bool StopsLeader => true;

    public abstract Task InjectAsync(ChaosCluster cluster);

    public abstract Task UndoAsync(ChaosCluster cluster);
}

/// <summary>kill -9, and a new start.</summary>
internal sealed record Kill(int Victim) : Fault(Victim)
{
    public override Task InjectAsync(ChaosCluster cluster) => cluster.KillAsync(Victim);

    public override Task UndoAsync(ChaosCluster cluster) => cluster.StartNodeAsync(Victim);

    public override string ToString() => $"kill n{Victim}";
}

/// <summary>SIGSTOP and SIGCONT: the node does not know that time has passed.</summary>
internal sealed record Pause(int Victim) : Fault(Victim)
{
    public override Task InjectAsync(ChaosCluster cluster) => cluster.PauseAsync(Victim);

    public override Task UndoAsync(ChaosCluster cluster) => cluster.ResumeAsync(Victim);

    public override string ToString() => $"pause n{Victim}";
}

/// <summary>Which of the victim's links are cut.</summary>
internal enum PartitionShape
{
    /// <summary>It reaches nobody and nobody reaches it.</summary>
    Isolated,

    /// <summary>What it sends does not arrive; it hears the others.</summary>
    Mute,

    /// <summary>It hears nobody; the others hear it.</summary>
    Deaf,

    /// <summary>It and one other do not reach each other; the third reaches both.</summary>
    Bridge,
}

/// <summary>Cut links between peers, and maybe of the victim's clients too.</summary>
internal sealed record Partition(int Victim, PartitionShape Shape, LinkCut Cut, LinkDirections ClientCut) : Fault(Victim)
{
    public override bool StopsLeader => Shape != PartitionShape.Bridge;

    private int Next => (Victim + 1) % ChaosCluster.Size;

    public static Partition Draw(int victim, SimulationRandom random)
    {
        PartitionShape shape = random.NextDouble() switch
        {
            < 0.4 => PartitionShape.Isolated,
            < 0.6 => PartitionShape.Mute,
            < 0.8 => PartitionShape.Deaf,
            _ => PartitionShape.Bridge,
        };

        // Most often the clients still reach the node: it is then that it could tell them what is no longer so.
        LinkDirections clients = random.NextDouble() switch
        {
            < 0.15 => LinkDirections.Both,
            < 0.3 => LinkDirections.Backward,
            _ => LinkDirections.None,
        };
        return new Partition(victim, shape, (LinkCut)random.Next(3), clients);
    }

    public override Task InjectAsync(ChaosCluster cluster)
    {
        foreach (int other in ChaosCluster.Nodes.Where(node => node != Victim && (Shape != PartitionShape.Bridge || node == Next)))
        {
            if (Shape != PartitionShape.Deaf)
            {
                cluster.CutPeers(Victim, other, Cut);
            }

            if (Shape != PartitionShape.Mute)
            {
                cluster.CutPeers(other, Victim, Cut);
            }
        }

        if (ClientCut != LinkDirections.None)
        {
            cluster.CutClients(Victim, Cut, ClientCut);
        }

        return Task.CompletedTask;
    }

    public override Task UndoAsync(ChaosCluster cluster)
    {
        // Of all partitions that are in force: two at a time have one end.
        cluster.HealLinks();
        return Task.CompletedTask;
    }

    public override string ToString() =>
        $"partition n{Victim} {Shape}{(Shape == PartitionShape.Bridge ? $" n{Next}" : string.Empty)} {Cut}{(ClientCut == LinkDirections.None ? string.Empty : $", clients {ClientCut}")}";
}
