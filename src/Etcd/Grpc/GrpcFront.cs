using System.Collections.Frozen;
using Google.Protobuf;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace MetaStore.Etcd.Grpc;

/// <summary>Calls over HTTP/2, as gRPC frames them: finds the method, runs it, ends the call with its status.</summary>
internal sealed class GrpcFront(RpcDesk desk, int requestBytesMax, UnfinishedMessages unfinished, UnreadAnswers unread, TimeProvider time, CancellationToken stopping, ILogger logger)
{
    private const string ContentType = "application/grpc";
    private const string Identity = "identity";

    private readonly FrozenSet<string> _services = desk.Methods.Select(served => ServiceOf(served.Method.Path)).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Whether a request of HTTP/2 is meant as a call, well or badly made.</summary>
    public bool IsCall(IHttpRequestFeature request) => IsGrpc(request.Headers.ContentType) || desk.Find(request.Path) is not null;

    /// <summary>Serves a call to its end. Lets no exception out.</summary>
    public async Task ServeAsync(IFeatureCollection features, IHttpRequestFeature request)
    {
        using var call = new GrpcCall(features, request, unread, stopping);
        if (Check(call, request) is not { } served)
        {
            return;
        }

        desk.Clients.Count(served.Method, call.Metadata(ClientRequests.Version));
        long started = served.Counters.CountStarted();
        (StatusCode code, string? message) = await RunAsync(call, served, features).ConfigureAwait(false);
        served.Counters.CountHandled(code, started);
        call.Finish(code, message);
    }

    private async ValueTask<(StatusCode Code, string? Message)> RunAsync(GrpcCall call, ServedMethod served, IFeatureCollection features)
    {
        try
        {
            using UnfinishedMessages.Body body = unfinished.Of(call.Body);
            MessageReader requests = call.Read(body, served.Method.Parser, requestBytesMax, served.Counters);
            if (served.Method is UnaryMethod unary)
            {
                IMessage request = await requests.ReadAsync(call.Ended).ConfigureAwait(false)
                    ?? throw new RpcException(StatusCode.Internal, "the call ended without a request");
                await call.AnswerAsync(await unary.AnswerAsync(request, call).ConfigureAwait(false)).ConfigureAwait(false);
            }
            else
            {
                // A watch may have nothing to ask for days.
                features.Get<IHttpMinRequestBodyDataRateFeature>()!.MinDataRate = null;
                await ((StreamMethod)served.Method).RunAsync(requests, call, call).ConfigureAwait(false);
            }

            return (StatusCode.Ok, null);
        }
        catch (Exception e)
        {
            return call.Explain(e, served, logger);
        }
    }

    /// <summary>The method to run. Null where the call was refused; it has its answer then.</summary>
    private ServedMethod? Check(GrpcCall call, IHttpRequestFeature request)
    {
        if (!HttpMethods.IsPost(request.Method))
        {
            call.Refuse(StatusCodes.Status405MethodNotAllowed, StatusCode.Internal, $"the method of the request is \"{request.Method}\"; gRPC asks for POST");
            return null;
        }

        string contentType = request.Headers.ContentType.ToString();
        if (!IsGrpc(contentType))
        {
            call.Refuse(StatusCodes.Status415UnsupportedMediaType, StatusCode.InvalidArgument, $"invalid gRPC request content-type \"{contentType}\"");
            return null;
        }

        if (desk.Find(request.Path) is not { } served)
        {
            call.Finish(StatusCode.Unimplemented, DescribeUnknown(request.Path));
            return null;
        }

        if (request.Headers.GrpcEncoding is [{ } encoding, ..] && encoding != Identity)
        {
            call.ResponseHeaders.GrpcAcceptEncoding = Identity;
            call.Finish(StatusCode.Unimplemented, $"grpc: Decompressor is not installed for grpc-encoding \"{encoding}\"");
            return null;
        }

        TimeSpan? timeout = null;
        if (request.Headers.GrpcTimeout is [{ } text, ..])
        {
            if (!GrpcTimeout.TryParse(text, out TimeSpan parsed))
            {
                call.Refuse(StatusCodes.Status400BadRequest, StatusCode.Internal, $"malformed grpc-timeout: \"{text}\"");
                return null;
            }

            timeout = parsed;
        }

        call.Limit(timeout, served.Method.MayLast, time);
        return served;
    }

    private static bool IsGrpc(string? contentType) =>
        contentType is not null && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';');

    private static string ServiceOf(string path) => path[1..path.LastIndexOf('/')];

    private string DescribeUnknown(string path)
    {
        int slash = path.LastIndexOf('/');
        if (slash <= 0)
        {
            return $"malformed method name: \"{path}\"";
        }

        string service = ServiceOf(path);
        return _services.Contains(service) ? $"unknown method {path[(slash + 1)..]} for service {service}" : $"unknown service {service}";
    }
}
