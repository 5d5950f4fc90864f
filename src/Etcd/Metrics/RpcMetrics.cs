using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Metrics;

/// <summary>What came of the calls, under the names that etcd's servers use.</summary>
internal sealed class RpcMetrics(RpcDesk desk)
{
    private static readonly StatusCode[] s_codes = Enum.GetValues<StatusCode>();

    private readonly (string Labels, RpcCounters Counters)[] _methods =
        [.. desk.Methods.OrderBy(served => served.Method.Path, StringComparer.Ordinal).Select(served => (Labels(served.Method), served.Counters))];

    /// <summary>Writes them.</summary>
    public void Write(PrometheusText text)
    {
        Each(text, "grpc_server_started_total", "Total number of RPCs started on the server.", counters => counters.Started);
        Each(text, "grpc_server_msg_received_total", "Total number of RPC stream messages received on the server.", counters => counters.MessagesReceived);
        Each(text, "grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.", counters => counters.MessagesSent);
        const string Handled = "grpc_server_handled_total";
        text.Begin(Handled, "counter", "Total number of RPCs completed on the server, regardless of success or failure.");
        foreach ((string labels, RpcCounters counters) in _methods)
        {
            foreach (StatusCode code in s_codes)
            {
                text.Sample(Handled, $"grpc_code=\"{(code == StatusCode.Ok ? "OK" : code)}\",{labels}", counters.Handled(code));
            }
        }

        desk.Clients.Write(text);
        WriteDurations(text);
        text.Counter("etcd_network_client_grpc_received_bytes_total", "The total number of bytes received from grpc clients.", _methods.Sum(method => method.Counters.BytesReceived));
        text.Counter("etcd_network_client_grpc_sent_bytes_total", "The total number of bytes sent to grpc clients.", _methods.Sum(method => method.Counters.BytesSent));
        double ranges = Started("/etcdserverpb.KV/Range") + Started("/etcdserverpb.KV/RangeStream");
        text.Counter("etcd_mvcc_range_total", "Total number of ranges seen by this member.", ranges);
        text.Counter("etcd_debugging_mvcc_range_total", "Total number of ranges seen by this member.", ranges);
        text.Gauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.", UnderWay("/etcdserverpb.Watch/Watch"));
    }

    private void WriteDurations(PrometheusText text)
    {
        if (_methods.All(method => method.Counters.Durations is null))
        {
            return;
        }

        const string Handling = "grpc_server_handling_seconds";
        text.Begin(Handling, "histogram", "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.");
        foreach ((string labels, RpcCounters counters) in _methods)
        {
            text.Buckets(Handling, labels, counters.Durations!);
        }
    }

    private static string Labels(RpcMethod method)
    {
        int slash = method.Path.LastIndexOf('/');
        string type = method switch
        {
            UnaryMethod => "unary",
            StreamMethod { TakesOneRequest: true } => "server_stream",
            _ => "bidi_stream",
        };
        return $"grpc_method=\"{method.Path[(slash + 1)..]}\",grpc_service=\"{method.Path[1..slash]}\",grpc_type=\"{type}\"";
    }

    private void Each(PrometheusText text, string name, string help, Func<RpcCounters, long> value)
    {
        text.Begin(name, "counter", help);
        foreach ((string labels, RpcCounters counters) in _methods)
        {
            text.Sample(name, labels, value(counters));
        }
    }

    private long Started(string path) => desk.Find(path)?.Counters.Started ?? 0;

    private long UnderWay(string path) => desk.Find(path)?.Counters is { } counters ? counters.Started - s_codes.Sum(counters.Handled) : 0;
}
