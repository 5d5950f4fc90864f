using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>v3electionpb.Election.</summary>
internal sealed class ElectionService(MetaStoreNode node, EtcdServicesOptions options)
{
    private readonly TurnQueue _turns = new(node, options.Authority);

    private static RpcException NoLeaderKey => EtcdErrors.Plain("\"leader\" field must be provided");

    private static RpcException NotLeader => EtcdErrors.Plain("election: not leader");

    /// <summary>Answered when the lease leads. A lease that stands already stands on, with the new value.</summary>
    public async ValueTask<CampaignResponse> CampaignAsync(CampaignRequest request, RpcContext context)
    {
        LeaseKeeper keeper = await LeaseSession.OpenAsync(node, request.Lease, options, context).ConfigureAwait(false);
        await using (keeper.ConfigureAwait(false))
        {
            TurnQueue.Place place = await _turns.EnterAsync(request.Name.Memory, keeper.LeaseId, request.Value.Memory, context).ConfigureAwait(false);
            try
            {
                if (place.Earlier is { } earlier && !earlier.Span.SequenceEqual(request.Value.Span))
                {
                    await SetValueAsync(place.Key, place.CreateRevision, keeper.LeaseId, request.Value.Memory, context).ConfigureAwait(false);
                }

                await _turns.WaitForTurnAsync(place, context).ConfigureAwait(false);
            }
            catch
            {
                await _turns.LeaveAsync(place).ConfigureAwait(false);
                throw;
            }

            return new CampaignResponse
            {
                Header = AnswerForms.ToMessage(place.Header),
                Leader = new LeaderKey
                {
                    Name = request.Name,
                    Key = UnsafeByteOperations.UnsafeWrap(place.Key),
                    Rev = place.CreateRevision.Value,
                    Lease = keeper.LeaseId,
                },
            };
        }
    }

    public async ValueTask<ProclaimResponse> ProclaimAsync(ProclaimRequest request, RpcContext context)
    {
        LeaderKey leader = request.Leader ?? throw NoLeaderKey;
        ResponseHeader header = await SetValueAsync(leader.Key.Memory, new Revision(leader.Rev), leader.Lease, request.Value.Memory, context).ConfigureAwait(false);
        return new ProclaimResponse { Header = AnswerForms.ToMessage(header) };
    }

    public async ValueTask<LeaderResponse> LeaderAsync(LeaderRequest request, RpcContext context)
    {
        RangeResponse first = await _turns.FirstAsync(TurnQueue.PrefixOf(request.Name.Span), context).ConfigureAwait(false);
        return first.Items.Count == 0
            ? throw EtcdErrors.Plain("election: no leader")
            : new LeaderResponse { Header = AnswerForms.ToMessage(first.Header), Kv = AnswerForms.ToMessage(first.Items[0]) };
    }

    /// <summary>Whoever leads, and each of its values; then whoever leads next. Of leaders that come and go quickly some may be left out.</summary>
    public async Task ObserveAsync(LeaderRequest request, IRpcWriter<LeaderResponse> answers, RpcContext context)
    {
        byte[] prefix = TurnQueue.PrefixOf(request.Name.Span);
        while (true)
        {
            RangeResponse first = await _turns.FirstAsync(prefix, context).ConfigureAwait(false);
            if (first.Items.Count == 0)
            {
                await WaitForCandidateAsync(prefix, first.Header.Revision, context).ConfigureAwait(false);
                continue;
            }

            KeyValue leader = first.Items[0];
            await answers.WriteAsync(new LeaderResponse { Header = AnswerForms.ToMessage(first.Header), Kv = AnswerForms.ToMessage(leader) }, context.Ended).ConfigureAwait(false);
            await FollowAsync(leader.Key, first.Header.Revision, answers, context).ConfigureAwait(false);
        }
    }

    /// <summary>One that does not lead (any more) resigns from nothing, and that is no error.</summary>
    public async ValueTask<ResignResponse> ResignAsync(ResignRequest request, RpcContext context)
    {
        LeaderKey leader = request.Leader ?? throw NoLeaderKey;
        TxnResponse resigned = await _turns.TxnAsync(TurnQueue.Removal(leader.Key.Memory, new Revision(leader.Rev)), context).ConfigureAwait(false);
        return new ResignResponse { Header = AnswerForms.ToMessage(resigned.Header) };
    }

    private async ValueTask<ResponseHeader> SetValueAsync(ReadOnlyMemory<byte> key, Revision createRevision, long lease, ReadOnlyMemory<byte> value, RpcContext context)
    {
        TxnResponse set = await _turns.TxnAsync(
            new TxnRequest
            {
                Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = createRevision.Value }],
                Success = [new PutRequest { Key = key, Value = value, LeaseId = lease }],
            },
            context).ConfigureAwait(false);
        return set.Succeeded ? set.Header : throw NotLeader;
    }

    private async ValueTask WaitForCandidateAsync(byte[] prefix, Revision seenAt, RpcContext context)
    {
        var watch = new WatchRequest { Key = prefix, RangeEnd = TurnQueue.EndOf(prefix), StartRevision = seenAt, NoDelete = true };
        await options.Authority.CheckWatchAsync(context, watch).ConfigureAwait(false);
        try
        {
            await foreach (WatchResponse response in node.WatchAsync(watch, context.Ended).ConfigureAwait(false))
            {
                if (response.Events.Count > 0)
                {
                    return;
                }
            }
        }
        catch (CompactedException)
        {
            // Who leads is looked for anew.
        }
    }

    /// <summary>Tells the values of the leader until it leads no more.</summary>
    private async ValueTask FollowAsync(ReadOnlyMemory<byte> key, Revision toldUpTo, IRpcWriter<LeaderResponse> answers, RpcContext context)
    {
        var watch = new WatchRequest { Key = key, StartRevision = new Revision(toldUpTo.Value + 1) };
        await options.Authority.CheckWatchAsync(context, watch).ConfigureAwait(false);
        try
        {
            await foreach (WatchResponse response in node.WatchAsync(watch, context.Ended).ConfigureAwait(false))
            {
                foreach (WatchEvent e in response.Events)
                {
                    if (e.Type == WatchEventType.Delete)
                    {
                        return;
                    }

                    ResponseHeader header = response.Header with { Revision = e.KeyValue.ModRevision };
                    await answers.WriteAsync(new LeaderResponse { Header = AnswerForms.ToMessage(header), Kv = AnswerForms.ToMessage(e.KeyValue) }, context.Ended).ConfigureAwait(false);
                }
            }
        }
        catch (CompactedException)
        {
            // Who leads is looked for anew.
        }
    }
}
