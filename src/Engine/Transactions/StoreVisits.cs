using System.Runtime.CompilerServices;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Transactions;

/// <summary>How much of a visit is read at once.</summary>
/// <param name="UnheldKeys">Keys of a range that is read in one go, so that nothing needs to be held back for it.</param>
/// <param name="SliceKeys">Keys of each slice of a longer one.</param>
internal readonly record struct VisitSizes(int UnheldKeys, int SliceKeys)
{
    public static VisitSizes Usual { get; } = new(32, 1024);
}

/// <summary>
/// Shows ranges to visitors, slice by slice: a slice is copied within the store's memory, and shown outside. What is behind it is held back meanwhile for so long as a visit may take
/// (<see cref="ViewPins.ExpireAfter"/>); a visitor that stalls for longer is told, and holds back nothing any more.
/// </summary>
internal sealed class StoreVisits(StoreHolder stores, Action<StoreView> checkHoldsData, VisitSizes sizes)
{
    private const int SmallBytes = 512;

    /// <summary>Shows the range at the revision, or now where that is 0. Says which revision it was.</summary>
    public Revision Visit<TVisitor>(in KeyRange range, long revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor
    {
        MvccStore store = stores.Current;
        if (range.IsSingle && TryVisitSmall(store, range.Start.Span, ref revision, ref visitor))
        {
            return new Revision(revision);
        }

        using VisitedItems items = VisitedItems.Take();
        if (TryReadWhole(store, range, revision, items, out long read))
        {
            items.ShowTo(ref visitor);
            return new Revision(read);
        }

        // What was shown cannot be taken back: no compaction may come in between.
        ViewPins.Held held = store.Pins.Hold(store);
        try
        {
            checkHoldsData(held.View);
            read = RevisionCheck.Resolve(revision, held.View);
            VisitInSlices(store, held, items, range, read, ref visitor);
            return new Revision(read);
        }
        finally
        {
            store.Pins.Release(held);
        }
    }

    /// <summary>False where a compaction came in between, or the value is large; nothing was shown then.</summary>
    [SkipLocalsInit] // What is not written is not looked at.
    private bool TryVisitSmall<TVisitor>(MvccStore store, ReadOnlySpan<byte> key, ref long revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor
    {
        Span<byte> value = stackalloc byte[SmallBytes];
        bool isThere;
        long read;
        VersionHead head = default;
        using (store.Memory.Enter())
        {
            StoreView view = store.View;
            checkHoldsData(view);
            read = RevisionCheck.Resolve(revision, view);
            VersionRecord version = view.Index.Find(key).ReadAt(read);
            isThere = !version.IsNull;
            if (isThere)
            {
                ReadOnlySpan<byte> stored = version.Value;
                if (!stored.TryCopyTo(value))
                {
                    return false;
                }

                value = value[..stored.Length];
                head = version.Head;
            }
        }

        if (read < stores.Current.View.CompactRevision)
        {
            return false;
        }

        revision = read;
        if (isThere)
        {
            visitor.Visit(new KeyValueView(key, value, head.CreateRevision, head.ModRevision, head.Version, head.LeaseId));
        }

        return true;
    }

    /// <summary>False where a compaction came in between, or there is more of it.</summary>
    private bool TryReadWhole(MvccStore store, in KeyRange range, long asked, VisitedItems items, out long revision)
    {
        byte[]? next;
        using (store.Memory.Enter())
        {
            StoreView view = store.View;
            checkHoldsData(view);
            revision = RevisionCheck.Resolve(asked, view);
            next = items.Fill(view.Index, range, revision, sizes.UnheldKeys);
        }

        return next is null && revision >= stores.Current.View.CompactRevision;
    }

    private void VisitInSlices<TVisitor>(MvccStore store, ViewPins.Held held, VisitedItems items, KeyRange rest, long revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor
    {
        while (true)
        {
            byte[]? next;
            using (store.Memory.Enter())
            {
                // Today's index: it has all keys that can be read at the revision, since history is held back, and others, which cannot.
                next = items.Fill(store.View.Index, rest, revision, sizes.SliceKeys);
            }

            if (held.IsExpired)
            {
                throw new CompactedException( // What is not found may have been there. Nothing is shown behind a gap.
                    $"the visit of revision {revision} took longer than a visit may, and what it had still to see was compacted meanwhile; visit smaller ranges, or leave the visitor sooner",
                    new Revision(store.View.CompactRevision));
            }

            if (!items.ShowTo(ref visitor) || next is null)
            {
                return;
            }

            rest = KeyRange.From(next, rest.IsUnbounded ? new byte[] { 0 } : rest.End);
        }
    }
}
