using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// The lease that a lock or a candidacy hangs on: the caller's own, or a new one. As in etcd, nobody but the caller renews it: were it kept for as long as the call waits, a caller that is gone
/// would keep what it holds by it until somebody notices.
/// </summary>
internal static class LeaseSession
{
    public static async ValueTask<long> OpenAsync(MetaStoreNode node, long lease, EtcdServicesOptions options, RpcContext context)
    {
        if (lease != 0)
        {
            return lease;
        }

        var grant = new LeaseGrantRequest(options.SessionTtlSeconds);
        await options.Authority.CheckAsync(context, grant).ConfigureAwait(false);
        return (await node.GrantLeaseAsync(grant, context.Ended).ConfigureAwait(false)).Id;
    }
}
