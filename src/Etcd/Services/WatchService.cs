using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.Watch.</summary>
internal sealed class WatchService(MetaStoreNode node, EtcdServicesOptions options)
{
    /// <summary>
    /// Any number of watches on one stream. A caller that has said its last goes on being told. Whoever does not read what it is told holds up its own stream alone: what waits
    /// for it is bounded, and beyond that comes from the log of events later.
    /// </summary>
    public async Task WatchAsync(IRpcReader<Messages.WatchRequest> requests, IRpcWriter<Messages.WatchResponse> answers, RpcContext context)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.Ended);
        using var stream = new WatchStream(node, options, context);
        Task writing = stream.WriteAllAsync(answers, ended.Token);
        Task reading = stream.ReadAllAsync(requests, ended.Token);
        try
        {
            if (await Task.WhenAny(reading, writing).ConfigureAwait(false) == reading)
            {
                await reading.ConfigureAwait(false);
            }

            await writing.ConfigureAwait(false);
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(reading, writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
