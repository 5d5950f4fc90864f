using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;

namespace MetaStore.Schedules.Scheduling;

/// <summary>As a futex: who changes the number does not wake by that. A sleep that has an end may end at any moment. Threads that run freely really sleep.</summary>
/// <param name="timePasses">Called when a sleep that has an end has ended by itself, or may have.</param>
internal sealed class ScheduledWord(Action timePasses) : WaitWord
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly object _gate = new();
    private bool _sleeps;

    public override void WaitWhile(int value, TimeSpan timeout)
    {
        if (SchedulePoint.Current is null)
        {
            SleepFreely(value, timeout);
            return;
        }

        SchedulePoint.Hit();
        if (Value != value)
        {
            return;
        }

        _sleeps = true;
        if (timeout == Timeout.InfiniteTimeSpan)
        {
            SchedulePoint.Await(() => !_sleeps);
        }
        else
        {
            SchedulePoint.Hit();
            timePasses();
        }

        _sleeps = false;
    }

    public override void WakeOne()
    {
        SchedulePoint.Hit();
        _sleeps = false;
        lock (_gate)
        {
            Monitor.Pulse(_gate);
        }
    }

    private void SleepFreely(int value, TimeSpan timeout)
    {
        lock (_gate)
        {
            if (Volatile.Read(ref Value) == value)
            {
                bool isWoken = Monitor.Wait(_gate, timeout == Timeout.InfiniteTimeSpan ? s_patience : timeout);
                if (!isWoken && timeout == Timeout.InfiniteTimeSpan)
                {
                    throw new WrongException("a thread sleeps for ever");
                }
            }
        }

        if (timeout != Timeout.InfiniteTimeSpan)
        {
            timePasses();
        }
    }
}
