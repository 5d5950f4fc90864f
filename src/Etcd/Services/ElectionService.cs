using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Coordination;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>v3electionpb.Election.</summary>
internal sealed class ElectionService(MetaStoreNode node, EtcdServicesOptions options)
{
    private static RpcException NoLeaderKey => EtcdErrors.Plain("\"leader\" field must be provided");

    private static RpcException NotLeader => EtcdErrors.Plain("election: not leader");

    /// <summary>Answered when the lease leads. A lease that stands already stands on, with the new value.</summary>
    public async ValueTask<CampaignResponse> CampaignAsync(CampaignRequest request, RpcContext context)
    {
        long lease = await LeaseSession.OpenAsync(node, request.Lease, options, context).ConfigureAwait(false);
        AuthorizedStore store = StoreOf(context);
        var turns = new TurnQueue(store);
        TurnPlace place = await turns.EnterAsync(request.Name.Memory, lease, request.Value.Memory, context.Ended).ConfigureAwait(false);
        try
        {
            if (place.Earlier is { } earlier && !earlier.Span.SequenceEqual(request.Value.Span))
            {
                _ = await new StoreElection(store).ProclaimAsync(place.Key, place.CreateRevision, lease, request.Value.Memory, context.Ended).ConfigureAwait(false)
                    ?? throw NotLeader;
            }

            await turns.WaitForTurnAsync(place, context.Ended).ConfigureAwait(false);
        }
        catch
        {
            await turns.LeaveAsync(place).ConfigureAwait(false);
            throw;
        }

        return new CampaignResponse
        {
            Header = AnswerForms.ToMessage(place.Header),
            Leader = new LeaderKey { Name = request.Name, Key = UnsafeByteOperations.UnsafeWrap(place.Key), Rev = place.CreateRevision.Value, Lease = lease },
        };
    }

    public async ValueTask<ProclaimResponse> ProclaimAsync(ProclaimRequest request, RpcContext context)
    {
        LeaderKey leader = request.Leader ?? throw NoLeaderKey;
        ResponseHeader header = await new StoreElection(StoreOf(context)).ProclaimAsync(
            leader.Key.Memory, new Revision(leader.Rev), leader.Lease, request.Value.Memory, context.Ended).ConfigureAwait(false) ?? throw NotLeader;
        return new ProclaimResponse { Header = AnswerForms.ToMessage(header) };
    }

    public async ValueTask<LeaderResponse> LeaderAsync(LeaderRequest request, RpcContext context)
    {
        LeaderSeen? seen = await new StoreElection(StoreOf(context)).LeaderAsync(request.Name.Memory, context.Ended).ConfigureAwait(false);
        return seen is null ? throw EtcdErrors.Plain("election: no leader") : ToMessage(seen);
    }

    /// <summary>Whoever leads, and each of its values; then whoever leads next. Of leaders that come and go quickly some may be left out.</summary>
    public Task ObserveAsync(LeaderRequest request, IRpcWriter<LeaderResponse> answers, RpcContext context) => new StoreElection(StoreOf(context)).ObserveAsync(
        request.Name.Memory, async seen => await answers.WriteAsync(ToMessage(seen), context.Ended).ConfigureAwait(false), context.Ended);

    /// <summary>One that does not lead (any more) resigns from nothing, and that is no error.</summary>
    public async ValueTask<ResignResponse> ResignAsync(ResignRequest request, RpcContext context)
    {
        LeaderKey leader = request.Leader ?? throw NoLeaderKey;
        TxnResponse resigned = await StoreOf(context).TxnAsync(TurnQueue.Removal(leader.Key.Memory, new Revision(leader.Rev)), context.Ended).ConfigureAwait(false);
        return new ResignResponse { Header = AnswerForms.ToMessage(resigned.Header) };
    }

    private static LeaderResponse ToMessage(LeaderSeen seen) => new() { Header = AnswerForms.ToMessage(seen.Header), Kv = AnswerForms.ToMessage(seen.Leader) };

    private AuthorizedStore StoreOf(RpcContext context) => new(node, options.Authority, context);
}
