using System.Net;
using System.Text;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>A port for those who watch over the server: it tells how it fares, and nothing of what it holds.</summary>
public sealed class PagesOnlyTests
{
    [Fact]
    public async Task FiguresAndHealthAreTold_AndNothingElse()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(
            new MethodTable([RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse()))]),
            adopt: static server => server.AdoptForPages);
        using var http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };
        using var grpc = new GrpcClient(served.EndPoint);

        Assert.Contains("process_open_fds", await http.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);
        Assert.Contains("etcdserver", await http.GetStringAsync(new Uri("/version", UriKind.Relative)), StringComparison.Ordinal);
        using var body = new StringContent("{}", Encoding.UTF8, "application/json");
        using HttpResponseMessage read = await http.PostAsync(new Uri("/v3/kv/range", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.NotFound, read.StatusCode);
        GrpcAnswer called = await grpc.CallAsync("/etcdserverpb.KV/Range", new RangeRequest());
        Assert.Equal((HttpStatusCode.NotFound, null), (called.Http, called.Status));
    }
}
