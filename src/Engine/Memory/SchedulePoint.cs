using System.Diagnostics;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Marks in the lock-free pieces where another thread may come in between and matter: before each access to memory that others write or reclaim, and around each lock. A build with
/// SCHEDULE_POINTS has a class of the same name in place of this one, which hands over to another thread there (tests/Schedules). In any other build the compiler drops the calls, with their arguments.
/// </summary>
internal static class SchedulePoint
{
    private const string Symbol = "SCHEDULE_POINTS";

    /// <summary>The access that follows is to memory that others look at or change.</summary>
    [Conditional(Symbol)]
    public static void Hit()
    {
    }

    /// <summary>As <see cref="Hit"/>, to one of many places, most of which nobody uses.</summary>
    [Conditional(Symbol)]
    public static void HitPlace(int place)
    {
    }

    /// <summary>The lock is about to be entered.</summary>
    [Conditional(Symbol)]
    public static void Lock(object gate)
    {
    }

    /// <summary>The lock is left, or what <see cref="Busy"/> announced is over.</summary>
    [Conditional(Symbol)]
    public static void Unlock(object gate)
    {
    }

    /// <summary>From here on others wait at <see cref="AwaitIdle"/>, though nobody entered a lock: a callback that the runtime waits for has begun.</summary>
    [Conditional(Symbol)]
    public static void Busy(object gate)
    {
    }

    /// <summary>Waits for what <see cref="Busy"/> announced, unless it is this thread's own.</summary>
    [Conditional(Symbol)]
    public static void AwaitIdle(object gate)
    {
    }
}
