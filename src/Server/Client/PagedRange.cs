using MetaStore.Engine;

namespace MetaStore.Server.Client;

/// <summary>
/// Reads a range whose answer may be larger than a frame carries. It is asked for at once, which nearly always does; only if the node says that the answer
/// is too large is it read in pages, all of the revision of the first, so that what is put together is what one answer would have been.
/// </summary>
internal static class PagedRange
{
    private const long PageItemsMax = 4096;

    /// <exception cref="MetaStoreException">The store refused; where pages cannot help, the message says what would.</exception>
    public static async Task<RangeResponse> ReadAsync(IMetaStore store, RangeRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await store.RangeAsync(request, cancellationToken);
        }
        catch (MetaStoreException e) when (e.Error == MetaStoreError.ResponseTooLarge)
        {
            // Pages follow each other by key: any other order would need all of it first.
            return request.SortTarget == SortTarget.Key && request.SortOrder != SortOrder.Descending
                ? await ReadPagesAsync(store, request, cancellationToken)
                : throw new MetaStoreException(
                    e.Error, $"{e.Message} (Only ascending by key is a range read in parts by itself: leave out --sort-by and --order, or give a smaller --limit.)", e.Outcome, e);
        }
    }

    private static async Task<RangeResponse> ReadPagesAsync(IMetaStore store, RangeRequest request, CancellationToken cancellationToken)
    {
        var items = new List<KeyValue>();
        RangeResponse? first = null;
        long size = PageItemsMax;
        RangeRequest next = request;
        while (true)
        {
            long left = request.Limit == 0 ? long.MaxValue : request.Limit - items.Count;
            RangeResponse page;
            try
            {
                page = await store.RangeAsync(next with { Limit = Math.Min(size, left) }, cancellationToken);
            }
            catch (MetaStoreException e) when (e.Error == MetaStoreError.ResponseTooLarge && size > 1)
            {
                size = Math.Min(size, left) / 2;
                size = Math.Max(size, 1);
                continue;
            }

            first ??= page;
            items.AddRange(page.Items);
            if (!page.More || items.Count == request.Limit)
            {
                return first with { Items = items, More = page.More };
            }

            byte[] after = [.. page.Items[^1].Key.Span, 0];
            next = request with { Key = after, Revision = request.Revision.Value == 0 ? first.Header.Revision : request.Revision };
        }
    }
}
