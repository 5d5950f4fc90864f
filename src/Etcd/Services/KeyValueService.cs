using System.Runtime.CompilerServices;
using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.KV.</summary>
internal sealed class KeyValueService(MetaStoreNode node, EtcdServicesOptions options)
{
    /// <summary>What is too large to be held is gone through twice: to learn how long it is, which is said first, and to say it.</summary>
    public async ValueTask<RpcAnswer> RangeAsync(Messages.RangeRequest request, RpcContext context)
    {
        RangeRequest range = await CheckAsync(request, context).ConfigureAwait(false);
        bool isByPages = RangePages.CanRead(range);
        RangeResponse first = await node.RangeAsync(range, isByPages ? options.WholeAnswerBytesMax : options.HeldAnswerBytesMax, context.Ended).ConfigureAwait(false);
        Messages.RangeResponse message = AnswerForms.ToMessage(first);
        if (!isByPages || !RangePages.IsCut(first, range.Limit))
        {
            return new RpcAnswer(message);
        }

        var pages = new RangePages(node, range, first, options.StreamMessageBytes);
        bool more = false;
        long length = message.CalculateSize();
        await foreach (RangeResponse page in pages.ReadRestAsync(context.Ended).ConfigureAwait(false))
        {
            length += AnswerForms.ToPart(page).CalculateSize();
            if (length > options.AnswerBytesMax)
            {
                throw EtcdErrors.AnswerTooLarge(options.AnswerBytesMax);
            }

            more = page.More;
        }

        length -= message.CalculateSize();
        message.More = more;
        return new RpcAnswer(message, length + message.CalculateSize(), ReadPartsAsync(pages, context.Ended));
    }

    /// <summary>
    /// The answer to a range in messages of about <see cref="EtcdServicesOptions.StreamMessageBytes"/>, all at one revision, of which no more than one is in memory.
    /// Header, count and more stand in the last; merged, they are what Range answers. What is sorted by something else than the key comes in one.
    /// </summary>
    public async Task RangeStreamAsync(Messages.RangeRequest request, IRpcWriter<Messages.RangeStreamResponse> answers, RpcContext context)
    {
        RangeRequest range = await CheckAsync(request, context).ConfigureAwait(false);
        long bytesMax = RangePages.CanRead(range) ? options.StreamMessageBytes : options.HeldAnswerBytesMax;
        RangeResponse first = await node.RangeAsync(range, bytesMax, context.Ended).ConfigureAwait(false);
        RangeResponse page = first;
        await foreach (RangeResponse next in new RangePages(node, range, first, bytesMax).ReadRestAsync(context.Ended).ConfigureAwait(false))
        {
            await answers.WriteAsync(new Messages.RangeStreamResponse { RangeResponse = AnswerForms.ToPart(page) }, context.Ended).ConfigureAwait(false);
            page = next;
        }

        Messages.RangeResponse last = AnswerForms.ToMessage(page with { Header = first.Header, Count = first.Count });
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

    private static async IAsyncEnumerable<IMessage> ReadPartsAsync(RangePages pages, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IAsyncEnumerator<RangeResponse> rest = pages.ReadRestAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (rest.ConfigureAwait(false))
        {
            while (await NextAsync().ConfigureAwait(false))
            {
                yield return AnswerForms.ToPart(rest.Current);
            }
        }

        async ValueTask<bool> NextAsync()
        {
            try
            {
                return await rest.MoveNextAsync().ConfigureAwait(false);
            }
            catch (MetaStoreException e)
            {
                throw EtcdErrors.From(e); // no gate is around it any more
            }
        }
    }

    private async ValueTask<RangeRequest> CheckAsync(Messages.RangeRequest request, RpcContext context)
    {
        RequestCheck.Range(request);
        RangeRequest range = RequestForms.ToStore(request);
        await options.Authority.CheckAsync(context, range).ConfigureAwait(false);
        return range;
    }
}
