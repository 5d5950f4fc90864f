using MetaStore.Engine.Index;

namespace MetaStore.Engine.Transactions;

/// <summary>
/// Checks what can be checked of a request without the store: at the door, before anything is proposed, so that the log holds only
/// requests that every node can apply. The rules and their order are etcd's (its v3rpc key checks).
/// </summary>
internal sealed class RequestValidator(StoreLimits limits)
{
    public void Check(StoreRequest request)
    {
        switch (request)
        {
            case PutRequest put:
                CheckPut(put);
                break;
            case RangeRequest range:
                CheckRange(range);
                break;
            case DeleteRangeRequest delete:
                CheckKey(delete.Key);
                break;
            case TxnRequest txn:
                CheckTxn(txn, limits.TxnOperationsMax, limits.TxnDepthMax);
                WriteSet.CheckOverlap(txn.Success);
                WriteSet.CheckOverlap(txn.Failure);
                break;
            case SessionRequest session:
                CheckSession(session);
                break;
            case OpenSessionRequest or CloseSessionRequest:
                break;
            case LeaseGrantRequest grant:
                CheckGrant(grant);
                break;
            case LeaseRevokeRequest:
                break;
            case CompactRequest compact:
                if (compact.Revision.Value < 0)
                {
                    throw new MetaStoreException(MetaStoreError.InvalidArgument, $"compact revision {compact.Revision} is negative; give a revision of the store");
                }

                break;
            default:
                throw new MetaStoreException(MetaStoreError.InvalidArgument, $"{request.GetType().Name} is not a request the store knows");
        }

        int size = StoreRequestCodec.GetLength(request);
        if (size > limits.RequestBytesMax)
        {
            throw new MetaStoreException(MetaStoreError.RequestTooLarge, $"the request is {size} bytes; at most {limits.RequestBytesMax} are taken");
        }
    }

