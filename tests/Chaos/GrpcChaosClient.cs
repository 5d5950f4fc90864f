using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MetaStore.Engine;
using MetaStore.Testing.Grpc;

namespace MetaStore.Chaos;

/// <summary>
/// Asks by gRPC, as clients of etcd do: one node at a time, and after a failure the next. Nothing is repeated. As not applied counts what was never sent, for there was no connection, and what etcd
/// refuses before it is proposed; all other failures leave the outcome open.
/// </summary>
internal sealed class GrpcChaosClient : IChaosClient
{
    private const string TooManyRequests = "etcdserver: too many requests";

    /// <summary>Of gRPC: cancelled, deadline exceeded, resource exhausted, unavailable.</summary>
    private const string Cancelled = "1", DeadlineExceeded = "4", Exhausted = "8", Unavailable = "14";

    /// <summary>A connection over which nothing comes back any more is given up.</summary>
    private static readonly TimeSpan s_ping = TimeSpan.FromSeconds(1);

    private readonly GrpcClient[] _nodes;
    private readonly TimeSpan _timeout;
    private int _node;

    public GrpcChaosClient(IReadOnlyList<string> endpoints, TimeSpan timeout)
    {
        _timeout = timeout;
        _nodes =
        [
            .. endpoints.Select(endpoint => new GrpcClient(IPEndPoint.Parse(endpoint), handler =>
            {
                handler.ConnectTimeout = timeout;
                handler.KeepAlivePingDelay = s_ping;
                handler.KeepAlivePingTimeout = s_ping;
            })),
        ];
    }

    public async Task<StoreResponse> SendAsync(StoreRequest request)
    {
        try
        {
            return await AskAsync(_nodes[_node], request);
        }
        catch (MetaStoreException)
        {
            _node = (_node + 1) % _nodes.Length;
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        Array.ForEach(_nodes, node => node.Dispose());
        return ValueTask.CompletedTask;
    }

    private async Task<StoreResponse> AskAsync(GrpcClient node, StoreRequest request)
    {
        (string path, Google.Protobuf.IMessage message) = EtcdForms.Of(request);

        // A little longer than the server was told: its answer says more than silence.
        using var patience = new CancellationTokenSource(_timeout * 1.25);
        string deadline = string.Create(CultureInfo.InvariantCulture, $"{(long)_timeout.TotalMilliseconds}m");
        GrpcAnswer answer;
        try
        {
            answer = await node.CallAsync(path, GrpcClient.Frame(message), call => call.Headers.Add("grpc-timeout", deadline), patience.Token);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError)
        {
            throw new MetaStoreException(MetaStoreError.ConnectionLost, $"There is no connection: {e.Message}", Outcome.NotApplied, e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            throw new MetaStoreException(MetaStoreError.ConnectionLost, $"No answer came: {e.Message}", Outcome.Unknown, e);
        }

        return answer.Status switch
        {
            "0" => EtcdForms.Read(request, answer.Body),
            Unavailable or DeadlineExceeded or Cancelled => throw new MetaStoreException(MetaStoreError.Timeout, $"{answer.Status} {answer.Message}", Outcome.Unknown),
            Exhausted when answer.Message == TooManyRequests => throw new MetaStoreException(MetaStoreError.Busy, answer.Message, Outcome.NotApplied),
            _ => throw new InvalidOperationException($"{path} was answered {answer.Http} {answer.Status} {answer.Message}, which nothing in the workload calls for."),
        };
    }
}
