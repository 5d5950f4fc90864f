using System.Globalization;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;
using MetaStore.Raft;

namespace MetaStore.Etcd.Metrics;

/// <summary>The node in numbers, under etcd's names where it has one for the same thing; the others begin with <c>metastore_</c>.</summary>
internal sealed class NodeMetrics : IDisposable
{
    private readonly MetaStoreNode _node;
    private readonly EtcdVersions _versions;
    private ulong _leader;
    private long _leaderChanges;

    public NodeMetrics(MetaStoreNode node, EtcdVersions versions)
    {
        _node = node;
        _versions = versions;
        node.LeaderChanged += CountLeader;
        CountLeader();
    }

    /// <summary>Writes them.</summary>
    public void Write(PrometheusText text)
    {
        NodeFigures figures = _node.Figures;
        WriteServer(text, figures);
        WriteStore(text, figures);
        WriteLeases(text, figures);
        WriteHashes(text);
        WritePeers(text);
        text.Histogram("etcd_disk_wal_fsync_duration_seconds", "The latency distributions of fsync called by WAL.", _node.LogSyncs);
        text.Gauge("etcd_disk_wal_write_bytes_total", "Total number of bytes written in WAL.", _node.LogBytesWritten);
        // etcd commits to its backend; here a batch of committed operations is applied to the store in memory, and made durable by the log before.
        text.Histogram("etcd_disk_backend_commit_duration_seconds", "The latency distributions of applying a batch of committed proposals to the store.", _node.ApplyBatches);
        text.Histogram("metastore_disk_other_sync_duration_seconds", "The latency distributions of syncs of snapshots and small files.", _node.OtherSyncs);
    }

    public void Dispose() => _node.LeaderChanged -= CountLeader;

    private void WriteServer(PrometheusText text, NodeFigures figures)
    {
        text.Gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.", figures.LeaderId.IsNone ? 0 : 1);
        text.Gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.", figures.IsLeader ? 1 : 0);
        text.Gauge("etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise.", figures.IsLearner ? 1 : 0);
        text.Counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.", Volatile.Read(ref _leaderChanges));
        text.Gauge("etcd_server_proposals_committed_total", "The total number of consensus proposals committed.", figures.CommitIndex);
        text.Gauge("etcd_server_proposals_applied_total", "The total number of consensus proposals applied.", figures.AppliedIndex);
        text.Gauge("etcd_server_proposals_pending", "The current number of pending proposals to commit.", figures.WritesPending);
        text.Gauge("metastore_operations_pending", "Writes, reads, renewals and questions that are under way.", figures.Pending);
        text.Counter("etcd_server_proposals_failed_total", "The total number of failed proposals seen.", figures.WritesFailed);
        text.Counter("etcd_server_read_indexes_failed_total", "The total number of failed read indexes seen.", figures.ReadRoundsFailed);
        text.Counter(
            "etcd_server_heartbeat_send_failures_total", "The total number of leader heartbeat send failures (likely overloaded from slow disk).", figures.HeartbeatsLate);
        WritePromotions(text, figures);
        text.Gauge("etcd_server_id", "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.", 1, $"server_id=\"{Hex(_node.NodeId)}\"");
        text.Gauge("etcd_server_version", "Which version is running. 1 for 'server_version' label with current version.", 1, $"server_version=\"{_versions.Server}\"");
        text.Gauge(
            "etcd_cluster_version", "Which version is running. 1 for 'cluster_version' label with current cluster version", 1, $"cluster_version=\"{Minor(_versions.Cluster)}\"");
        text.Gauge("metastore_raft_term", "The term of consensus that this member is in.", figures.Term);
    }

    private static void WritePromotions(PrometheusText text, NodeFigures figures)
    {
        text.Counter("etcd_server_learner_promote_successes", "The total number of successful learner promotions while this member is leader.", figures.PromotionsMade);
        const string Failures = "etcd_server_learner_promote_failures";
        text.Begin(Failures, "counter", "The total number of failed learner promotions (likely learner not ready) while this member is leader.");
        foreach (IGrouping<string, long> reason in figures.PromotionsFailed.GroupBy(failed => EtcdErrors.From(new MetaStoreException(failed.Key, string.Empty)).Message, failed => failed.Value))
        {
            text.Sample(Failures, $"Reason=\"{reason.Key}\"", reason.Sum());
        }
    }

    private void WriteHashes(PrometheusText text)
    {
        text.Histogram("etcd_mvcc_hash_duration_seconds", "The latency distribution of storage hash operation.", _node.Hashes);
        text.Histogram("etcd_mvcc_hash_rev_duration_seconds", "The latency distribution of storage hash by revision operation.", _node.HashesOfRevisions);
    }

