using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Transactions;

/// <summary>Whether a revision can be read. By replicated state only: never by how much history this node happens to hold still.</summary>
internal static class RevisionCheck
{
    /// <summary>The error, or none. Zero and below stand for the current revision; the compacted revision itself is readable.</summary>
    public static MetaStoreError Check(long revision, long current, long compacted)
    {
        if (revision <= 0)
        {
            return default;
        }

        if (revision > current)
        {
            return MetaStoreError.FutureRevision;
        }

        return revision < compacted ? MetaStoreError.Compacted : default;
    }

    /// <summary>The revision to read at where that one is asked for; 0 is the view's own.</summary>
    /// <exception cref="MetaStoreException">It is compacted, or still to come.</exception>
    public static long Resolve(long asked, StoreView view)
    {
        MetaStoreError error = Check(asked, view.Revision, view.CompactRevision);
        if (error != default)
        {
            throw StoreErrors.ToException(error);
        }

        return asked > 0 ? asked : view.Revision;
    }
}
