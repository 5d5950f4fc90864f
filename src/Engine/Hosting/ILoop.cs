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

    /// <summary>
    /// Whether whoever signals it at rest may step it in place of its own thread: a run waits for nothing, and takes no longer than it would take to wake that thread. Any
    /// thread; it may be another at any moment.
    /// </summary>
    bool IsBrief => false;

    /// <summary>Whether a run that signals other loops ends soon after, so that its thread may step those next.</summary>
    bool EndsSoonAfterSignals => false;

    /// <summary>Does what there is to do; false where there was nothing.</summary>
    bool RunOnce();
}

/// <summary>Tells a loop that its inbox is no longer empty. Any thread; returns at once; signals may merge.</summary>
internal interface ILoopSignal
{
    void Set();

    /// <summary>
    /// As <see cref="Set"/>; but where the loop is at rest and brief, it is stepped here and now, and when this returns the work is done. For callers that can do with
    /// that, and that hold no lock which a step could want.
    /// </summary>
    void SetOrRun() => Set();
}