    private static void WriteStore(PrometheusText text, NodeFigures figures)
    {
        Both(text, "etcd{0}_mvcc_put_total", "Total number of puts seen by this member.", figures.Puts, text.Counter);
        Both(text, "etcd{0}_mvcc_delete_total", "Total number of deletes seen by this member.", figures.Deletes, text.Counter);
        Both(text, "etcd{0}_mvcc_txn_total", "Total number of txns seen by this member.", figures.Txns, text.Counter);
        Both(text, "etcd{0}_mvcc_db_total_size_in_bytes", "Total size of the underlying database physically allocated in bytes.", figures.MemoryReservedBytes, (name, help, value) => text.Gauge(name, help, value));
        text.Gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Total size of the underlying database logically in use in bytes.", figures.MemoryBytes);
        text.Gauge("metastore_disk_bytes", "The log, with files that are filled ahead of time, and the newest snapshot, in bytes.", figures.DiskBytes);
        text.Gauge("metastore_store_memory_bytes", "Native memory that keys, versions, index and history are in, in bytes.", figures.MemoryBytes);
        text.Gauge("metastore_store_memory_reserved_bytes", "Native memory taken from the system for the store, in bytes.", figures.MemoryReservedBytes);
        text.Gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.", figures.KeyCount);
        text.Gauge("etcd_debugging_mvcc_current_revision", "The current revision of store.", figures.Revision);
        text.Gauge("etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store.", figures.CompactRevision);
        text.Gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.", figures.WatchCount);
    }

    private static void WriteLeases(PrometheusText text, NodeFigures figures)
    {
        text.Gauge("metastore_leases", "Leases that there are.", figures.LeaseCount);
        text.Counter("etcd_debugging_lease_granted_total", "The total number of granted leases.", figures.LeasesGranted);
        text.Counter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.", figures.LeasesRevoked);
        text.Counter("etcd_debugging_lease_renewed_total", "The number of renewed leases seen by the leader.", figures.LeasesRenewed);
        text.Counter("etcd_server_lease_expired_total", "The total number of expired leases.", figures.LeasesExpired);
        text.Counter("etcd_debugging_server_lease_expired_total", "The total number of expired leases.", figures.LeasesExpired);
    }

    private void WritePeers(PrometheusText text)
    {
        IReadOnlyList<PeerFigures> peers = _node.MeasurePeers();
        string local = $"Local=\"{Hex(_node.NodeId)}\"";
        Each("etcd_network_active_peers", "gauge", "The current number of active peer connections.", peer => $"{local},Remote=\"{Hex(peer.Peer)}\"", peer => peer.IsConnected ? 1 : 0);
        Each("etcd_network_disconnected_peers_total", "counter", "The total number of disconnected peers.", peer => $"{local},Remote=\"{Hex(peer.Peer)}\"", peer => peer.Disconnects);
        Each("etcd_network_peer_sent_bytes_total", "counter", "The total number of bytes sent to peers.", peer => $"To=\"{Hex(peer.Peer)}\"", peer => peer.BytesSent);
        Each("etcd_network_peer_received_bytes_total", "counter", "The total number of bytes received from peers.", peer => $"From=\"{Hex(peer.Peer)}\"", peer => peer.BytesReceived);
        Each("etcd_network_peer_sent_failures_total", "counter", "The total number of send failures to peers.", peer => $"To=\"{Hex(peer.Peer)}\"", peer => peer.MessagesDropped);
        const string RoundTrip = "etcd_network_peer_round_trip_time_seconds";
        text.Begin(RoundTrip, "histogram", "Round-Trip-Time histogram between peers, a sample for each time that it is read.");
        foreach (PeerFigures peer in peers)
        {
            text.Buckets(RoundTrip, $"To=\"{Hex(peer.Peer)}\"", peer.RoundTrips);
        }

        void Each(string name, string type, string help, Func<PeerFigures, string> labels, Func<PeerFigures, double> value)
        {
            text.Begin(name, type, help);
            foreach (PeerFigures peer in peers)
            {
                text.Sample(name, labels(peer), value(peer));
            }
        }
    }

    private static string Hex(NodeId id) => id.Value.ToString("x", CultureInfo.InvariantCulture);

    /// <summary>Under its name of today, and under the one it had while it was an experiment.</summary>
    private static void Both(PrometheusText text, string name, string help, double value, Action<string, string, double> write)
    {
        write(string.Format(name, string.Empty), help, value);
        write(string.Format(name, "_debugging"), help, value);
    }

    private static string Minor(string version) => version[..version.LastIndexOf('.')];

    /// <summary>One that comes back counts again, as with etcd. On the node's own thread, one at a time; but for the first call, before which nothing has changed.</summary>
    private void CountLeader()
    {
        NodeId leader = _node.LeaderId;
        if (Interlocked.Exchange(ref _leader, leader.Value) != leader.Value && !leader.IsNone)
        {
            Interlocked.Increment(ref _leaderChanges);
        }
    }
}
