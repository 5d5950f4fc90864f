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

    /// <summary>A visitor is shown a view that nothing holds back.</summary>
    VisitsWithoutHold,

    /// <summary>That nothing is missing is believed without looking whether the visit has expired.</summary>
    DoesNotLookAtTheEnd,
}

/// <summary>A frozen copy of the paths of <see cref="StoreReader"/> through ranges, with a bug.</summary>
internal sealed class BuggyReading(StoreHolder stores, ReadingBug bug) : IStoreReading
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
        using ReadSection section = store.Memory.Enter();
        ViewPins.Held? held = bug == ReadingBug.VisitsWithoutHold ? null : store.Pins.Hold(store);
        StoreView view = held?.View ?? store.View;
        try
        {
            revision = Resolve(revision, view);
            var walk = new Walk(held, revision, visitor);
            store.View.Index.Scan(range, ref walk);
            bool isCutOff = held is not null && bug != ReadingBug.DoesNotLookAtTheEnd ? held.IsExpired : walk.IsCutOff;
            return isCutOff ? throw new CompactedException("expired", new Revision(store.View.CompactRevision)) : new Revision(revision);
        }
        finally
        {
            if (held is not null)
            {
                store.Pins.Release(held);
            }
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

    private struct Walk(ViewPins.Held? held, long revision, TextVisitor visitor) : IRecordVisitor
    {
        public bool IsCutOff { get; private set; }

        public bool Visit(KeyRecord record)
        {
            VersionRecord version = record.ReadAt(revision);
            IsCutOff = held?.IsExpired ?? false;
            return !IsCutOff && (version.IsNull || visitor.Visit(new KeyValueView(record.Key, version)));
        }
    }
}
