using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>The lease that a lock or a candidacy hangs on while its call is under way: the caller's own, or a new one. It is renewed as long as the call lasts, as in etcd.</summary>
internal static class LeaseSession
{
    public static async ValueTask<LeaseKeeper> OpenAsync(MetaStoreNode node, long lease, EtcdServicesOptions options, RpcContext context)
    {
        var keeping = new LeaseKeeperOptions { TimeProvider = options.Time };
        if (lease != 0)
        {
            return await LeaseKeeper.KeepAsync(node, lease, keeping, context.Ended).ConfigureAwait(false);
        }

        var grant = new LeaseGrantRequest(options.SessionTtlSeconds);
        await options.Authority.CheckAsync(context, grant).ConfigureAwait(false);
        return await LeaseKeeper.GrantAsync(node, grant, keeping, context.Ended).ConfigureAwait(false);
    }
}
