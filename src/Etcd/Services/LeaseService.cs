using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.Lease.</summary>
internal sealed class LeaseService(MetaStoreNode node, EtcdServicesOptions options)
{
    /// <summary>What a key of a lease is counted with beside its bytes (<see cref="EtcdServicesOptions.HeldAnswerBytesMax"/>).</summary>
    private const int KeyCost = 192;

    public async ValueTask<Messages.LeaseGrantResponse> GrantAsync(Messages.LeaseGrantRequest request, RpcContext context)
    {
        var grant = new LeaseGrantRequest(request.TTL, request.ID);
        await options.Authority.CheckAsync(context, grant).ConfigureAwait(false);
        LeaseGrantResponse granted = await node.GrantLeaseAsync(grant, context.Ended).ConfigureAwait(false);
        return new Messages.LeaseGrantResponse { Header = AnswerForms.ToMessage(granted.Header), ID = granted.Id, TTL = granted.Ttl };
    }

    public async ValueTask<Messages.LeaseRevokeResponse> RevokeAsync(Messages.LeaseRevokeRequest request, RpcContext context)
    {
        var revoke = new LeaseRevokeRequest(request.ID);
        await options.Authority.CheckAsync(context, revoke).ConfigureAwait(false);
        LeaseRevokeResponse revoked = await node.RevokeLeaseAsync(revoke, context.Ended).ConfigureAwait(false);
        return new Messages.LeaseRevokeResponse { Header = AnswerForms.ToMessage(revoked.Header) };
    }

    /// <summary>A lease that is not there (any more) is no error: its time to live is 0.</summary>
    public async Task KeepAliveAsync(
        IRpcReader<Messages.LeaseKeepAliveRequest> requests, IRpcWriter<Messages.LeaseKeepAliveResponse> answers, RpcContext context)
    {
        while (await requests.ReadAsync(context.Ended).ConfigureAwait(false) is { } request)
        {
            await options.Authority.CheckKeepAliveAsync(context, request.ID).ConfigureAwait(false);

            // As in etcd, taken before the renewal: the revision is one at which the lease was still there.
            Messages.ResponseHeader header = AnswerForms.ToMessage(node.Header);
            LeaseKeepAliveResponse renewed = await node.KeepLeaseAliveAsync(request.ID, context.Ended).ConfigureAwait(false);
            var answer = new Messages.LeaseKeepAliveResponse { Header = header, ID = request.ID, TTL = renewed.Ttl };
            await answers.WriteAsync(answer, context.Ended).ConfigureAwait(false);
        }
    }

    /// <summary>A lease that is not there (any more) is no error: it has -1 left.</summary>
    public async ValueTask<Messages.LeaseTimeToLiveResponse> TimeToLiveAsync(Messages.LeaseTimeToLiveRequest request, RpcContext context)
    {
        var question = new LeaseTimeToLiveRequest(request.ID, request.Keys);
        await options.Authority.CheckAsync(context, question).ConfigureAwait(false);
        LeaseTimeToLiveResponse left = await node.LeaseTimeToLiveAsync(question, context.Ended).ConfigureAwait(false);
        if (left.Keys.Sum(static key => KeyCost + (long)key.Length) > options.HeldAnswerBytesMax)
        {
            throw EtcdErrors.LeaseKeysTooLarge(options.HeldAnswerBytesMax);
        }

        var answer = new Messages.LeaseTimeToLiveResponse
        {
            Header = AnswerForms.ToMessage(left.Header),
            ID = request.ID,
            TTL = left.Ttl,
            GrantedTTL = left.GrantedTtl,
        };
        answer.Keys.Add(left.Keys.Select(UnsafeByteOperations.UnsafeWrap));
        return answer;
    }

    public async ValueTask<Messages.LeaseLeasesResponse> LeasesAsync(Messages.LeaseLeasesRequest request, RpcContext context)
    {
        await options.Authority.CheckLeaseListAsync(context).ConfigureAwait(false);
        LeasesResponse leases = await node.LeasesAsync(context.Ended).ConfigureAwait(false);
        var answer = new Messages.LeaseLeasesResponse { Header = AnswerForms.ToMessage(leases.Header) };
        answer.Leases.Add(leases.Ids.Select(id => new Messages.LeaseStatus { ID = id }));
        return answer;
    }
}
