using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Hosting;

/// <summary>What the groups of a node have in common.</summary>
internal sealed class NodeShared(NodeSettings settings, NodeSeams seams, NodeStorage storage)
{
    private volatile bool _refusesNew;
    private volatile bool _loopsEnded;

    public NodeSettings Settings { get; } = settings;

    public NodeSeams Seams { get; } = seams;

    public NodeStorage Storage { get; } = storage;

    /// <summary>A log that fails, fails for all groups: they share the file, and the sync.</summary>
    public NodeFailure Failure { get; } = new();

    /// <summary>One pool and one limit for all groups: what is under way takes memory of the node, whichever group it is for.</summary>
    public PendingOperationPool Operations { get; } = new(seams.RunContinuationsAsynchronously);

    /// <summary>The node is stopping: nothing new is taken.</summary>
    public bool RefusesNew => _refusesNew;

    /// <summary>The loops run no more: whoever puts something in must take it out.</summary>
    public bool LoopsEnded => _loopsEnded;

    public void RefuseNew() => _refusesNew = true;

    public void EndLoops()
    {
        _refusesNew = true;
        _loopsEnded = true;
    }
}
