namespace MetaStore.Engine.Replication;

/// <summary>
/// Tells, by what a request names, whether applying it is brief: as a few keys take, whatever the store holds. Says no where it does not know.
/// </summary>
internal static class BriefWork
{
    private const int PartsMax = 16;

    /// <summary>Whether all of a batch is.</summary>
    public static bool Are(ReadOnlySpan<PendingOperation> operations)
    {
        foreach (PendingOperation operation in operations)
        {
            if (!Is(operation.Request))
            {
                return false;
            }
        }

        return true;
    }

    public static bool Is(StoreRequest request) => request switch
    {
        PutRequest or LeaseGrantRequest => true,
        RangeRequest range => range.RangeEnd.IsEmpty,
        DeleteRangeRequest delete => delete.RangeEnd.IsEmpty,
        TxnRequest txn => Is(txn),
        _ => false,
    };

    private static bool Is(TxnRequest txn)
    {
        if (txn.Compare.Count + txn.Success.Count + txn.Failure.Count > PartsMax)
        {
            return false;
        }

        foreach (Compare compare in txn.Compare)
        {
            if (!compare.RangeEnd.IsEmpty)
            {
                return false;
            }
        }

        return AreParts(txn.Success) && AreParts(txn.Failure);
    }

    private static bool AreParts(IReadOnlyList<StoreRequest> parts)
    {
        foreach (StoreRequest part in parts)
        {
            if (part is TxnRequest || !Is(part))
            {
                return false;
            }
        }

        return true;
    }
}
