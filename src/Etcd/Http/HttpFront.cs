using MetaStore.Etcd.Grpc;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace MetaStore.Etcd.Http;

/// <summary>Where each request of the HTTP server arrives. The request's features are all the context there is: nothing is made for a request but what its call needs.</summary>
internal sealed class HttpFront(GrpcFront grpc) : IHttpApplication<IFeatureCollection>
{
    private const string Http2 = "HTTP/2";

    /// <inheritdoc/>
    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    /// <inheritdoc/>
    public Task ProcessRequestAsync(IFeatureCollection context)
    {
        IHttpRequestFeature request = context.GetRequiredFeature<IHttpRequestFeature>();
        if (request.Protocol == Http2 && grpc.IsCall(request))
        {
            return grpc.ServeAsync(context, request);
        }

        context.GetRequiredFeature<IHttpResponseFeature>().StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
        // The features are the server's.
    }
}
