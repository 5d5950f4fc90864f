
namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>The names on the page of figures: each of etcd's is there, with its type, or is missing for a reason.</summary>
public sealed class MetricNamesTests
{
    private const string Path = "/metrics";
    private const string Type = "# TYPE ";

    private const string NoBackend = "no backend: the store is in memory";
    private const string Background = "no such work: history goes away in slices, and what takes part in it is not told";
    private const string OwnSnapshots = "snapshots are of this store's own kind, and their syncs are in metastore_disk_other_sync_duration_seconds";
    private const string NoV2 = "there is no v2 API";
    private const string NoProxy = "there is no proxy of gRPC";
    private const string Unmeasured = "not measured";
    private const string OfGo = "of Go, and of its library of figures";

    /// <summary>Those of etcd 3.4 that are not here, by why.</summary>
    private static readonly Dictionary<string, string> s_missing = new[]
    {
        (NoBackend, "etcd_debugging_disk_backend_commit_rebalance_duration_seconds etcd_debugging_disk_backend_commit_spill_duration_seconds etcd_debugging_disk_backend_commit_write_duration_seconds "
            + "etcd_disk_backend_defrag_duration_seconds etcd_disk_backend_snapshot_duration_seconds etcd_disk_defrag_inflight etcd_mvcc_db_open_read_transactions"),
        (Background, "etcd_debugging_mvcc_db_compaction_keys_total etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds etcd_debugging_mvcc_db_compaction_total_duration_milliseconds "
            + "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds"),
        (OwnSnapshots, "etcd_debugging_snap_save_marshalling_duration_seconds etcd_debugging_snap_save_total_duration_seconds etcd_snap_db_fsync_duration_seconds "
            + "etcd_snap_db_save_total_duration_seconds etcd_snap_fsync_duration_seconds etcd_server_snapshot_apply_in_progress_total"),
        (NoV2, "etcd_debugging_store_expires_total etcd_debugging_store_reads_total etcd_debugging_store_watch_requests_total etcd_debugging_store_watchers etcd_debugging_store_writes_total"),
        (NoProxy, "etcd_grpc_proxy_cache_hits_total etcd_grpc_proxy_cache_keys_total etcd_grpc_proxy_cache_misses_total etcd_grpc_proxy_events_coalescing_total etcd_grpc_proxy_watchers_coalescing_total"),
        (Unmeasured, "etcd_debugging_lease_ttl_total etcd_debugging_mvcc_events_total etcd_debugging_mvcc_pending_events_total etcd_debugging_mvcc_slow_watcher_total "
            + "etcd_debugging_mvcc_total_put_size_in_bytes etcd_server_slow_apply_total etcd_server_slow_read_indexes_total"),
        ("there is no quota", "etcd_server_quota_backend_bytes"),
        ("there are no users", "etcd_debugging_auth_revision"),
        ("no limit is set", "process_virtual_memory_max_bytes"),
        (OfGo, "etcd_server_go_version promhttp_metric_handler_requests_in_flight promhttp_metric_handler_requests_total"),
    }.SelectMany(group => group.Item2.Split(' ').Select(name => (name, group.Item1))).ToDictionary(StringComparer.Ordinal);

    [SkippableFact]
    public async Task Etcds_names_are_here_or_are_missing_for_a_reason()
    {
        await using EtcdTwins twins = await EtcdTwins.StartAsync();
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        Dictionary<string, string> theirs = await ReadAsync(twins.Etcd);
        Dictionary<string, string> ours = await ReadAsync(twins.Here);

        Assert.True(theirs.Count > 80, $"etcd tells {theirs.Count} figures");
        Assert.Equal([], theirs.Keys.Where(name => !name.StartsWith("go_", StringComparison.Ordinal) && !ours.ContainsKey(name) && !s_missing.ContainsKey(name)));
        Assert.Equal([], s_missing.Keys.Where(name => ours.ContainsKey(name) || !theirs.ContainsKey(name))); // the list has no more than is true
        Assert.Equal([], theirs.Where(figure => ours.TryGetValue(figure.Key, out string? type) && type != figure.Value));

        async Task<Dictionary<string, string>> ReadAsync(Twin twin)
        {
            string page = await http.GetStringAsync(new Uri($"http://{twin.Endpoint}{Path}"));
            return page.Split('\n').Where(line => line.StartsWith(Type, StringComparison.Ordinal)).Select(line => line[Type.Length..].Split(' ')).ToDictionary(words => words[0], words => words[1], StringComparer.Ordinal);
        }
    }
}
