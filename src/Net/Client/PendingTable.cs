using System.Diagnostics.CodeAnalysis;

namespace MetaStore.Net.Client;

/// <summary>
/// The requests of one connection that wait for answers. A correlation is the slot's number and how often it was used, so that finding
/// a request is one array access, and a late answer to an earlier use of the slot is recognised and dropped.
/// </summary>
internal sealed class PendingTable(int slotsMax)
{
    private const int SlotBits = 20;

    private readonly Lock _gate = new();
    private readonly List<PendingRequest> _slots = [];
    private readonly Stack<PendingRequest> _free = new();
    private long _rented;
    private long _returned;
    private int _waiting;
    private bool _closed;

    /// <summary>Requests whose answer is still to come.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Slots taken and not given back; 0 when nobody awaits anything.</summary>
    public long Outstanding
    {
        get
        {
            lock (_gate)
            {
                return _rented - _returned;
            }
        }
    }

    /// <summary>Takes a slot. Null: the connection is closed (<paramref name="isFull"/> false), or all slots are taken.</summary>
    public PendingRequest? Rent(in RequestContent content, out bool isFull)
    {
        lock (_gate)
        {
            isFull = false;
            if (_closed)
            {
                return null;
            }

            if (!_free.TryPop(out PendingRequest? pending))
            {
                isFull = _slots.Count >= slotsMax;
                if (isFull)
                {
                    return null;
                }

                pending = new PendingRequest(this, _slots.Count);
                pending.Correlation = (ulong)pending.Slot;
                _slots.Add(pending);
            }

            _rented++;
            _waiting++;
            pending.Correlation += 1UL << SlotBits;
            pending.IsWaiting = true;
            pending.IsWritten = false;
            pending.Content = content;
            return pending;
        }
    }

    /// <summary>Gives a slot back, after its result has been seen.</summary>
    public void Return(PendingRequest pending)
    {
        lock (_gate)
        {
            Invariant.Check(!pending.IsWaiting, $"Slot {pending.Slot} was given back while it waits for its answer.");
            _returned++;
            pending.Content = default;
            _free.Push(pending);
        }
    }

    /// <summary>Takes a request out, if it still waits: whoever gets it completes it.</summary>
    public bool TryTake(ulong correlation, [NotNullWhen(true)] out PendingRequest? pending)
    {
        lock (_gate)
        {
            ulong slot = correlation & ((1UL << SlotBits) - 1);
            pending = slot < (ulong)_slots.Count ? _slots[(int)slot] : null;
            if (pending is null || !pending.IsWaiting || pending.Correlation != correlation)
            {
                pending = null;
                return false;
            }

            TakeUnsynchronized(pending);
            return true;
        }
    }

    /// <summary>What to write for it, unless it no longer waits. From here on its outcome depends on the other side.</summary>
    public bool TryMarkWritten(PendingRequest pending, ulong correlation, out RequestContent content)
    {
        lock (_gate)
        {
            bool isWanted = pending.IsWaiting && pending.Correlation == correlation;
            content = isWanted ? pending.Content : default;
            pending.IsWritten |= isWanted;
            return isWanted;
        }
    }

    /// <summary>Takes out all whose deadline has passed; null for none.</summary>
    public List<PendingRequest>? TakeExpired(long now)
    {
        List<PendingRequest>? taken = null;
        lock (_gate)
        {
            for (int i = 0; _waiting > 0 && i < _slots.Count; i++)
            {
                PendingRequest pending = _slots[i];
                if (pending.IsWaiting && pending.Content.Deadline <= now)
                {
                    TakeUnsynchronized(pending);
                    (taken ??= []).Add(pending);
                }
            }
        }

        return taken;
    }

    /// <summary>Takes out all, and lets nobody in any more.</summary>
    public List<PendingRequest> Close()
    {
        var taken = new List<PendingRequest>();
        lock (_gate)
        {
            _closed = true;
            foreach (PendingRequest pending in _slots)
            {
                if (pending.IsWaiting)
                {
                    TakeUnsynchronized(pending);
                    taken.Add(pending);
                }
            }
        }

        return taken;
    }

    private void TakeUnsynchronized(PendingRequest pending)
    {
        pending.IsWaiting = false;
        _waiting--;
    }
}
