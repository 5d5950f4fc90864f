namespace MetaStore.Engine.Memory;

/// <summary>A change as the log of events holds it: the key, and the version that the change made.</summary>
internal readonly record struct LoggedEvent(KeyRecord Record, VersionRecord Version);

/// <summary>
/// What <see cref="Revisions"/> revisions in a row changed, in native memory. One writer appends; readers see what was written before the view was published that they
/// hold. A handle, as good as its memory: only inside a <see cref="ReadSection"/>, or on the writer's loop.
/// <code>
///   offset  length
///   0       8         its first revision
///   8       8         address of the events, 16 bytes each: key record, version record
///   16      4         events there are
///   20      4         events there is room for
///   24      4         the newest revision that was begun, counted from the first; -1 for none
///   28      4         zero
///   32      256 * 4   of each revision where its events end; 0 behind the newest
/// </code>
/// </summary>
internal readonly unsafe struct EventSegment(nint address) : IEquatable<EventSegment>
{
    public const int Revisions = 256;

    private const int EndsOffset = 32;
    private const int Bytes = EndsOffset + (Revisions * sizeof(int));
    private const int FirstRoom = Revisions;

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    /// <summary>Its first revision.</summary>
    public long First => *(long*)At;

    private Span<int> Ends => new((void*)(At + EndsOffset), Revisions);

    private nint At
    {
        get
        {
            if (MemoryChecks.Enabled)
            {
                BlockGuard.Check(Address);
            }

            return Address;
        }
    }

    public static EventSegment Create(StoreMemory memory, long first)
    {
        nint address = memory.Allocate(Bytes);
        new Span<byte>((void*)address, Bytes).Clear();
        *(long*)address = first;
        *(nint*)(address + 8) = memory.Allocate(BytesOf(FirstRoom));
        *(int*)(address + 20) = FirstRoom;
        *(int*)(address + 24) = -1;
        return new EventSegment(address);
    }

    public void Append(StoreMemory memory, long revision, in LoggedEvent e)
    {
        nint at = At;
        int position = (int)(revision - First);
        int last = *(int*)(at + 24);
        int count = *(int*)(at + 16);
        Invariant.Check(position >= last && position < Revisions, $"an event of revision {revision} follows one of revision {First + last}");
        if (count == *(int*)(at + 20))
        {
            Grow(memory, count);
        }

        SchedulePoint.Hit();
        ((LoggedEvent*)*(nint*)(at + 8))[count] = e;
        *(int*)(at + 16) = count + 1;
        Span<int> ends = Ends;
        for (int i = last + 1; i < position; i++)
        {
            ends[i] = count; // Revisions that nobody kept anything of.
        }

        SchedulePoint.Hit();
        ends[position] = count + 1;
        *(int*)(at + 24) = position;
    }

    /// <summary>What a revision changed that a view has published.</summary>
    public ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        SchedulePoint.Hit();
        int position = (int)(revision - First);
        int end = Ends[position];
        int start = position == 0 ? 0 : Ends[position - 1];
        SchedulePoint.Hit();
        return end <= start ? default : new ReadOnlySpan<LoggedEvent>((void*)(Volatile.Read(ref *(nint*)(At + 8)) + (nint)BytesOf(start)), end - start);
    }

    /// <summary>The segment and its list of events; not what they point to.</summary>
    public void Retire(StoreMemory memory)
    {
        memory.Retire(*(nint*)(At + 8), BytesOf(*(int*)(At + 20)));
        memory.Retire(Address, Bytes);
    }

    public bool Equals(EventSegment other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is EventSegment other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();

    /// <summary>One revision may remove more keys than an int counts the bytes of.</summary>
    private static long BytesOf(int events) => events * (long)sizeof(LoggedEvent);

    /// <summary>A new list: whoever reads the old one finds in it what was published.</summary>
    private void Grow(StoreMemory memory, int count)
    {
        nint at = At;
        nint old = *(nint*)(at + 8);
        nint larger = memory.Allocate(BytesOf(2 * count));
        new ReadOnlySpan<LoggedEvent>((void*)old, count).CopyTo(new Span<LoggedEvent>((void*)larger, count));
        SchedulePoint.Hit();
        Volatile.Write(ref *(nint*)(at + 8), larger);
        *(int*)(at + 20) = 2 * count;
        memory.Retire(old, BytesOf(count));
    }
}
