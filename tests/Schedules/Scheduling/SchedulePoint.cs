using System.Diagnostics;
using System.Runtime.CompilerServices;
using MetaStore.Schedules.RealThreads;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Engine.Memory;

/// <summary>What stands in this build in place of the engine's class of this name: on a thread that belongs to a <see cref="Scheduler"/> each mark is a place where another may go on.</summary>
internal static class SchedulePoint
{
    private const string Symbol = "SCHEDULE_POINTS";

    [ThreadStatic]
    private static Worker? t_worker;

    /// <summary>Whose thread this is; null for one that no scheduler knows, which passes all marks.</summary>
    public static Worker? Current
    {
        get => t_worker;
        set => t_worker = value;
    }

    [Conditional(Symbol)]
    public static void Hit([CallerFilePath] string file = "", [CallerMemberName] string member = "") => t_worker?.Hit(file, member);

    [Conditional(Symbol)]
    public static void HitPlace(int place, [CallerFilePath] string file = "", [CallerMemberName] string member = "")
    {
        // The others are nobody's: see Worker.FirstPlace.
        if ((uint)(place - Worker.FirstPlace) < Worker.Places)
        {
            t_worker?.Hit(file, member);
        }
    }

    [Conditional(Symbol)]
    public static void Lock(object gate, [CallerFilePath] string file = "", [CallerMemberName] string member = "") => t_worker?.Lock(gate, file, member);

    [Conditional(Symbol)]
    public static void Unlock(object gate) => t_worker?.Unlock(gate);

    [Conditional(Symbol)]
    public static void Busy(object gate) => t_worker?.Busy(gate);

    [Conditional(Symbol)]
    public static void AwaitIdle(object gate, [CallerFilePath] string file = "", [CallerMemberName] string member = "") => t_worker?.AwaitIdle(gate, file, member);

    /// <summary>Only for scenarios: goes on once the condition holds, which is asked without side effects.</summary>
    public static void Await(Func<bool> condition, [CallerFilePath] string file = "", [CallerMemberName] string member = "")
    {
        if (t_worker is { } worker)
        {
            worker.Await(condition, file, member);
            return;
        }

        FreeRun.Await(condition);
    }
}
