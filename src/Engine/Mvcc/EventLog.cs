using MetaStore.Engine.Memory;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// What each revision changed, in the order of application: so that a watch from an old revision needs no scan of keys. Written by the apply loop with the changes
/// themselves; made visible with them, by the publishing of the view. Readers take no lock: they ask for revisions that a view they hold has published, and
/// for none before the one they hold back by the <see cref="HistoryHold"/>.
/// <para>
/// The directory of segments is a ring: segment N stands at place N modulo its length, and what is trimmed makes room for what comes.
/// </para>
/// </summary>
internal sealed class EventLog(StoreMemory memory)
{
    private const int SmallestRing = 16;

    private Directory _directory = new(0, 0, new EventSegment[SmallestRing]);
    private long _firstAppended;

    /// <summary>Segments there are.</summary>
    public long Segments => Volatile.Read(ref _directory).Count;

    /// <summary>Writer only: no revision before it is in the log; <see cref="long.MaxValue"/> where none is.</summary>
    public long FirstRevision => _directory.Count == 0 ? long.MaxValue : Math.Max(_firstAppended, _directory.First * EventSegment.Revisions);

    /// <summary>Writer only: changes that were ever added.</summary>
    public long Appended { get; private set; }

    /// <summary>Writer only: adds a change of a revision that is the last one's or follows it.</summary>
    public void Append(long revision, KeyRecord record, VersionRecord version)
    {
        long number = revision / EventSegment.Revisions;
        Directory directory = _directory;
        if (directory.Count == 0 || number >= directory.First + directory.Count)
        {
            directory = Extend(number);
        }

        directory.At(directory.First + directory.Count - 1).Append(memory, revision, new LoggedEvent(record, version));
        _firstAppended = Appended == 0 ? revision : _firstAppended;
        Appended++;
    }

    /// <summary>What a published revision changed. Empty where that is forgotten, which a reader prevents by its hold.</summary>
    public ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        SchedulePoint.Hit();
        Directory directory = Volatile.Read(ref _directory);
        SchedulePoint.Hit();
        long number = revision / EventSegment.Revisions;
        return number >= directory.First && number < directory.First + directory.Count ? directory.At(number).Read(revision) : default;
    }

    /// <summary>Writer only: forgets revisions before <paramref name="horizon"/>, a whole segment at a time.</summary>
    public void Trim(long horizon)
    {
        Directory directory = _directory;
        long gone = Math.Clamp((horizon / EventSegment.Revisions) - directory.First, 0, Math.Max(0, directory.Count - 1));
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

    /// <summary>
    /// The log of a store that was loaded: all its versions from the compacted revision on, in any order. They are put in order by counting how many each revision has, since to
    /// compare them would mean to look at each where it lies in memory, twenty times over.
    /// </summary>
    public void Restore(List<RestoredEvent> events)
    {
        if (events.Count == 0)
        {
            return;
        }

        long first = long.MaxValue;
        long last = 0;
        foreach (RestoredEvent e in events)
        {
            first = Math.Min(first, e.Revision);
            last = Math.Max(last, e.Revision);
        }

        var begins = new int[last - first + 2];
        foreach (RestoredEvent e in events)
        {
            begins[e.Revision - first + 1]++;
        }

        for (int i = 1; i < begins.Length; i++)
        {
            begins[i] += begins[i - 1];
        }

        var ordered = new RestoredEvent[events.Count];
        foreach (RestoredEvent e in events)
        {
            ordered[begins[e.Revision - first]++] = e; // From here on each place says where its revision's next one goes, and in the end where the next revision begins.
        }

        int begin = 0;
        for (long revision = first; revision <= last; revision++)
        {
            int end = begins[revision - first];
            Span<RestoredEvent> changes = ordered.AsSpan(begin, end - begin);
            if (changes.Length > 1)
            {
                changes.Sort(static (a, b) => a.Sub.CompareTo(b.Sub));
            }

            foreach (ref readonly RestoredEvent change in changes)
            {
                Append(revision, change.Record, change.Version);
            }

            begin = end;
        }
    }

    private Directory Extend(long number)
    {
        Directory directory = _directory;
        long first = directory.Count == 0 ? number : directory.First;
        long count = number - first + 1;
        EventSegment[] ring = directory.Ring;
        if (count > ring.Length)
        {
            ring = new EventSegment[ring.Length * 2];
            for (long old = first; old < first + directory.Count; old++)
            {
                ring[old & (ring.Length - 1)] = directory.At(old);
            }

            directory = new Directory(first, directory.Count, ring);
            SchedulePoint.Hit();
            Volatile.Write(ref _directory, directory);
            return Extend(number);
        }

        for (long next = first + directory.Count; next <= number; next++)
        {
            SchedulePoint.Hit();
            ring[next & (ring.Length - 1)] = EventSegment.Create(memory, next * EventSegment.Revisions);
        }

        directory = new Directory(first, count, ring);
        SchedulePoint.Hit();
        Volatile.Write(ref _directory, directory);
        return directory;
    }

    /// <summary>Segments <see cref="First"/> to First + Count - 1. A place of the ring is written again only after it was trimmed.</summary>
    private sealed record Directory(long First, long Count, EventSegment[] Ring)
    {
        public EventSegment At(long number) => Ring[number & (Ring.Length - 1)];
    }
}

/// <summary>
/// How much history whoever reads the log of events still needs, whatever is compacted: written by the watch loop, heeded by the apply loop before it
/// forgets anything. The writer sets it, and then looks at the published compact revision; the apply loop publishes a compact revision, and then looks
/// here. Each has a full fence in between, so one of the two sees the other: either the hold is heeded, or its holder knows that it came too late.
/// A snapshot's store takes it over before it takes the place of the one before, so the writer looks as well whether that has happened: it is by the new one's revision then that it may have come too late.
/// </summary>
internal sealed class HistoryHold
{
    private long _revision = long.MaxValue;

    /// <summary>The oldest revision that must stay readable; <see cref="long.MaxValue"/> for none.</summary>
    public long Revision
    {
        get
        {
            Interlocked.MemoryBarrier();
            SchedulePoint.Hit();
            return Volatile.Read(ref _revision);
        }

        set
        {
            SchedulePoint.Hit();
            Volatile.Write(ref _revision, value);
            Interlocked.MemoryBarrier();
        }
    }

    /// <summary>Holds back everything behind <paramref name="revision"/>; false: it came too late, some of that is compacted, or <paramref name="store"/> is not the current one any more, and nothing is held.</summary>
    public bool TryHoldBehind(long revision, MvccStore store, StoreHolder stores)
    {
        Revision = revision;
        if (stores.Current == store && store.View.CompactRevision <= revision + 1)
        {
            return true;
        }

        Revision = long.MaxValue;
        return false;
    }
}

/// <summary>A change of a store that was loaded, with what puts it in its place.</summary>
internal readonly record struct RestoredEvent(long Revision, uint Sub, KeyRecord Record, VersionRecord Version);
