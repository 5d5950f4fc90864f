using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum EpochBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>What was retired in the epoch of the oldest reader counts as safe.</summary>
    FreesOneEpochTooEarly,

    /// <summary>A slot is looked at and then taken, in two steps.</summary>
    TakesSlotInTwoSteps,

    /// <summary>The slots are looked at before the epoch ends: who enters in between is missed.</summary>
    LooksBeforeTheEpochEnds,
}

/// <summary>A frozen copy of <see cref="EpochDomain"/>, with a bug.</summary>
internal sealed class BuggyEpochs(EpochBug bug) : IEpochs
{
    private const long Outside = 0;

    private readonly long[] _slots = new long[EpochDomain.Slots];
    private long _epoch = 1;
    private long _lookedAt;

    public int Enter()
    {
        int slot = Environment.CurrentManagedThreadId % EpochDomain.Slots;
        while (true)
        {
            SchedulePoint.Hit();
            if (_slots[slot] == Outside)
            {
                long epoch = Volatile.Read(ref _epoch);
                SchedulePoint.Hit();
                if (bug == EpochBug.TakesSlotInTwoSteps)
                {
                    Volatile.Write(ref _slots[slot], epoch);
                    return slot;
                }

                if (Interlocked.CompareExchange(ref _slots[slot], epoch, Outside) == Outside)
                {
                    return slot;
                }
            }

            slot = (slot + 1) % EpochDomain.Slots;
        }
    }

    public void Leave(int slot)
    {
        SchedulePoint.Hit();
        Volatile.Write(ref _slots[slot], Outside);
    }

    public long Advance()
    {
        _lookedAt = Look() + 1;
        SchedulePoint.Hit();
        return Interlocked.Increment(ref _epoch) - 1;
    }

    public long SafeThrough() => bug == EpochBug.LooksBeforeTheEpochEnds ? _lookedAt : Look();

    private long Look()
    {
        long oldest = Volatile.Read(ref _epoch);
        for (int i = 0; i < EpochDomain.Slots; i++)
        {
            SchedulePoint.HitPlace(i);
            long epoch = Volatile.Read(ref _slots[i]);
            oldest = epoch != Outside && epoch < oldest ? epoch : oldest;
        }

        return oldest - (bug == EpochBug.FreesOneEpochTooEarly ? 0 : 1);
    }
}
