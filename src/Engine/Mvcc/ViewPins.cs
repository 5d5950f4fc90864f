using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>
/// Holds back the cutting of history while somebody walks a whole view: a snapshot being written, a hash, a visit. A visit runs its caller's code, which may take
/// any time: where it takes longer than it may, history is held back for it no longer, and it is told (<see cref="Held.IsExpired"/>).
/// </summary>
internal sealed class ViewPins
{
    private readonly Lock _lock = new();
    private readonly List<Held> _held = [];
    private readonly Stack<Held> _free = [];
    private TimeProvider? _time;
    private TimeSpan _patience;

    /// <summary>Lets visits expire. Before anybody reads; without it none does.</summary>
    public void ExpireAfter(TimeSpan patience, TimeProvider time) => (_patience, _time) = (patience, time);

    /// <summary>As another store's.</summary>
    public void ExpireAs(ViewPins other) => (_patience, _time) = (other._patience, other._time);

    /// <summary>
    /// Pins the store's current view. The view is read under the lock that <see cref="Horizon"/> takes, so that no cut can slip
    /// in between the reading and the pinning.
    /// </summary>
    public PinnedView Pin(MvccStore store) => new(this, Hold(store, expires: false));

    /// <summary>As <see cref="Pin"/>, for a visit, which calls <see cref="Release"/> when it ends. Allocates nothing.</summary>
    public Held Hold(MvccStore store) => Hold(store, expires: true);

    /// <summary>What <see cref="Hold(MvccStore)"/> gave need not be held back any more. Once for each.</summary>
    public void Release(Held held)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            _held.Remove(held);
            _free.Push(held);
            SchedulePoint.Unlock(this);
        }
    }

    /// <summary>How far history may be cut, where <paramref name="compactRevision"/> is published as compacted. Whoever has had the time it may have is told, and passed over.</summary>
    public long Horizon(long compactRevision)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            foreach (Held held in _held)
            {
                // One that holds nothing back need not be told that it does so no more.
                if (held.View.CompactRevision < compactRevision && !held.TryExpire(_time, _patience))
                {
                    compactRevision = Math.Min(compactRevision, held.View.CompactRevision);
                }
            }

            SchedulePoint.Unlock(this);
            return compactRevision;
        }
    }

    private Held Hold(MvccStore store, bool expires)
    {
        SchedulePoint.Lock(this);
        lock (_lock)
        {
            Held held = _free.TryPop(out Held? used) ? used : new Held();
            held.Begin(store.View, expires ? _time?.GetTimestamp() : null);
            _held.Add(held);
            SchedulePoint.Unlock(this);
            return held;
        }
    }

    /// <summary>A view that is held back, by whoever asked for it. Used again after <see cref="Release"/>.</summary>
    internal sealed class Held
    {
        private long? _since;
        private bool _isExpired;

        public StoreView View { get; private set; } = null!;

        /// <summary>
        /// History is not held back any more. Whoever reads on looks here when he has read: nothing was missing, unless this says so. The cutting comes behind the store to this, and the
        /// look behind the reading.
        /// </summary>
        public bool IsExpired
        {
            get
            {
                SchedulePoint.Hit();
                return Volatile.Read(ref _isExpired);
            }
        }

        public void Begin(StoreView view, long? since)
        {
            View = view;
            _since = since;
            _isExpired = false;
        }

        public bool TryExpire(TimeProvider? time, TimeSpan patience)
        {
            if (_since is { } since && time!.GetElapsedTime(since) > patience)
            {
                SchedulePoint.Hit();
                Volatile.Write(ref _isExpired, true);
            }

            return _isExpired;
        }
    }

    /// <summary>
    /// A view whose history stays whole until this is disposed. Of its index that is not said: nodes go when the next view is published and no reader is inside the
    /// store's memory any more. Whoever walks on from one section to the next finds all that it needs in the index of that day.
    /// </summary>
    internal sealed class PinnedView(ViewPins owner, Held held) : IDisposable
    {
        private int _released;

        public StoreView View { get; } = held.View;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _released, 1) == 0)
            {
                owner.Release(held);
            }
        }
    }
}
