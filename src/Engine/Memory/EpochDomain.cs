using System.Runtime.InteropServices;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Says when memory that was made unreachable may be used again: when every reader that may have seen it has left (epoch-based reclamation; K. Fraser,
/// "Practical lock-freedom", 5.2.3). The rules:
/// <list type="number">
/// <item>A reader enters before it looks at anything that leads to native memory (the published view first of all), and leaves when it holds no address any more.
/// What it wants to keep it copies. It stays inside for a short, synchronous time: no waiting, no code of a user.</item>
/// <item>The writer makes a block unreachable for whoever enters from now on, then retires it. It never frees what was reachable.</item>
/// <item>What was retired in an epoch is freed when no reader is inside that entered in that epoch or before.</item>
/// </list>
/// Any number of readers, one writer.
/// </summary>
internal sealed class EpochDomain
{
    /// <summary>Readers that can be inside at a time; one more waits.</summary>
    public const int Slots = 64;

    private const long Outside = 0;

    private readonly Slot[] _slots = new Slot[Slots];
    private long _epoch = 1;

    /// <summary>The epoch that a reader who enters now belongs to.</summary>
    public long Current => Volatile.Read(ref _epoch);

    /// <summary>Takes a slot, which <see cref="Leave"/> gives back. Nests: an inner reader has a slot of its own.</summary>
    public int Enter()
    {
        int slot = Environment.CurrentManagedThreadId % Slots;
        for (int tries = 0; ; tries++)
        {
            // The exchange is a full fence: what is read behind it was not read before it. Had the epoch gone on meanwhile, the reader counts as older than it is,
            // which holds memory back and frees none too early.
            SchedulePoint.Hit();
            if (_slots[slot].Epoch == Outside)
            {
                long epoch = Current;
                SchedulePoint.Hit();
                if (Interlocked.CompareExchange(ref _slots[slot].Epoch, epoch, Outside) == Outside)
                {
                    return slot;
                }
            }

            slot = (slot + 1) % Slots;
            if (tries >= Slots)
            {
                Thread.Yield(); // More readers at once than slots; each is inside for a moment only.
            }
        }
    }

    public void Leave(int slot)
    {
        SchedulePoint.Hit();
        Volatile.Write(ref _slots[slot].Epoch, Outside);
    }

    /// <summary>Writer only: what was made unreachable up to here belongs to the epoch that ends, which is returned.</summary>
    public long Advance()
    {
        // A full fence: whoever is not seen in a slot afterwards sees what was published before.
        SchedulePoint.Hit();
        return Interlocked.Increment(ref _epoch) - 1;
    }

    /// <summary>Writer only: whatever was retired in this epoch or before can be seen by nobody.</summary>
    public long SafeThrough()
    {
        long oldest = Current;
        for (int i = 0; i < Slots; i++)
        {
            SchedulePoint.HitPlace(i);
            long epoch = Volatile.Read(ref _slots[i].Epoch);
            oldest = epoch != Outside && epoch < oldest ? epoch : oldest;
        }

        return oldest - 1;
    }

    /// <summary>A cache line of its own, and the one that is fetched along with it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Slot
    {
        [FieldOffset(0)]
        public long Epoch;
    }
}
