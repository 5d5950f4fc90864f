using System.Numerics;

namespace MetaStore.Engine.Leases;

/// <summary>
/// Something that waits in a <see cref="TimerWheel"/>: a link of the list of its slot.
/// </summary>
internal abstract class Timed
{
    internal Timed? Next { get; set; }

    internal Timed? Previous { get; set; }

    /// <summary>The list it hangs in: level × 64 + slot; -1: none.</summary>
    internal int Place { get; set; } = -1;

    /// <summary>When it is due, in ticks of the wheel.</summary>
    public long Due { get; internal set; }
}

/// <summary>
/// A hierarchical timer wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987): adding, removing and firing cost the same however many wait. Level 0 has a slot for each of the next 64 ticks,
/// level 1 one for each of the next 64 times 64, and so on; when the time comes to a slot of a higher level, what hangs there is spread over the lower ones. Knows no clock.
/// </summary>
/// <remarks>
/// Invariant: what waits has a due time after <see cref="Now"/>, and hangs at the lowest level whose slot tells its due time from now, which is where
/// the two times differ in their highest digit to the base of 64.
/// </remarks>
internal sealed class TimerWheel(long now)
{
    private const int Bits = 6;
    private const int Slots = 1 << Bits;
    private const int Levels = (63 + Bits - 1) / Bits;

    private readonly Timed?[] _slots = new Timed?[Levels * Slots];
    private readonly ulong[] _taken = new ulong[Levels];

    /// <summary>The tick that the wheel has come to.</summary>
    public long Now { get; private set; } = now;

    public int Count { get; private set; }

    /// <summary>Waits until <paramref name="due"/>; where that has come, until the next tick.</summary>
    public void Add(Timed timer, long due)
    {
        Invariant.Check(timer.Place < 0, "a timer is added twice");
        timer.Due = Math.Max(due, Now + 1);
        Hang(timer);
        Count++;
    }

    /// <summary>Waits no more. One that does not wait is left alone.</summary>
    public void Remove(Timed timer)
    {
        if (timer.Place < 0)
        {
            return;
        }

        Unhang(timer);
        Count--;
    }

    /// <summary>The time comes to <paramref name="now"/>: whatever is due by then is taken out and handed over, in the order of its due times.</summary>
    public void Advance(long now, Action<Timed> fire)
    {
        while (Now < now)
        {
            // Where nothing hangs between here and the end of this turn of level 0, the time goes there at once.
            Now = Math.Min(now, NextStop());
            Spread();
            int place = (int)(Now & (Slots - 1));
            while (_slots[place] is { } due)
            {
                Unhang(due);
                Count--;
                fire(due);
            }
        }
    }

    /// <summary>The next tick at which something is due on level 0, or at which a slot of a higher level must be spread.</summary>
    private long NextStop()
    {
        int at = (int)(Now & (Slots - 1));
        ulong later = at == Slots - 1 ? 0 : _taken[0] & (ulong.MaxValue << (at + 1));
        return later != 0 ? (Now & ~(long)(Slots - 1)) + BitOperations.TrailingZeroCount(later) : (Now | (Slots - 1)) + 1;
    }

    /// <summary>The time has come to the beginning of slots of higher levels: what hangs there goes down, the highest first.</summary>
    private void Spread()
    {
        int highest = 0;
        while (highest + 1 < Levels && (Now & ((1L << (Bits * (highest + 1))) - 1)) == 0)
        {
            highest++;
        }

        for (int level = highest; level > 0; level--)
        {
            int place = (level * Slots) + (int)((Now >> (Bits * level)) & (Slots - 1));
            while (_slots[place] is { } timer)
            {
                Unhang(timer);
                Hang(timer);
            }
        }
    }

    private void Hang(Timed timer)
    {
        long differ = timer.Due ^ Now;
        int level = differ == 0 ? 0 : (63 - BitOperations.LeadingZeroCount((ulong)differ)) / Bits;
        int slot = (int)((timer.Due >> (Bits * level)) & (Slots - 1));
        int place = (level * Slots) + slot;
        timer.Place = place;
        timer.Previous = null;
        timer.Next = _slots[place];
        if (timer.Next is not null)
        {
            timer.Next.Previous = timer;
        }

        _slots[place] = timer;
        _taken[level] |= 1UL << slot;
    }

    private void Unhang(Timed timer)
    {
        int place = timer.Place;
        if (timer.Previous is null)
        {
            _slots[place] = timer.Next;
        }
        else
        {
            timer.Previous.Next = timer.Next;
        }

        if (timer.Next is not null)
        {
            timer.Next.Previous = timer.Previous;
        }

        if (_slots[place] is null)
        {
            _taken[place / Slots] &= ~(1UL << (place % Slots));
        }

        timer.Next = null;
        timer.Previous = null;
        timer.Place = -1;
    }
}
