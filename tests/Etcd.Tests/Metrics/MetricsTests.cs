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
        var durations = new DurationHistogram();
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
    public async Task ANode_TellsWhatItDoes()
    {
        string directory = Directory.CreateTempSubdirectory("metastore-metrics-").FullName;
        try
        {
            await using MetaStoreNode node = MetaStoreNode.OpenSingle(directory);
            using var metrics = new NodeMetrics(node, new EtcdVersions("3.6.14", "3.6.0"));
            await node.PutAsync(new MetaStore.Engine.PutRequest { Key = "a"u8.ToArray() });
            await node.TxnAsync(new MetaStore.Engine.TxnRequest { Success = [new MetaStore.Engine.PutRequest { Key = "b"u8.ToArray() }, new MetaStore.Engine.DeleteRangeRequest { Key = "a"u8.ToArray() }] });
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
            Assert.Contains("etcd_cluster_version{cluster_version=\"3.6\"} 1", lines);
            Assert.DoesNotContain("etcd_disk_wal_fsync_duration_seconds_count 0", lines);
            Assert.Equal(lines.Count(line => line.StartsWith("# TYPE", StringComparison.Ordinal)), lines.Where(line => line.StartsWith("# TYPE", StringComparison.Ordinal)).Distinct().Count());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
