using MetaStore.Engine.Mvcc;
using MetaStore.Raft;

namespace MetaStore.Engine.Replication;

/// <summary>
/// Compacts by itself, on the leader. By number it goes on in steps of a tenth of what is kept, so that it costs an entry now and then and no more; by age it notes the revision at each
/// tenth of the time and compacts up to the note that has become old enough.
/// </summary>
internal sealed class AutoCompactor(AutoCompactionOptions options, TimeProvider time)
{
    private const int Steps = 10;
    private static readonly TimeSpan s_noteEveryMin = TimeSpan.FromMilliseconds(100);

    private readonly Queue<(long At, long Revision)> _notes = new();
    private readonly long _age = Ticks(options.AgeKept, time);
    private readonly long _noteEvery = Math.Max(Ticks(options.AgeKept / Steps, time), Ticks(s_noteEveryMin, time));
    private long _proposed;
    private long _nextNote = long.MinValue;

    /// <summary>Looks whether something is due; with each tick. Proposes it where this member leads.</summary>
    public void Tick(RaftNode raft, StoreView view)
    {
        if (raft.Role != Role.Leader || view.IsHollow)
        {
            // What was proposed may be lost with the office, and what was noted is of a time when others led.
            _proposed = 0;
            _notes.Clear();
            _nextNote = long.MinValue;
            return;
        }

        long upTo = Math.Max(ByNumber(view), ByAge(view));
        if (upTo > Math.Max(view.CompactRevision, _proposed) && raft.ProposeUrgent(CommandBatch.EncodeOwn(new CompactRequest(new Revision(upTo)))))
        {
            _proposed = upTo;
        }
    }

    private long ByNumber(StoreView view)
    {
        if (options.RevisionsKept == 0)
        {
            return 0;
        }

        long upTo = view.Revision - options.RevisionsKept;
        long step = Math.Max(1, options.RevisionsKept / Steps);
        return upTo >= Math.Max(view.CompactRevision, _proposed) + step ? upTo : 0;
    }

    private long ByAge(StoreView view)
    {
        if (_age == 0)
        {
            return 0;
        }

        long now = time.GetTimestamp();
        if (now >= _nextNote)
        {
            _nextNote = now + _noteEvery;
            _notes.Enqueue((now, view.Revision));
        }

        long upTo = 0;
        while (_notes.TryPeek(out (long At, long Revision) oldest) && now - oldest.At >= _age)
        {
            upTo = _notes.Dequeue().Revision;
        }

        return upTo;
    }

    private static long Ticks(TimeSpan span, TimeProvider time) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
