using System.Text;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Metrics;

/// <summary>Figures, and the page that has them.</summary>
public class MetricsTests
{
    [Fact]
    public void Figures_AreWrittenAsPrometheusReadsThem()
    {
        var text = new PrometheusText();
        text.Counter("a_total", "How many a.", 3);
        text.Gauge("b", "How much b.", 0.5, "id=\"1\"");

        Assert.Equal("# HELP a_total How many a.\n# TYPE a_total counter\na_total 3\n# HELP b How much b.\n# TYPE b gauge\nb{id=\"1\"} 0.5\n", Encoding.UTF8.GetString(text.ToBytes()));
    }

    [Fact]
    public void Durations_AreInBuckets_EachWithAllThatWereShorter()
    {
        var durations = DurationHistogram.OfDisk();
        durations.Add(TimeSpan.FromMilliseconds(1));
        durations.Add(TimeSpan.FromMilliseconds(1.5));
        durations.Add(TimeSpan.FromSeconds(20));
        var text = new PrometheusText();
        text.Histogram("t", "h", durations);

        string[] lines = Encoding.UTF8.GetString(text.ToBytes()).Split('\n');
        Assert.Equal("t_bucket{le=\"0.001\"} 1", lines[2]);
        Assert.Equal("t_bucket{le=\"0.002\"} 2", lines[3]);
        Assert.Equal(["t_bucket{le=\"8.192\"} 2", "t_bucket{le=\"+Inf\"} 3", "t_sum 20.0025", "t_count 3", ""], lines[^5..]);
    }

