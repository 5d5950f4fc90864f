namespace MetaStore.Engine.Mvcc;

/// <summary>A change as the log of events holds it: the key, and the version that the change made.</summary>
internal readonly record struct LoggedEvent(KeyRecord Record, VersionRecord Version);

/// <summary>
/// What each revision changed, in the order of application: so that a watch from an old revision needs no scan of keys. Written by the apply loop with the changes
/// themselves; made visible with them, by the publishing of the view. Readers take no lock: they ask for revisions that a view they hold has published, and
/// for none before the one they hold back by the <see cref="HistoryHold"/>.
/// <para>
/// A segment covers <see cref="SegmentRevisions"/> revisions. The writer owns the last one; a reader sees of it what was written before the view was published.
/// </para>
/// </summary>
internal sealed class EventLog
{
    public const int SegmentRevisions = 256;

    private Directory _directory = new(0, []);

    /// <summary>Writer only: adds a change of a revision that is the last one's or follows it.</summary>
    public void Append(long revision, KeyRecord record, VersionRecord version)
    {
        Directory directory = _directory;
        long number = revision / SegmentRevisions;
        if (directory.Segments.Length == 0)
        {
            directory = new Directory(number, [new Segment(number * SegmentRevisions)]);
            Volatile.Write(ref _directory, directory);
        }

        while (number >= directory.First + directory.Segments.Length)
        {
            long next = directory.First + directory.Segments.Length;
            directory = directory with { Segments = [.. directory.Segments, new Segment(next * SegmentRevisions)] };
            Volatile.Write(ref _directory, directory);
        }

        directory.Segments[^1].Append(revision, new LoggedEvent(record, version));
    }

    /// <summary>What a published revision changed. Empty where that is forgotten, which a reader prevents by its hold.</summary>
    public ReadOnlySpan<LoggedEvent> Read(long revision)
    {
        Directory directory = Volatile.Read(ref _directory);
        long position = (revision / SegmentRevisions) - directory.First;
        return position >= 0 && position < directory.Segments.Length ? directory.Segments[position].Read(revision) : default;
    }

    /// <summary>Writer only: forgets revisions before <paramref name="horizon"/>, a whole segment at a time.</summary>
    public void Trim(long horizon)
    {
        Directory directory = _directory;
        int gone = (int)Math.Clamp((horizon / SegmentRevisions) - directory.First, 0, Math.Max(0, directory.Segments.Length - 1));
        if (gone > 0)
        {
            Volatile.Write(ref _directory, new Directory(directory.First + gone, directory.Segments[gone..]));
        }
    }

    /// <summary>The log of a store that was loaded: all its versions from the compacted revision on, in any order.</summary>
    public void Restore(List<LoggedEvent> events)
    {
        events.Sort(static (a, b) =>
        {
            int order = a.Version.ModRevision.CompareTo(b.Version.ModRevision);
            return order != 0 ? order : a.Version.Sub.CompareTo(b.Version.Sub);
        });
        var segments = new List<Segment>();
        foreach (LoggedEvent e in events)
        {
            long first = e.Version.ModRevision / SegmentRevisions * SegmentRevisions;
            for (long next = segments.Count == 0 ? first : segments[^1].First + SegmentRevisions; next <= first; next += SegmentRevisions)
            {
                segments.Add(new Segment(next));
            }

            segments[^1].Append(e.Version.ModRevision, e);
        }

        _directory = new Directory(segments.Count == 0 ? 0 : segments[0].First / SegmentRevisions, [.. segments]);
    }

    private sealed record Directory(long First, Segment[] Segments);

    private sealed class Segment(long first)
    {
        // _ends[i] is where the events of revision First + i end; what is behind the last revision that was begun is 0.
        private readonly int[] _ends = new int[SegmentRevisions];
        private LoggedEvent[] _events = new LoggedEvent[SegmentRevisions];
        private int _count;
        private int _last = -1;

        public long First => first;

        public void Append(long revision, in LoggedEvent e)
        {
            int at = (int)(revision - first);
            Invariant.Check(at >= _last, $"an event of revision {revision} follows one of revision {first + _last}");
            if (_count == _events.Length)
            {
                // A new array: whoever reads the old one finds in it what was published.
                LoggedEvent[] larger = new LoggedEvent[_count * 2];
                _events.CopyTo(larger, 0);
                Volatile.Write(ref _events, larger);
            }

            _events[_count++] = e;
            for (int i = _last + 1; i < at; i++)
            {
                _ends[i] = _count - 1; // Revisions that nobody kept anything of.
            }

            _ends[at] = _count;
            _last = at;
        }

        public ReadOnlySpan<LoggedEvent> Read(long revision)
        {
            int at = (int)(revision - first);
            int end = _ends[at];
            int start = at == 0 ? 0 : _ends[at - 1];
            return end <= start ? default : Volatile.Read(ref _events).AsSpan(start, end - start);
        }
    }
}

/// <summary>
/// How much history whoever reads the log of events still needs, whatever is compacted: written by the watch loop, heeded by the apply loop before it
/// forgets anything. The writer sets it, and then looks at the published compact revision; the apply loop publishes a compact revision, and then looks
/// here. Each has a full fence in between, so one of the two sees the other: either the hold is heeded, or its holder knows that it came too late.
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
            return Volatile.Read(ref _revision);
        }

        set
        {
            Volatile.Write(ref _revision, value);
            Interlocked.MemoryBarrier();
        }
    }
}
