using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>Holds back the cutting of history while somebody walks a whole view: a snapshot being written, a hash.</summary>
internal sealed class ViewPins
{
    private readonly Lock _lock = new();
    private readonly List<long> _compactRevisions = [];

    /// <summary>
    /// Pins the store's current view. The view is read under the lock that <see cref="Horizon"/> takes, so that no cut can slip
    /// in between the reading and the pinning.
    /// </summary>
    public PinnedView Pin(MvccStore store) => new(this, Hold(store));

    /// <summary>As <see cref="Pin"/>, for whoever is back in a moment and calls <see cref="Release"/> then. Allocates nothing.</summary>
    public StoreView Hold(MvccStore store)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            StoreView view = store.View;
            _compactRevisions.Add(view.CompactRevision);
            SchedulePoint.Unlock(this);
            return view;
        }
    }

    /// <summary>A view that <see cref="Hold"/> gave need not be held back any more. Once for each.</summary>
    public void Release(StoreView view)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            _compactRevisions.Remove(view.CompactRevision);
            SchedulePoint.Unlock(this);
        }
    }

    /// <summary>How far history may be cut, where <paramref name="compactRevision"/> is published as compacted.</summary>
    public long Horizon(long compactRevision)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            foreach (long pinned in _compactRevisions)
            {
                compactRevision = Math.Min(compactRevision, pinned);
            }

            SchedulePoint.Unlock(this);
            return compactRevision;
        }
    }

    /// <summary>
    /// A view whose history stays whole until this is disposed. Of its index that is not said: nodes go when the next view is published and no reader is inside the
    /// store's memory any more. Whoever walks on from one section to the next finds all that it needs in the index of that day.
    /// </summary>
    internal sealed class PinnedView(ViewPins owner, StoreView view) : IDisposable
    {
        private int _released;

        public StoreView View { get; } = view;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _released, 1) == 0)
            {
                owner.Release(View);
            }
        }
    }
}
