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
}
