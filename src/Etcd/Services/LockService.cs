using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Coordination;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages.Locking;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>v3lockpb.Lock.</summary>
internal sealed class LockService(MetaStoreNode node, EtcdServicesOptions options)
{
    /// <summary>Answered when the lock is the lease's. To take it again with the same lease changes nothing.</summary>
    public async ValueTask<LockResponse> LockAsync(LockRequest request, RpcContext context)
    {
        long lease = await LeaseSession.OpenAsync(node, request.Lease, options, context).ConfigureAwait(false);
        var turns = new TurnQueue(new AuthorizedStore(node, options.Authority, context));
        TurnPlace place = await turns.EnterAsync(request.Name.Memory, lease, ReadOnlyMemory<byte>.Empty, context.Ended).ConfigureAwait(false);
        try
        {
            ResponseHeader header = await turns.WaitForTurnAsync(place, context.Ended).ConfigureAwait(false)
                ? place.Header
                : await turns.FindAsync(place, context.Ended).ConfigureAwait(false) ?? throw EtcdErrors.Plain("mutex: session is expired");
            return new LockResponse { Header = AnswerForms.ToMessage(header), Key = UnsafeByteOperations.UnsafeWrap(place.Key) };
        }
        catch
        {
            await turns.LeaveAsync(place).ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask<UnlockResponse> UnlockAsync(UnlockRequest request, RpcContext context)
    {
        var delete = new DeleteRangeRequest { Key = request.Key.Memory };
        await options.Authority.CheckAsync(context, delete).ConfigureAwait(false);
        DeleteRangeResponse deleted = await node.DeleteRangeAsync(delete, context.Ended).ConfigureAwait(false);
        return new UnlockResponse { Header = AnswerForms.ToMessage(deleted.Header) };
    }
}
