using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>What is known of one Raft group of a run, over all its nodes: what must hold of it, and what clients saw of it.</summary>
internal sealed class SimulatedGroup(GroupId id)
{
    public GroupId Id { get; } = id;

    public ClusterInvariants Invariants { get; } = new();

    public History History { get; } = new();

    public WatchWitness Watches { get; } = new();

    /// <summary>The highest revision that a client has seen.</summary>
    public long Revision { get; set; }
}