    [Fact]
    public async Task Calls_AreCounted_HoweverTheyComeAndEnd()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(
            RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest request, RpcContext _) =>
                request.Key.IsEmpty ? throw new RpcException(StatusCode.InvalidArgument, "no") : ValueTask.FromResult(new RangeResponse { Count = 1 })));
        using var client = new GrpcClient(served.EndPoint);
        using var http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };

        await client.CallAsync("/etcdserverpb.KV/Range", new RangeRequest { Limit = 1 });
        await http.PostAsync("/v3/kv/range", new StringContent("""{"key":"Zm9v"}"""));
        await http.PostAsync("/v3/kv/range", new StringContent("{"));
        using HttpResponseMessage page = await http.GetAsync("/metrics");

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", page.Content.Headers.ContentType!.ToString());
        string[] lines = (await page.Content.ReadAsStringAsync()).Split('\n');
        const string Labels = "grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}";
        Assert.Contains("grpc_server_started_total{" + Labels + " 3", lines);
        Assert.Contains("grpc_server_handled_total{grpc_code=\"OK\"," + Labels + " 1", lines);
        Assert.Contains("grpc_server_handled_total{grpc_code=\"InvalidArgument\"," + Labels + " 2", lines);
        Assert.Contains("grpc_server_msg_received_total{" + Labels + " 2", lines);
        Assert.Contains("grpc_server_msg_sent_total{" + Labels + " 1", lines);
        Assert.Contains("etcd_network_client_grpc_received_bytes_total 12", lines); // 5 + 2 over gRPC, 5 as a message in JSON
        Assert.Contains("etcd_network_client_grpc_sent_bytes_total 2", lines);
        Assert.Contains("etcd_mvcc_range_total 3", lines);
        Assert.Single(lines, line => line.StartsWith("process_open_fds ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_AreCounted_ByTheVersionThatTheirCallersName()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(
            RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse())),
            RpcMethod.Duplex("/etcdserverpb.Watch/Watch", WatchRequest.Parser, (IRpcReader<WatchRequest> _, IRpcWriter<WatchResponse> _, RpcContext _) => Task.CompletedTask));
        using var client = new GrpcClient(served.EndPoint);
        using var http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };

        await client.CallAsync("/etcdserverpb.KV/Range", new RangeRequest { Limit = 1 });
        await PostAsync("/v3/kv/range", "3.6");
        await PostAsync("/v3/kv/range", "3.6");
        await PostAsync("/v3/watch", "3.6");
        await PostAsync("/v3/kv/range", "a\"}b");
        string[] lines = (await http.GetStringAsync("/metrics")).Split('\n');

        Assert.Equal(
            [
                "etcd_server_client_requests_total{client_api_version=\"3.6\",type=\"unary\"} 2",
                "etcd_server_client_requests_total{client_api_version=\"3.6\",type=\"stream\"} 1",
                "etcd_server_client_requests_total{client_api_version=\"other\",type=\"unary\"} 1",
                "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"unary\"} 1",
            ],
            lines.Where(line => line.StartsWith("etcd_server_client_requests_total{", StringComparison.Ordinal)));

        async Task PostAsync(string path, string version)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("{}") };
            request.Headers.TryAddWithoutValidation("Grpc-Metadata-Client-Api-Version", version);
            using HttpResponseMessage answer = await http.SendAsync(request);
        }
    }

    [Fact]
    public void VersionsThatCallersMakeUp_FillNoMemory()
    {
        RpcMethod range = RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse()));
        var requests = new ClientRequests();
        for (int i = 0; i < 1000; i++)
        {
            requests.Count(range, $"3.{i}");
        }

        requests.Count(range, "3.0");
        requests.Count(range, new string('3', 33));
        requests.Count(range, string.Empty);
        var text = new PrometheusText();
        requests.Write(text);

        string[] lines = [.. Encoding.UTF8.GetString(text.ToBytes()).Split('\n').Where(line => line.Contains('{', StringComparison.Ordinal))];
        Assert.Equal(ClientRequests.VersionsMax + 1, lines.Length);
        Assert.Contains("etcd_server_client_requests_total{client_api_version=\"3.0\",type=\"unary\"} 2", lines);
        Assert.Contains($"etcd_server_client_requests_total{{client_api_version=\"other\",type=\"unary\"}} {1000 - ClientRequests.VersionsMax + 2}", lines);
    }

    [Fact]
    public async Task HowLongCallsTake_IsTold_WhereItIsAskedFor()
    {
        RpcMethod range = RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse()));
        Assert.DoesNotContain(await CallAndRead(new EtcdServerOptions()), line => line.Contains("grpc_server_handling_seconds", StringComparison.Ordinal));

        string[] lines = await CallAndRead(new EtcdServerOptions { MeasuresCalls = true, PingInterval = TimeSpan.MaxValue, PingTimeout = TimeSpan.MaxValue });
        const string Labels = "grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        Assert.Contains("# TYPE grpc_server_handling_seconds histogram", lines);
        Assert.Single(lines, line => line.StartsWith($"grpc_server_handling_seconds_bucket{{{Labels},le=\"0.005\"}} ", StringComparison.Ordinal));
        Assert.Contains($"grpc_server_handling_seconds_bucket{{{Labels},le=\"+Inf\"}} 1", lines);
        Assert.Contains($"grpc_server_handling_seconds_count{{{Labels}}} 1", lines);

        async Task<string[]> CallAndRead(EtcdServerOptions options)
        {
            await using ServedMethods served = await ServedMethods.StartAsync(options, range);
            using var client = new GrpcClient(served.EndPoint);
            using var http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };
            await client.CallAsync("/etcdserverpb.KV/Range", new RangeRequest { Key = Google.Protobuf.ByteString.CopyFromUtf8("a") });
            return (await http.GetStringAsync("/metrics")).Split('\n');
        }
    }

    [Fact]
    public async Task ThePeers_AreToldOf_EachWithItsTraffic()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-metrics-").FullName;
        try
        {
            DurationHistogram trips = DurationHistogram.OfNetwork();
            trips.Add(TimeSpan.FromMicroseconds(150));
            var peer = new Engine.PeerFigures
            {
                Peer = new Raft.NodeId(0xab),
                IsConnected = true,
                BytesSent = 10,
                BytesReceived = 20,
                MessagesDropped = 3,
                Disconnects = 4,
                RoundTrips = trips,
            };
            var member = new Engine.Member(0xc, "c", [], []);
            var settings = new NodeSettings
            {
                Name = "c",
                ClusterId = 1,
                NodeId = new Raft.NodeId(0xc),
                Members = [member, new Engine.Member(0xab, "ab", [], [])],
                DataDirectory = directory,
                RequestTimeout = TimeSpan.FromMilliseconds(100),
                Seed = 1,
            };
            await using MetaStoreNode node = MetaStoreNode.Open(settings, new OnePeer(peer));
            using var metrics = new NodeMetrics(node, new EtcdVersions("3.6.14", "3.6.0"));
            await Assert.ThrowsAsync<Engine.MetaStoreException>(() => node.PutAsync(new Engine.PutRequest { Key = "a"u8.ToArray() }).AsTask()); // nobody leads
            var text = new PrometheusText();
            metrics.Write(text);

            string[] lines = Encoding.UTF8.GetString(text.ToBytes()).Split('\n');
            Assert.Contains("etcd_server_has_leader 0", lines);
            Assert.Contains("etcd_server_proposals_failed_total 1", lines);
            Assert.Contains("etcd_network_active_peers{Local=\"c\",Remote=\"ab\"} 1", lines);
            Assert.Contains("etcd_network_disconnected_peers_total{Local=\"c\",Remote=\"ab\"} 4", lines);
            Assert.Contains("etcd_network_peer_sent_bytes_total{To=\"ab\"} 10", lines);
            Assert.Contains("etcd_network_peer_received_bytes_total{From=\"ab\"} 20", lines);
            Assert.Contains("etcd_network_peer_sent_failures_total{To=\"ab\"} 3", lines);
            Assert.Contains("etcd_network_peer_round_trip_time_seconds_bucket{To=\"ab\",le=\"0.0001\"} 0", lines);
            Assert.Contains("etcd_network_peer_round_trip_time_seconds_bucket{To=\"ab\",le=\"0.0002\"} 1", lines);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task PromotionsThatFail_AreToldByTheirReasons()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-metrics-").FullName;
        try
        {
            var settings = new NodeSettings
            {
                Name = "c",
                ClusterId = 1,
                NodeId = new Raft.NodeId(0xc),
                Members = [new Engine.Member(0xc, "c", [], [])],
                DataDirectory = directory,
                Seed = 1,
            };
            await using MetaStoreNode node = MetaStoreNode.Open(settings, new OnePeer(new Engine.PeerFigures { Peer = new Raft.NodeId(1), RoundTrips = DurationHistogram.OfNetwork() }));
            using var metrics = new NodeMetrics(node, new EtcdVersions("3.6.14", "3.6.0"));
            await Assert.ThrowsAsync<Engine.MetaStoreException>(() => node.ChangeMembersAsync(new Engine.PromoteMember(5)).AsTask());
            await Assert.ThrowsAsync<Engine.MetaStoreException>(() => node.ChangeMembersAsync(new Engine.PromoteMember(0xc)).AsTask());
            await Assert.ThrowsAsync<Engine.MetaStoreException>(() => node.ChangeMembersAsync(new Engine.RemoveMember(5)).AsTask());
            var text = new PrometheusText();
            metrics.Write(text);

            string[] lines = Encoding.UTF8.GetString(text.ToBytes()).Split('\n');
            Assert.Equal(
                [
                    "etcd_server_learner_promote_failures{Reason=\"etcdserver: can only promote a learner member\"} 1",
                    "etcd_server_learner_promote_failures{Reason=\"etcdserver: member not found\"} 1",
                ],
                lines.Where(line => line.StartsWith("etcd_server_learner_promote_failures{", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task ANode_TellsWhatItDoes()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-metrics-").FullName;
        try
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
            using var metrics = new NodeMetrics(node, new EtcdVersions("3.6.14", "3.6.0"));
            await node.PutAsync(new Engine.PutRequest { Key = "a"u8.ToArray() });
            await node.HashAsync(new Engine.HashRequest(default));
            await node.HashAsync(new Engine.HashRequest(new Engine.Revision(2)));
            await node.TxnAsync(new Engine.TxnRequest { Success = [new Engine.PutRequest { Key = "b"u8.ToArray() }, new Engine.DeleteRangeRequest { Key = "a"u8.ToArray() }] });
            await node.GrantLeaseAsync(new Engine.LeaseGrantRequest(Ttl: 100, Id: 7));
            await node.GrantLeaseAsync(new Engine.LeaseGrantRequest(Ttl: 100, Id: 8));
            await node.KeepLeaseAliveAsync(7);
            await node.RevokeLeaseAsync(new Engine.LeaseRevokeRequest(8));
            var text = new PrometheusText();
            metrics.Write(text);

            string[] lines = Encoding.UTF8.GetString(text.ToBytes()).Split('\n');
            Assert.Contains("etcd_server_has_leader 1", lines);
            Assert.Contains("etcd_server_is_leader 1", lines);
            Assert.Contains("etcd_server_leader_changes_seen_total 1", lines);
            Assert.Contains("etcd_mvcc_put_total 2", lines);
            Assert.Contains("etcd_debugging_mvcc_delete_total 1", lines);
            Assert.Contains("etcd_mvcc_txn_total 1", lines);
            Assert.Contains("etcd_debugging_mvcc_keys_total 1", lines);
            Assert.Contains("etcd_debugging_mvcc_current_revision 3", lines);
            Assert.Contains("metastore_leases 1", lines);
            Assert.Contains("etcd_debugging_lease_granted_total 2", lines);
            Assert.Contains("etcd_debugging_lease_renewed_total 1", lines);
            Assert.Contains("etcd_debugging_lease_revoked_total 1", lines);
            Assert.Contains("etcd_server_lease_expired_total 0", lines);
            Assert.Contains("etcd_server_proposals_failed_total 0", lines);
            Assert.Contains("etcd_server_read_indexes_failed_total 0", lines);
            Assert.Contains("etcd_server_heartbeat_send_failures_total 0", lines);
            Assert.Contains("etcd_server_learner_promote_successes 0", lines);
            Assert.Contains("etcd_mvcc_hash_duration_seconds_count 1", lines);
            Assert.Contains("etcd_mvcc_hash_rev_duration_seconds_count 1", lines);
            Assert.Contains("etcd_mvcc_hash_rev_duration_seconds_bucket{le=\"163.84\"} 1", lines);
            long logged = node.LogBytesWritten;
            Assert.Contains($"etcd_disk_wal_write_bytes_total {logged}", lines);
            await node.PutAsync(new Engine.PutRequest { Key = "a"u8.ToArray(), Value = new byte[100_000] });
            Assert.InRange(node.LogBytesWritten - logged, 100_000, 200_000);
            Assert.Matches("^etcd_disk_backend_commit_duration_seconds_count [1-9]", Assert.Single(lines, line => line.StartsWith("etcd_disk_backend_commit_duration_seconds_count", StringComparison.Ordinal)));
            Assert.Contains("etcd_cluster_version{cluster_version=\"3.6\"} 1", lines);
            Assert.Matches("^etcd_disk_wal_fsync_duration_seconds_count [1-9]", Assert.Single(lines, line => line.StartsWith("etcd_disk_wal_fsync_duration_seconds_count", StringComparison.Ordinal)));
            Assert.Equal(lines.Count(line => line.StartsWith("# TYPE", StringComparison.Ordinal)), lines.Where(line => line.StartsWith("# TYPE", StringComparison.Ordinal)).Distinct().Count());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private sealed class OnePeer(Engine.PeerFigures peer) : Engine.IPeerTransport
    {
        public void Send(Raft.GroupId group, Raft.Message message)
        {
        }

        public void SetMembers(IReadOnlyCollection<Engine.Member> members, IReadOnlyCollection<ulong> removed)
        {
        }

        public IReadOnlyList<Engine.PeerFigures> MeasurePeers() => [peer];
    }
}