    private void CheckSession(SessionRequest session)
    {
        if (session.SessionId == 0 || session.Sequence == 0 || session.AcknowledgedBelow > session.Sequence)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument,
                $"session {session.SessionId}, request {session.Sequence}, acknowledged below {session.AcknowledgedBelow}: sessions and requests count from 1, and no request is acknowledged by itself");
        }

        if (session.Request is not (PutRequest or DeleteRangeRequest or TxnRequest or CompactRequest or LeaseGrantRequest or LeaseRevokeRequest))
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument,
                $"{session.Request?.GetType().Name ?? "null"} cannot stand in a session; puts, removals, transactions, compactions, grants and revocations of leases can");
        }

        Check(session.Request);
    }

    private static void CheckKey(ReadOnlyMemory<byte> key)
    {
        if (key.IsEmpty)
        {
            throw new MetaStoreException(MetaStoreError.EmptyKey, "key is not provided");
        }
    }

    private static void CheckPut(PutRequest put)
    {
        CheckKey(put.Key);
        if (put.IgnoreValue && !put.Value.IsEmpty)
        {
            throw new MetaStoreException(MetaStoreError.ValueProvided, "value is provided");
        }

        if (put.IgnoreLease && put.LeaseId != 0)
        {
            throw new MetaStoreException(MetaStoreError.LeaseProvided, "lease is provided");
        }

        if (put.TimeToLive != TimeSpan.Zero)
        {
            CheckTimeToLive(put);
        }
    }

    private static void CheckTimeToLive(PutRequest put)
    {
        if (put.TimeToLive < TimeSpan.Zero || put.TimeToLive > PutRequest.TimeToLiveMax)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"TimeToLive is {put.TimeToLive}; it must be from zero, for none, to {PutRequest.TimeToLiveMax}");
        }

        if (put.LeaseId != 0 || put.IgnoreLease)
        {
            throw new MetaStoreException(MetaStoreError.LeaseProvided, "lease is provided: a key has a lease or a TimeToLive, not both");
        }
    }

    private static void CheckGrant(LeaseGrantRequest grant)
    {
        if (grant.Ttl > LeaseGrantRequest.TtlMax)
        {
            throw new MetaStoreException(MetaStoreError.LeaseTtlTooLarge, "too large lease TTL");
        }

        if (grant.Id < 0)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, $"lease id {grant.Id} is negative; it must be positive, or 0 for one that the store chooses");
        }
    }

    private static void CheckRange(RangeRequest range)
    {
        CheckKey(range.Key);
        if (range.StalenessMax < TimeSpan.Zero || range.StalenessMax > RangeRequest.StalenessLimit)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"StalenessMax is {range.StalenessMax}; it must be from zero to {RangeRequest.StalenessLimit}");
        }

        if (range.SortTarget > SortTarget.Value || range.SortOrder > SortOrder.Descending)
        {
            throw new MetaStoreException(MetaStoreError.InvalidSortOption, "invalid sort option");
        }
    }

    private static void CheckTxn(TxnRequest txn, int operationsLeft, int depthLeft)
    {
        int operations = Math.Max(txn.Compare.Count, Math.Max(txn.Success.Count, txn.Failure.Count));
        if (operations > operationsLeft || depthLeft == 0)
        {
            throw new MetaStoreException(MetaStoreError.TooManyOperations, "too many operations in txn request");
        }

        foreach (Compare compare in txn.Compare)
        {
            CheckKey(compare.Key);
            if (compare.Target > CompareTarget.Lease || compare.Relation > CompareRelation.NotEqual)
            {
                throw new MetaStoreException(MetaStoreError.InvalidArgument, $"compare target {compare.Target} or relation {compare.Relation} is unknown");
            }
        }

        CheckBranch(txn.Success, operationsLeft - operations, depthLeft);
        CheckBranch(txn.Failure, operationsLeft - operations, depthLeft);
    }

    private static void CheckBranch(IReadOnlyList<StoreRequest> branch, int operationsLeft, int depthLeft)
    {
        foreach (StoreRequest request in branch)
        {
            switch (request)
            {
                case PutRequest put:
                    CheckPut(put);
                    break;
                case RangeRequest range:
                    CheckRange(range);
                    break;
                case DeleteRangeRequest delete:
                    CheckKey(delete.Key);
                    break;
                case TxnRequest nested:
                    CheckTxn(nested, operationsLeft, depthLeft - 1);
                    break;
                default:
                    throw new MetaStoreException(MetaStoreError.InvalidArgument, $"{request?.GetType().Name ?? "null"} cannot stand in a transaction");
            }
        }
    }

    /// <summary>What a branch writes. etcd's rule: no key is put twice, nor put and deleted, but the two branches of a nested transaction exclude each other.</summary>
    private sealed class WriteSet
    {
        private readonly HashSet<ReadOnlyMemory<byte>> _puts = new(ByteKeyComparer.Instance);
        private readonly List<KeyRange> _deletes = [];

        public static WriteSet CheckOverlap(IReadOnlyList<StoreRequest> branch)
        {
            var set = new WriteSet();
            foreach (DeleteRangeRequest delete in branch.OfType<DeleteRangeRequest>())
            {
                set._deletes.Add(KeyRange.From(delete.Key, delete.RangeEnd));
            }

            foreach (TxnRequest nested in branch.OfType<TxnRequest>())
            {
                WriteSet success = CheckOverlap(nested.Success);
                WriteSet failure = CheckOverlap(nested.Failure);
                set.AddPuts(success._puts, except: null);
                set.AddPuts(failure._puts, except: success._puts);
                set._deletes.AddRange(success._deletes);
                set._deletes.AddRange(failure._deletes);
            }

            foreach (PutRequest put in branch.OfType<PutRequest>())
            {
                set.AddPut(put.Key, mayRepeat: false);
            }

            return set;
        }

        private void AddPuts(HashSet<ReadOnlyMemory<byte>> puts, HashSet<ReadOnlyMemory<byte>>? except)
        {
            foreach (ReadOnlyMemory<byte> key in puts)
            {
                AddPut(key, except is not null && except.Contains(key));
            }
        }

        private void AddPut(ReadOnlyMemory<byte> key, bool mayRepeat)
        {
            bool repeated = !_puts.Add(key) && !mayRepeat;
            if (repeated || _deletes.Exists(range => range.Contains(key.Span)))
            {
                throw new MetaStoreException(MetaStoreError.DuplicateKey, "duplicate key given in txn request");
            }
        }
    }
}
