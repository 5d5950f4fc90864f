using MetaStore.Engine;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum ReadingBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>The view is taken first, and the memory entered then.</summary>
    EntersLate,

    /// <summary>The newest version of each key is taken, published or not.</summary>
    ReadsHeads,

    /// <summary>Nobody looks whether a compaction came in between.</summary>
    NoSecondLook,

    /// <summary>The second look is at the view that was read, not at the one that is published now.</summary>
    LooksAtItsOwnView,

    /// <summary>A visitor is shown what was read in one go, without a look whether a compaction came in between.</summary>
    ShowsWithoutASecondLook,

    /// <summary>A visitor is shown slice after slice, and nothing is held back for it.</summary>
    VisitsWithoutHold,

    /// <summary>That nothing is missing is believed without looking whether the visit has expired.</summary>
    DoesNotLookAtTheEnd,
}

/// <summary>A frozen copy of the paths of <see cref="StoreReader"/> through ranges, with a bug.</summary>
internal sealed class BuggyReading(StoreHolder stores, ReadingBug bug, VisitSizes sizes) : IStoreReading
{
    public RangeResponse Range(RangeRequest request)
    {
        MvccStore store = stores.Current;
        RangeResponse response;
        long oldest;
        StoreView? early = bug == ReadingBug.EntersLate ? store.View : null;
        StoreView view;
        using (store.Memory.Enter())
        {
            view = early ?? store.View;
            response = Range(view, request, out oldest);
        }

        StoreView now = bug == ReadingBug.LooksAtItsOwnView ? view : stores.Current.View;
        if (bug != ReadingBug.NoSecondLook && oldest < now.CompactRevision)
        {
            using ReadSection section = store.Memory.Enter();
            using ViewPins.PinnedView pin = store.Pins.Pin(store);
            response = Range(pin.View, request, out _);
        }

        return response;
    }

    public Revision Visit(in KeyRange range, long revision, ref TextVisitor visitor)
    {
        MvccStore store = stores.Current;
        var slice = new Slice(sizes.UnheldKeys);
        long read;
        using (store.Memory.Enter())
        {
            StoreView view = store.View;
            read = Resolve(revision, view);
            slice.Fill(view, range, read);
        }

        if (slice.Next is null && (bug == ReadingBug.ShowsWithoutASecondLook || read >= stores.Current.View.CompactRevision))
        {
            slice.ShowTo(ref visitor);
            return new Revision(read);
        }

        ViewPins.Held? held = bug == ReadingBug.VisitsWithoutHold ? null : store.Pins.Hold(store);
        try
        {
            read = Resolve(revision, held?.View ?? store.View);
            VisitInSlices(store, held, range, read, ref visitor);
            return new Revision(read);
        }
        finally
        {
            if (held is not null)
            {
                store.Pins.Release(held);
            }
        }
    }

    private void VisitInSlices(MvccStore store, ViewPins.Held? held, KeyRange rest, long revision, ref TextVisitor visitor)
    {
        while (true)
        {
            var slice = new Slice(sizes.SliceKeys);
            using (store.Memory.Enter())
            {
                slice.Fill(store.View, rest, revision);
            }

            if (held is not null && bug != ReadingBug.DoesNotLookAtTheEnd && held.IsExpired)
            {
                throw new CompactedException("expired", new Revision(store.View.CompactRevision));
            }

            slice.ShowTo(ref visitor);
            if (slice.Next is null)
            {
                return;
            }

            rest = KeyRange.From(slice.Next, rest.IsUnbounded ? new byte[] { 0 } : rest.End);
        }
    }

    private RangeResponse Range(StoreView view, RangeRequest request, out long revision)
    {
        revision = Resolve(request.Revision.Value, view);
        RangeResponse response = RangeReader.Read(view.Index, view.Revision, bug == ReadingBug.ReadsHeads ? long.MaxValue : revision, request);
        return response with { Header = new ResponseHeader(1, 1, new Revision(view.Revision), 1) };
    }

    private static long Resolve(long asked, StoreView view)
    {
        MetaStoreError error = RevisionCheck.Check(asked, view.Revision, view.CompactRevision);
        return error == default ? asked > 0 ? asked : view.Revision : throw StoreErrors.ToException(error);
    }

    /// <summary>Copies of keys and values.</summary>
    private sealed class Slice(int keysMax)
    {
        private readonly List<(byte[] Key, byte[] Value)> _items = [];
        private int _left = keysMax;

        public byte[]? Next { get; private set; }

        public void Fill(StoreView view, in KeyRange range, long revision)
        {
            if (range.IsSingle)
            {
                Add(view.Index.Find(range.Start.Span), revision);
                return;
            }

            var copier = new Copier(this, revision);
            view.Index.Scan(range, ref copier);
        }

        public void ShowTo(ref TextVisitor visitor)
        {
            foreach ((byte[] key, byte[] value) in _items)
            {
                visitor.Visit(new KeyValueView(key, value, 0, 0, 0, 0));
            }
        }

        private void Add(KeyRecord record, long revision)
        {
            VersionRecord version = record.ReadAt(revision);
            if (!version.IsNull)
            {
                _items.Add((record.Key.ToArray(), version.Value.ToArray()));
            }
        }

        private readonly struct Copier(Slice slice, long revision) : IRecordVisitor
        {
            public bool Visit(KeyRecord record)
            {
                if (slice._left-- > 0)
                {
                    slice.Add(record, revision);
                    return true;
                }

                slice.Next = record.Key.ToArray();
                return false;
            }
        }
    }
}
