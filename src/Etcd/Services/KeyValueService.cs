using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.KV.</summary>
internal sealed class KeyValueService(MetaStoreNode node, EtcdServicesOptions options)
{
    public async ValueTask<Messages.RangeResponse> RangeAsync(Messages.RangeRequest request, RpcContext context)
    {
        RequestCheck.Range(request);
        RangeRequest range = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, range).ConfigureAwait(false);
        RangeResponse response = await node.RangeAsync(range, options.AnswerBytesMax, context.Ended).ConfigureAwait(false);
        if (IsCutByBytes(response, range.Limit))
        {
            throw EtcdErrors.AnswerTooLarge(options.AnswerBytesMax);
        }

        return AnswerForms.ToMessage(response);
    }

    /// <summary>
    /// The answer to a range in messages of about <see cref="EtcdServicesOptions.StreamMessageBytes"/>, all at one revision, of which no more than one is in memory.
    /// Header, count and more stand in the last; merged, they are what Range answers. What is not asked for in rising order of the keys has to be sorted as a whole, and comes
    /// in one.
    /// </summary>
    public async Task RangeStreamAsync(Messages.RangeRequest request, IRpcWriter<Messages.RangeStreamResponse> answers, RpcContext context)
    {
        RequestCheck.Range(request);
        RangeRequest range = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, range).ConfigureAwait(false);
        bool isInOrder = range is { SortTarget: SortTarget.Key, SortOrder: not SortOrder.Descending };
        if (!isInOrder)
        {
            Messages.RangeResponse whole = await RangeAsync(request, context).ConfigureAwait(false);
            await answers.WriteAsync(new Messages.RangeStreamResponse { RangeResponse = whole }, context.Ended).ConfigureAwait(false);
            return;
        }

        RangeResponse page = await node.RangeAsync(range, options.StreamMessageBytes, context.Ended).ConfigureAwait(false);
        var last = new Messages.RangeResponse { Header = AnswerForms.ToMessage(page.Header), Count = page.Count };
        long revision = range.Revision.Value > 0 ? range.Revision.Value : page.Header.Revision.Value;
        long left = range.Limit;
        while (IsCutByBytes(page, left))
        {
            var part = new Messages.RangeResponse();
            AnswerForms.Add(part.Kvs, page.Items);
            await answers.WriteAsync(new Messages.RangeStreamResponse { RangeResponse = part }, context.Ended).ConfigureAwait(false);
            left = left > 0 ? left - page.Items.Count : left;

            // At this revision the member has everything by now: what follows can be asked of it alone.
            range = range with { Key = Behind(page.Items[^1].Key), Revision = new Revision(revision), Serializable = true, Limit = left };
            page = await node.RangeAsync(range, options.StreamMessageBytes, context.Ended).ConfigureAwait(false);
        }

        AnswerForms.Add(last.Kvs, page.Items);
        last.More = page.More;
        await answers.WriteAsync(new Messages.RangeStreamResponse { RangeResponse = last }, context.Ended).ConfigureAwait(false);
    }

    public async ValueTask<Messages.PutResponse> PutAsync(Messages.PutRequest request, RpcContext context)
    {
        RequestCheck.Put(request);
        PutRequest put = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, put).ConfigureAwait(false);
        return AnswerForms.ToMessage(await node.PutAsync(put, context.Ended).ConfigureAwait(false));
    }

    public async ValueTask<Messages.DeleteRangeResponse> DeleteRangeAsync(Messages.DeleteRangeRequest request, RpcContext context)
    {
        RequestCheck.DeleteRange(request);
        DeleteRangeRequest delete = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, delete).ConfigureAwait(false);
        return AnswerForms.ToMessage(await node.DeleteRangeAsync(delete, context.Ended).ConfigureAwait(false));
    }

    public async ValueTask<Messages.TxnResponse> TxnAsync(Messages.TxnRequest request, RpcContext context)
    {
        RequestCheck.Txn(request, options.TxnOperationsMax, options.TxnDepthMax);
        TxnRequest txn = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, txn).ConfigureAwait(false);
        return AnswerForms.ToMessage(await node.TxnAsync(txn, context.Ended).ConfigureAwait(false));
    }

    /// <summary>Answered when the revision is compacted for every reader. Memory goes back behind that in slices, which <c>physical</c> does not wait for.</summary>
    public async ValueTask<Messages.CompactionResponse> CompactAsync(Messages.CompactionRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        if (request.Revision < 0)
        {
            throw EtcdErrors.Compacted;
        }

        CompactResponse response = await node.CompactAsync(new CompactRequest(new Revision(request.Revision)), context.Ended).ConfigureAwait(false);
        return new Messages.CompactionResponse { Header = AnswerForms.ToMessage(response.Header) };
    }

    /// <summary>More there is, and not because of the limit.</summary>
    private static bool IsCutByBytes(RangeResponse response, long limit) => response.More && (limit <= 0 || response.Items.Count < limit);

    /// <summary>The first key behind a key.</summary>
    private static byte[] Behind(ReadOnlyMemory<byte> key)
    {
        byte[] next = new byte[key.Length + 1];
        key.CopyTo(next);
        return next;
    }
}
