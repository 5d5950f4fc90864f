using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>The world outside a node: everything in it that a test replaces.</summary>
internal sealed class NodeSeams
{
    public required IDisk Disk { get; init; }

    public required IPeerTransport Transport { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>A signal for the loop of that name (node, log, apply, snapshot, watch).</summary>
    public required Func<string, ILoopSignal> Signals { get; init; }

    /// <summary>Who helps with work that is large.</summary>
    public IForkJoin Parts { get; init; } = InlineForkJoin.One;

    /// <summary>False in the simulator, where there is one thread.</summary>
    public required bool RunContinuationsAsynchronously { get; init; }
}
