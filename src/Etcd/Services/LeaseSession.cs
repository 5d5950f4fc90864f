using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Etcd.Services;

/// <summary>The lease that a lock or a candidacy hangs on while its call is under way: the caller's own, or a new one. It is renewed as long as the call lasts, as in etcd.</summary>
internal static class LeaseSession
{
    public static ValueTask<LeaseKeeper> OpenAsync(MetaStoreNode node, long lease, EtcdServicesOptions options, CancellationToken cancellationToken)
    {
        var keeping = new LeaseKeeperOptions { TimeProvider = options.Time };
        return lease == 0
            ? LeaseKeeper.GrantAsync(node, new LeaseGrantRequest(options.SessionTtlSeconds), keeping, cancellationToken)
            : LeaseKeeper.KeepAsync(node, lease, keeping, cancellationToken);
    }
}
