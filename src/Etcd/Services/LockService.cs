using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages.Locking;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>v3lockpb.Lock.</summary>
internal sealed class LockService(MetaStoreNode node, EtcdServicesOptions options)
{
    private readonly TurnQueue _turns = new(node, options.Authority);

    /// <summary>Answered when the lock is the lease's. To take it again with the same lease changes nothing.</summary>
    public async ValueTask<LockResponse> LockAsync(LockRequest request, RpcContext context)
    {
        LeaseKeeper keeper = await LeaseSession.OpenAsync(node, request.Lease, options, context).ConfigureAwait(false);
        await using (keeper.ConfigureAwait(false))
        {
            TurnQueue.Place place = await _turns.EnterAsync(request.Name.Memory, keeper.LeaseId, ReadOnlyMemory<byte>.Empty, context).ConfigureAwait(false);
            try
            {
                ResponseHeader header = await _turns.WaitForTurnAsync(place, context).ConfigureAwait(false)
                    ? place.Header
                    : await CheckStillThereAsync(place, context).ConfigureAwait(false);
                return new LockResponse { Header = AnswerForms.ToMessage(header), Key = UnsafeByteOperations.UnsafeWrap(place.Key) };
            }
            catch
            {
                await _turns.LeaveAsync(place).ConfigureAwait(false);
                throw;
            }
        }
    }

    public async ValueTask<UnlockResponse> UnlockAsync(UnlockRequest request, RpcContext context)
    {
        var delete = new DeleteRangeRequest { Key = request.Key.Memory };
        await options.Authority.CheckAsync(context, delete).ConfigureAwait(false);
        DeleteRangeResponse deleted = await node.DeleteRangeAsync(delete, context.Ended).ConfigureAwait(false);
        return new UnlockResponse { Header = AnswerForms.ToMessage(deleted.Header) };
    }

    /// <summary>The lease may have run out while its key waited.</summary>
    private async ValueTask<ResponseHeader> CheckStillThereAsync(TurnQueue.Place place, RpcContext context)
    {
        RangeResponse own = await node.RangeAsync(new RangeRequest { Key = place.Key }, context.Ended).ConfigureAwait(false);
        return own.Items.Count > 0 && own.Items[0].CreateRevision == place.CreateRevision ? own.Header : throw EtcdErrors.Plain("mutex: session is expired");
    }
}
