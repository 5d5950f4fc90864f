namespace MetaStore.Engine;

/// <summary>
/// A replicated, strongly consistent store with etcd's data model. The embedded node and the remote client both implement it,
/// so a program moves from one to the other by changing the line that creates it. All members may be called from any thread.
/// Every failure is a <see cref="MetaStoreException"/> (or an <see cref="OperationCanceledException"/>), whose
/// <see cref="MetaStoreException.Outcome"/> says whether the operation can have taken effect. A write that was cancelled may have, unless the
/// exception is an <see cref="OperationNotProposedException"/>.
/// </summary>
public interface IMetaStore : IAsyncDisposable
{
    /// <summary>Stores a value. One revision, even if the value is equal.</summary>
    ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default);

    /// <summary>Reads one key or a range, at the current or an earlier revision.</summary>
    ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default);

    /// <summary>Removes one key or a range. One revision for all of them; none where nothing was there.</summary>
    ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default);

    /// <summary>Compares, then runs one of two lists of operations, atomically and in one revision.</summary>
    ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default);

    /// <summary>Gives up the history before a revision, which itself stays readable.</summary>
    ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default);

    /// <summary>Grants a lease. Takes no revision.</summary>
    ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default);

    /// <summary>Ends a lease, and removes its keys.</summary>
    ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default);

    /// <summary>
    /// Renews a lease, once: its whole time to live runs again. Costs no write; <see cref="LeaseKeeper"/> does it again and again. A lease that is not
    /// there (any more) is no error but a time to live of 0, as in etcd. May be repeated without harm.
    /// </summary>
    ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default);

    /// <summary>How long a lease has left, by the leader's clock. A lease that is not there is no error but -1.</summary>
    ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default);

    /// <summary>All leases. Linearizable.</summary>
    ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default);

    /// <summary>How the answering node sees itself and its cluster. Local; asks nobody.</summary>
    ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default);

    /// <summary>A hash over all keys and their kept history at a revision: equal on every node that has applied it. Local.</summary>
    ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default);

    /// <summary>
    /// Tells of every change of a key or a range from a revision on: in order, each once, and none left out; or says that it cannot, by a
    /// <see cref="CompactedException"/>. The first response comes at once. It ends only by an exception, or when whoever enumerates it leaves. The remote client goes
    /// on at another node by itself where a node or a connection fails; the embedded node ends its watches with the node. Enumerate it once.
    /// </summary>
    IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default);
}
