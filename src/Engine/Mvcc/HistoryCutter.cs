using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// Gives back the memory of compacted history, a bounded slice at a time, so that no write waits for a compaction. What is
/// readable was decided when the compaction was published; how far the cutting has come can be seen by nobody.
/// <para>
/// It follows the log of events: each change up to the compacted revision lets go of the one version that it took the place of, so that the work is
/// that of the changes, however many keys there are and however often one of them was written.
/// </para>
/// </summary>
internal sealed class HistoryCutter(MvccStore store)
{
    private const int FetchAhead = 8;

    private long _done;
    private long _target;
    private long _revision;
    private int _event;

    /// <summary>Whether there is history to cut, for all that is known now.</summary>
    public bool HasWork => _target > _done || store.Horizon() > _done;

    /// <summary>Whether there is compacted history that is not cut; where there is no work either, somebody holds it back.</summary>
    public bool IsBehind => store.CompactRevision > _done;

    /// <summary>Cuts what at most <paramref name="events"/> changes took the place of; false where nothing is left to do for now.</summary>
    public bool RunSlice(int events)
    {
        if (_target <= _done && !TryBegin())
        {
            return false;
        }

        while (events > 0 && _revision <= _target)
        {
            events -= CutRevision(events);
        }

        store.Events.Trim(Math.Min(_revision, _target));
        StoreView view = store.View;
        store.Publish(view.AppliedIndex, view.AppliedTerm); // What was cut goes back when nobody can be looking at it any more.
        if (_revision > _target)
        {
            _done = _target;
        }

        return true;
    }

    /// <summary>The revision at which the last pass ended is looked at again: what it did itself had to be kept.</summary>
    private bool TryBegin()
    {
        long horizon = store.Horizon();
        if (horizon <= _done)
        {
            return false;
        }

        _target = horizon;
        _revision = Math.Max(KnownBugs.DeletionAtCompactedRevisionForgotten ? _done + 1 : _done, store.Events.FirstRevision);
        _event = 0;
        return true;
    }

    /// <summary>Returns how many changes it looked at; at least one, for a revision of which none is known.</summary>
    private int CutRevision(int most)
    {
        ReadOnlySpan<LoggedEvent> changes = store.Events.Read(_revision);
        int first = _event;
        int end = Math.Min(changes.Length, first + most);
        for (int i = first; i < end; i++)
        {
            if (i + FetchAhead < end)
            {
                changes[i + FetchAhead].Version.Fetch();
            }

            store.CutBefore(changes[i], _target);
        }

        bool isOver = end == changes.Length;
        _event = isOver ? 0 : end;
        _revision += isOver ? 1 : 0;
        return Math.Max(1, end - first);
    }
}
