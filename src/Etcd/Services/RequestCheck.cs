namespace MetaStore.Etcd.Services;

/// <summary>
/// What etcd checks of a request before it looks at the store, in its order (v3rpc/key.go), so that of several faults the same one is named. Overlapping writes, which it
/// looks for last, are the store's own check.
/// </summary>
internal static class RequestCheck
{
    public static void Range(Messages.RangeRequest request)
    {
        if (request.Key.IsEmpty)
        {
            throw EtcdErrors.EmptyKey;
        }

        if (!Enum.IsDefined(request.SortOrder) || !Enum.IsDefined(request.SortTarget))
        {
            throw EtcdErrors.InvalidSortOption;
        }
    }

    public static void Put(Messages.PutRequest request)
    {
        if (request.Key.IsEmpty)
        {
            throw EtcdErrors.EmptyKey;
        }

        if (request.IgnoreValue && !request.Value.IsEmpty)
        {
            throw EtcdErrors.ValueProvided;
        }

        if (request.IgnoreLease && request.Lease != 0)
        {
            throw EtcdErrors.LeaseProvided;
        }
    }

    public static void DeleteRange(Messages.DeleteRangeRequest request)
    {
        if (request.Key.IsEmpty)
        {
            throw EtcdErrors.EmptyKey;
        }
    }

    /// <param name="request">The transaction.</param>
    /// <param name="operationsMax">Operations that it may have; what it nests may have the rest.</param>
    /// <param name="depthMax">Levels that it may have, itself included.</param>
    public static void Txn(Messages.TxnRequest request, int operationsMax, int depthMax)
    {
        int operations = Math.Max(request.Compare.Count, Math.Max(request.Success.Count, request.Failure.Count));
        if (operations > operationsMax || depthMax == 0)
        {
            throw EtcdErrors.TooManyOperations;
        }

        foreach (Messages.Compare compare in request.Compare)
        {
            if (compare.Key.IsEmpty)
            {
                throw EtcdErrors.EmptyKey;
            }
        }

        foreach (Messages.RequestOp operation in request.Success)
        {
            Operation(operation, operationsMax - operations, depthMax);
        }

        foreach (Messages.RequestOp operation in request.Failure)
        {
            Operation(operation, operationsMax - operations, depthMax);
        }
    }

    private static void Operation(Messages.RequestOp operation, int operationsMax, int depthMax)
    {
        switch (operation.RequestCase)
        {
            case Messages.RequestOp.RequestOneofCase.RequestRange:
                Range(operation.RequestRange);
                break;
            case Messages.RequestOp.RequestOneofCase.RequestPut:
                Put(operation.RequestPut);
                break;
            case Messages.RequestOp.RequestOneofCase.RequestDeleteRange:
                DeleteRange(operation.RequestDeleteRange);
                break;
            case Messages.RequestOp.RequestOneofCase.RequestTxn:
                Txn(operation.RequestTxn, operationsMax, depthMax - 1);
                break;
            default:
                throw EtcdErrors.KeyNotFound; // That is what etcd says of an operation that is none.
        }
    }
}
