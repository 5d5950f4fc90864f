using System.Text;
using MetaStore.Etcd.Gateway;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Http;

/// <summary>
/// Where each request of the HTTP server arrives. The request's features are all the context there is: nothing is made for a request but what its
/// call needs.
/// </summary>
internal sealed class HttpFront(GrpcFront grpc, GatewayFront gateway, HealthPages health, MetricsPage metrics, EtcdVersions versions) : IHttpApplication<IFeatureCollection>
{
    private const string Http2 = "HTTP/2";
    private const string Version = "/version";

    private readonly byte[] _versions = Encoding.UTF8.GetBytes($$"""{"etcdserver":"{{versions.Server}}","etcdcluster":"{{versions.Cluster}}","storage":"{{versions.Cluster}}"}""");

    /// <inheritdoc/>
    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    /// <inheritdoc/>
    public Task ProcessRequestAsync(IFeatureCollection context)
    {
        IHttpRequestFeature request = context.GetRequiredFeature<IHttpRequestFeature>();
        if (context.Get<PagesOnly>() is not null)
        {
            return ServePageAsync(context, request);
        }

        if (request.Protocol == Http2 && grpc.IsCall(request))
        {
            return grpc.ServeAsync(context, request);
        }

        return GatewayFront.IsCall(request.Path) ? gateway.ServeAsync(context, request) : ServePageAsync(context, request);
    }

    /// <inheritdoc/>
    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
        // The features are the server's.
    }

    private Task ServePageAsync(IFeatureCollection features, IHttpRequestFeature request)
    {
        bool isHealth = health.IsPage(request.Path);
        if (!isHealth && request.Path is not (MetricsPage.Path or Version))
        {
            return HttpReply.TextAsync(features, StatusCodes.Status404NotFound, "404 page not found\n");
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            features.GetRequiredFeature<IHttpResponseFeature>().Headers.Allow = HttpMethods.Get;
            return HttpReply.TextAsync(features, StatusCodes.Status405MethodNotAllowed, "Method Not Allowed\n");
        }

        if (isHealth)
        {
            return health.ServeAsync(features, request);
        }

        return request.Path == Version ? HttpReply.SendAsync(features, StatusCodes.Status200OK, HttpReply.Json, _versions) : metrics.ServeAsync(features);
    }
}
