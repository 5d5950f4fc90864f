using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>The node, for one caller: whatever is asked of the keys and the leases by way of it is what the caller may ask for.</summary>
internal sealed class AuthorizedStore(MetaStoreNode node, IAuthority authority, RpcContext caller) : IMetaStore
{
    public async ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.PutAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.RangeAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.DeleteRangeAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.TxnAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckOperatorAsync(caller).ConfigureAwait(false);
        return await node.CompactAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.GrantLeaseAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.RevokeLeaseAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default)
    {
        await authority.CheckAsync(caller, request).ConfigureAwait(false);
        return await node.LeaseTimeToLiveAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await authority.CheckWatchAsync(caller, request).ConfigureAwait(false);
        await foreach (WatchResponse response in node.WatchAsync(request, cancellationToken).ConfigureAwait(false))
        {
            yield return response;
        }
    }

    public async ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default)
    {
        await authority.CheckKeepAliveAsync(caller, leaseId).ConfigureAwait(false);
        return await node.KeepLeaseAliveAsync(leaseId, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default)
    {
        await authority.CheckLeaseListAsync(caller).ConfigureAwait(false);
        return await node.LeasesAsync(cancellationToken).ConfigureAwait(false);
    }

    // These tell of the member, and of no keys.
    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => node.StatusAsync(cancellationToken);

    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => node.HashAsync(request, cancellationToken);

    /// <summary>The node stays its owner's.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
