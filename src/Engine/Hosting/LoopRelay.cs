namespace MetaStore.Engine.Hosting;

/// <summary>
/// The loops at rest that a thread has signalled while it stepped another. It steps the brief ones itself when it is done, since waking a thread takes longer than most of
/// what there is to do. Never within the other's step: a loop's run is not to be interrupted by a neighbour's.
/// </summary>
internal sealed class LoopRelay
{
    private const int LoopsMax = 4;

    /// <summary>How often a thread that has no loop of its own steps one: others' work is not to keep it.</summary>
    private const int StepsMax = 4;

    [ThreadStatic]
    private static LoopRelay? t_spare;

    private readonly LoopThread?[] _loops = new LoopThread?[LoopsMax];
    private int _count;

    /// <summary>That of this thread; null where it steps nothing, or a loop that goes on for long after it has signalled another.</summary>
    [field: ThreadStatic]
    public static LoopRelay? Current { get; private set; }

    /// <summary>This thread steps loops from here on, until <see cref="End"/>.</summary>
    public static LoopRelay Begin()
    {
        Invariant.Check(Current is null, "a thread that steps a loop begins to step another in the midst of it");
        LoopRelay relay = t_spare ?? new LoopRelay();
        t_spare = null;
        Current = relay;
        return relay;
    }

    public void End()
    {
        Current = null;
        WakeOwners();
        t_spare = this;
    }

    /// <summary>Takes over the duty to see to a loop that was signalled at rest. False: it is not for this thread to step.</summary>
    public bool TryTake(LoopThread loop)
    {
        if (_count == LoopsMax || !loop.IsBrief)
        {
            return false;
        }

        _loops[_count++] = loop;
        return true;
    }

    /// <summary>Steps what has been taken, and what is taken meanwhile.</summary>
    /// <param name="own">The loop whose own thread this is: as soon as it has something to do, the others are left to theirs. Null: none.</param>
    public void StepAll(LoopThread? own)
    {
        for (int steps = 0; _count > 0; steps++)
        {
            if (own is null ? steps == StepsMax : own.IsSignalled)
            {
                WakeOwners();
                return;
            }

            Take().StepBorrowed();
        }
    }

    private void WakeOwners()
    {
        while (_count > 0)
        {
            Take().WakeOwner();
        }
    }

    private LoopThread Take()
    {
        LoopThread loop = _loops[--_count]!;
        _loops[_count] = null;
        return loop;
    }
}
