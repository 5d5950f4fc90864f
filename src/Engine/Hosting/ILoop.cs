namespace MetaStore.Engine.Hosting;

/// <summary>
/// A loop of a node: takes from its inbox, computes, emits effects. It has no thread of its own: in production a
/// <see cref="LoopThread"/> steps it, in the simulator one thread steps the loops of all nodes in the order of the seed.
/// </summary>
internal interface ILoop
{
    string Name { get; }

    /// <summary>When it wants to run even if nothing arrives: a timestamp of the node's clock; <see cref="long.MaxValue"/> for never.</summary>
    long NextWake { get; }

    /// <summary>Does what there is to do; false where there was nothing.</summary>
    bool RunOnce();
}

/// <summary>Tells a loop that its inbox is no longer empty. Any thread; returns at once; signals may merge.</summary>
internal interface ILoopSignal
{
    void Set();
}
