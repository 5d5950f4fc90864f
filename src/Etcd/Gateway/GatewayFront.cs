using System.Collections.Frozen;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Http;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace MetaStore.Etcd.Gateway;

/// <summary>Calls in JSON over HTTP, as etcd's gateway has them: for those who have no gRPC at hand.</summary>
internal sealed class GatewayFront(RpcDesk desk, int messageBytesMax, UnfinishedMessages unfinished, UnreadAnswers unread, TimeProvider time, CancellationToken stopping, ILogger logger)
{
    private readonly FrozenDictionary<string, Route> _routes = MakeRoutes(desk);

    /// <summary>Whether a path is the gateway's, well or badly made.</summary>
    public static bool IsCall(string path) => GatewayRoutes.Prefixes.Any(prefix => path.Length > prefix.Length && path[prefix.Length] == '/' && path.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Serves a call to its end. Lets no exception out but those of a connection that broke.</summary>
    public async Task ServeAsync(IFeatureCollection features, IHttpRequestFeature request)
    {
        if (!_routes.TryGetValue(request.Path, out Route? route))
        {
            await HttpReply.JsonErrorAsync(features, StatusCodes.Status404NotFound, StatusCode.NotFound, "Not Found").ConfigureAwait(false);
            return;
        }

        if (!HttpMethods.IsPost(request.Method))
        {
            features.GetRequiredFeature<IHttpResponseFeature>().Headers.Allow = HttpMethods.Post;
            await HttpReply.JsonErrorAsync(features, StatusCodes.Status405MethodNotAllowed, StatusCode.Unimplemented, "Method Not Allowed").ConfigureAwait(false);
            return;
        }

        using var call = new GatewayCall(features, request, route.Served, unread, stopping);
        desk.Clients.Count(route.Served.Method, call.Metadata(ClientRequests.Version));
        long started = route.Served.Counters.CountStarted();
        (StatusCode code, string? message) = await RunAsync(call, route, features, request).ConfigureAwait(false);
        route.Served.Counters.CountHandled(code, started);
        if (code != StatusCode.Ok)
        {
            await call.FailAsync(code, message!).ConfigureAwait(false);
        }
    }

    private async ValueTask<(StatusCode Code, string? Message)> RunAsync(GatewayCall call, Route route, IFeatureCollection features, IHttpRequestFeature request)
    {
        try
        {
            call.Limit(Timeout(request.Headers.GrpcTimeout), route.Served.Method.MayLast, time);
            using UnfinishedMessages.Body body = unfinished.Of(features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader);
            var requests = new JsonRequests(body, route.Served, route.Request, messageBytesMax);
            if (route.Served.Method is UnaryMethod unary)
            {
                IMessage asked = await requests.ReadOnlyOneAsync(call.Ended).ConfigureAwait(false);
                await call.AnswerAsync(await unary.AnswerAsync(asked, call).ConfigureAwait(false)).ConfigureAwait(false);
            }
            else
            {
                if (features.Get<IHttpMinRequestBodyDataRateFeature>() is { } pace)
                {
                    pace.MinDataRate = null; // a watch may have nothing to ask for days
                }

                await ((StreamMethod)route.Served.Method).RunAsync(requests, call, call).ConfigureAwait(false);
            }

            return (StatusCode.Ok, null);
        }
        catch (Exception e)
        {
            return call.Explain(e, route.Served, logger);
        }
    }

    private static TimeSpan? Timeout(StringValues header)
    {
        if (header is not [{ } text, ..])
        {
            return null;
        }

        return GrpcTimeout.TryParse(text, out TimeSpan timeout)
            ? timeout
            : throw new RpcException(StatusCode.InvalidArgument, $"invalid grpc-timeout: {text}");
    }

    private static FrozenDictionary<string, Route> MakeRoutes(RpcDesk desk)
    {
        var routes = new Dictionary<string, Route>(StringComparer.Ordinal);
        foreach ((string path, string method) in GatewayRoutes.All)
        {
            if (desk.Find(method) is { } served)
            {
                MessageDescriptor request = served.Method.Parser.ParseFrom(ByteString.Empty).Descriptor;
                foreach (string prefix in GatewayRoutes.Prefixes)
                {
                    routes.Add(prefix + path, new Route(served, request));
                }
            }
        }

        return routes.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private sealed record Route(ServedMethod Served, MessageDescriptor Request);
}
