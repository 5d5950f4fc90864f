using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum EventBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>A longer list of events is published, and then filled.</summary>
    PublishesTheListBeforeItIsCopied,

    /// <summary>The list that was too short goes at once.</summary>
    FreesTheOldListAtOnce,

    /// <summary>A place of the ring is written again while the segment that stands there is still read.</summary>
    WritesAPlaceBeforeItIsTrimmed,

    /// <summary>A larger ring is published, and then filled.</summary>
    PublishesTheRingBeforeItIsCopied,

    /// <summary>The segment goes too that the horizon lies in.</summary>
    TrimsOneSegmentTooMany,
}

/// <summary>A frozen copy of <see cref="Engine.Mvcc.EventLog"/>, with a bug.</summary>
internal sealed class BuggyEventLog(StoreMemory memory, EventBug bug) : IEventLog
{
    private const int SmallestRing = 16;

    private Directory _directory = new(0, 0, new BuggySegment[SmallestRing]);

    public long Segments => _directory.Count;

    public void Append(long revision, KeyRecord record, VersionRecord version)
    {
        long number = revision / EventSegment.Revisions;
        Directory directory = _directory;
        if (directory.Count == 0 || number >= directory.First + directory.Count)
        {
            directory = Extend(number);
        }

        directory.At(directory.First + directory.Count - 1).Append(memory, revision, new LoggedEvent(record, version), bug);
    }

    public ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        SchedulePoint.Hit();
        Directory directory = Volatile.Read(ref _directory);
        SchedulePoint.Hit();
        long number = revision / EventSegment.Revisions;
        bool isThere = number >= directory.First && number < directory.First + directory.Count && !directory.At(number).IsNull;
        return isThere ? directory.At(number).Read(revision) : default;
    }

    public void Trim(long horizon)
    {
        Directory directory = _directory;
        long gone = Math.Clamp((horizon / EventSegment.Revisions) + (bug == EventBug.TrimsOneSegmentTooMany ? 1 : 0) - directory.First, 0, Math.Max(0, directory.Count - 1));
        if (gone > 0)
        {
            SchedulePoint.Hit();
            Volatile.Write(ref _directory, directory with { First = directory.First + gone, Count = directory.Count - gone });
            for (long number = directory.First; number < directory.First + gone; number++)
            {
                directory.At(number).Retire(memory);
            }
        }
    }

    private Directory Extend(long number)
    {
        Directory directory = _directory;
        long first = directory.Count == 0 ? number : directory.First;
        long count = number - first + 1;
        BuggySegment[] ring = directory.Ring;
        if (count > ring.Length + (bug == EventBug.WritesAPlaceBeforeItIsTrimmed ? 1 : 0))
        {
            ring = new BuggySegment[ring.Length * 2];
            var larger = new Directory(first, directory.Count, ring);
            if (bug == EventBug.PublishesTheRingBeforeItIsCopied)
            {
                Volatile.Write(ref _directory, larger);
            }

            for (long old = first; old < first + directory.Count; old++)
            {
                SchedulePoint.Hit();
                ring[old & (ring.Length - 1)] = directory.At(old);
            }

            SchedulePoint.Hit();
            Volatile.Write(ref _directory, larger);
            return Extend(number);
        }

        for (long next = first + directory.Count; next <= number; next++)
        {
            SchedulePoint.Hit();
            ring[next & (ring.Length - 1)] = BuggySegment.Create(memory, next * EventSegment.Revisions);
        }

        directory = new Directory(first, count, ring);
        SchedulePoint.Hit();
        Volatile.Write(ref _directory, directory);
        return directory;
    }

    private sealed record Directory(long First, long Count, BuggySegment[] Ring)
    {
        public BuggySegment At(long number) => Ring[number & (Ring.Length - 1)];
    }
}

/// <summary>A frozen copy of <see cref="EventSegment"/>, with the same layout.</summary>
internal readonly unsafe struct BuggySegment(nint address)
{
    private const int EndsOffset = 32;
    private const int Bytes = EndsOffset + (EventSegment.Revisions * sizeof(int));
    private const int FirstRoom = EventSegment.Revisions;
    private const int EventBytes = 16;

    public bool IsNull => address == 0;

    private long First => *(long*)At;

    private Span<int> Ends => new((void*)(At + EndsOffset), EventSegment.Revisions);

    private nint At
    {
        get
        {
            BlockGuard.Check(address);
            return address;
        }
    }

    public static BuggySegment Create(StoreMemory memory, long first)
    {
        nint address = memory.Allocate(Bytes);
        new Span<byte>((void*)address, Bytes).Clear();
        *(long*)address = first;
        *(nint*)(address + 8) = memory.Allocate(FirstRoom * EventBytes);
        *(int*)(address + 20) = FirstRoom;
        *(int*)(address + 24) = -1;
        return new BuggySegment(address);
    }

    public void Append(StoreMemory memory, long revision, in LoggedEvent e, EventBug bug)
    {
        nint at = At;
        int position = (int)(revision - First);
        int last = *(int*)(at + 24);
        int count = *(int*)(at + 16);
        if (count == *(int*)(at + 20))
        {
            Grow(memory, count, bug);
        }

        SchedulePoint.Hit();
        ((LoggedEvent*)*(nint*)(at + 8))[count] = e;
        *(int*)(at + 16) = count + 1;
        Span<int> ends = Ends;
        for (int i = last + 1; i < position; i++)
        {
            ends[i] = count;
        }

        SchedulePoint.Hit();
        ends[position] = count + 1;
        *(int*)(at + 24) = position;
    }

    public ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        SchedulePoint.Hit();
        int position = (int)(revision - First);
        if (position is < 0 or >= EventSegment.Revisions)
        {
            return default;
        }

        int end = Ends[position];
        int start = position == 0 ? 0 : Ends[position - 1];
        SchedulePoint.Hit();
        return end <= start ? default : new ReadOnlySpan<LoggedEvent>((void*)(Volatile.Read(ref *(nint*)(At + 8)) + (start * EventBytes)), end - start);
    }

    public void Retire(StoreMemory memory)
    {
        memory.Retire(*(nint*)(At + 8), *(int*)(At + 20) * EventBytes);
        memory.Retire(address, Bytes);
    }

    private void Grow(StoreMemory memory, int count, EventBug bug)
    {
        nint at = At;
        nint old = *(nint*)(at + 8);
        nint larger = memory.Allocate(2 * count * EventBytes);
        if (bug == EventBug.PublishesTheListBeforeItIsCopied)
        {
            Volatile.Write(ref *(nint*)(at + 8), larger);
            SchedulePoint.Hit();
        }

        new ReadOnlySpan<byte>((void*)old, count * EventBytes).CopyTo(new Span<byte>((void*)larger, count * EventBytes));
        SchedulePoint.Hit();
        Volatile.Write(ref *(nint*)(at + 8), larger);
        *(int*)(at + 20) = 2 * count;
        if (bug == EventBug.FreesTheOldListAtOnce)
        {
            memory.Free(old, count * EventBytes);
        }
        else
        {
            memory.Retire(old, count * EventBytes);
        }
    }
}
