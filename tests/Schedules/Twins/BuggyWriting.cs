using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum WritingBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>Each revision is published by itself, in the middle of a batch.</summary>
    PublishesHalfBatches,

    /// <summary>The memory is told of the publishing before it is done.</summary>
    ReclaimsBeforeItPublishes,

    /// <summary>History is cut, and then the compaction published.</summary>
    CutsBeforeItPublishes,

    /// <summary>History is cut whoever has pinned a view.</summary>
    IgnoresPins,
}

/// <summary>What the apply loop and <see cref="HistoryCutter"/> do, frozen, with a bug. Cuts in one slice.</summary>
internal sealed class BuggyWriting(WritingBug bug) : IStoreWriting
{
    private long _cutThrough;

    public void Write(StoreModel model, MvccStore store, long through, long compactAt)
    {
        while (bug == WritingBug.PublishesHalfBatches && store.Revision < through)
        {
            model.WriteThrough(store, store.Revision + 1);
            StoreModel.Publish(store);
        }

        model.WriteThrough(store, through);
        if (compactAt > 0 && bug == WritingBug.CutsBeforeItPublishes)
        {
            CutAt(store, compactAt);
        }

        if (compactAt > 0)
        {
            store.Compact(compactAt);
        }

        if (bug == WritingBug.ReclaimsBeforeItPublishes)
        {
            store.Memory.Published();
        }

        StoreModel.Publish(store);
    }

    public bool Cut(MvccStore store)
    {
        long horizon = bug == WritingBug.IgnoresPins ? store.View.CompactRevision : store.Horizon();
        if (horizon <= _cutThrough)
        {
            return false;
        }

        CutAt(store, horizon);
        StoreView view = store.View;
        store.Publish(view.AppliedIndex, view.AppliedTerm);
        return true;
    }

    private void CutAt(MvccStore store, long horizon)
    {
        for (long revision = Math.Max(_cutThrough, store.Events.FirstRevision); revision <= horizon; revision++)
        {
            foreach (ref readonly LoggedEvent change in store.Events.Read(revision))
            {
                store.CutBefore(change, horizon);
            }
        }

        _cutThrough = horizon;
    }
}
