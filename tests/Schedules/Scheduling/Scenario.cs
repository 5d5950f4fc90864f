namespace MetaStore.Schedules.Scheduling;

/// <summary>
/// A few threads that meet in one lock-free piece, and what must hold. One object serves many schedules, one after the other. All it does depends on the schedule alone.
/// </summary>
internal abstract class Scenario
{
    /// <summary>The names of the logical threads.</summary>
    public abstract IReadOnlyList<string> Threads { get; }

    /// <summary>Before a schedule, on one thread: builds everything anew.</summary>
    public abstract void Begin();

    /// <summary>The logical thread. Whatever it throws is a failure of the schedule.</summary>
    public abstract void Run(int thread);

    /// <summary>All threads have ended: what must hold then.</summary>
    public abstract void End();

    /// <summary>Gives back what the schedule held, however it ended.</summary>
    public virtual void Discard()
    {
    }

    /// <summary>What a thread saw must be so.</summary>
    protected static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new WrongException(what);
        }
    }
}

/// <summary>A scenario saw what must not be.</summary>
internal sealed class WrongException(string message) : Exception(message);
