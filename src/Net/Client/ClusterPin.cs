using MetaStore.Engine;

namespace MetaStore.Net.Client;

/// <summary>Holds a client to one cluster: the configured one, or that of the first node that answered. Thread safe.</summary>
internal sealed class ClusterPin(ulong configured)
{
    private ulong _clusterId = configured;

    /// <exception cref="MetaStoreException">The node belongs to another cluster than the nodes before it.</exception>
    public void Check(string endpoint, ulong clusterId)
    {
        ulong pinned = Interlocked.CompareExchange(ref _clusterId, clusterId, 0);
        if (pinned != 0 && pinned != clusterId)
        {
            throw new MetaStoreException(
                MetaStoreError.ClusterMismatch, $"{endpoint} belongs to cluster {clusterId:x16}; this client talks to cluster {pinned:x16}.");
        }
    }
}
