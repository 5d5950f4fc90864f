using MetaStore.Etcd.Messages.Health;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>grpc.health.v1.Health, for the server as a whole: the service of the empty name.</summary>
/// <param name="nodeFailed">Ends when the node fails, for good.</param>
internal sealed class HealthService(Task nodeFailed)
{
    public ValueTask<HealthCheckResponse> CheckAsync(HealthCheckRequest request, RpcContext context) => request.Service.Length == 0
        ? ValueTask.FromResult(new HealthCheckResponse { Status = Status })
        : throw new RpcException(StatusCode.NotFound, "unknown service");

    /// <summary>Says how it is, and once more when that changes: a node that has failed stays failed.</summary>
    public async Task WatchAsync(HealthCheckRequest request, IRpcWriter<HealthCheckResponse> answers, RpcContext context)
    {
        bool isKnown = request.Service.Length == 0;
        HealthCheckResponse.Types.ServingStatus status = isKnown ? Status : HealthCheckResponse.Types.ServingStatus.ServiceUnknown;
        await answers.WriteAsync(new HealthCheckResponse { Status = status }, context.Ended).ConfigureAwait(false);
        Task change = isKnown && status == HealthCheckResponse.Types.ServingStatus.Serving ? nodeFailed : Task.Delay(Timeout.Infinite, context.Ended);
        await change.WaitAsync(context.Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        context.Ended.ThrowIfCancellationRequested();
        await answers.WriteAsync(new HealthCheckResponse { Status = Status }, context.Ended).ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite, context.Ended).ConfigureAwait(false);
    }

    private HealthCheckResponse.Types.ServingStatus Status =>
        nodeFailed.IsCompleted ? HealthCheckResponse.Types.ServingStatus.NotServing : HealthCheckResponse.Types.ServingStatus.Serving;
}
