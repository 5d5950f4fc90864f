using System.Collections.Immutable;

namespace MetaStore.Engine.Members;

/// <summary>What came of the promotions that a leader was asked for. Counted by the node loop, read by any thread.</summary>
internal sealed class PromotionCounts
{
    private long _succeeded;
    private ImmutableDictionary<MetaStoreError, long> _failed = ImmutableDictionary<MetaStoreError, long>.Empty;

    /// <summary>Those that were made.</summary>
    public long Succeeded => Volatile.Read(ref _succeeded);

    /// <summary>Those that were not, by why.</summary>
    public IReadOnlyDictionary<MetaStoreError, long> Failed => Volatile.Read(ref _failed);

    /// <summary>Counts one; null: it was made.</summary>
    public void Add(MetaStoreError? failure)
    {
        if (failure is { } error)
        {
            Volatile.Write(ref _failed, _failed.SetItem(error, _failed.GetValueOrDefault(error) + 1));
        }
        else
        {
            Volatile.Write(ref _succeeded, _succeeded + 1);
        }
    }
}
