using MetaStore.Engine;
using MetaStore.Server.Client;

namespace MetaStore.Server.Mirroring;

/// <summary>
/// Keeps the keys of one store in another: first all that there are, as of one revision, then each change, in order. What one revision changed goes over in one transaction, if that can hold it. Leases
/// stay behind. Keys that the destination has beside them are left alone.
/// </summary>
/// <param name="source">Where the keys are.</param>
/// <param name="destination">Where they go; writes must be applied once, as a session's are, or the order is lost.</param>
/// <param name="mapping">Which keys, and their names there.</param>
/// <param name="operationsMax">Operations of one transaction at the destination.</param>
internal sealed class StoreMirror(IMetaStore source, IMetaStore destination, KeyMapping mapping, int operationsMax)
{
    private const long PageMax = 1000;

    private readonly MirrorBatch _batch = new(operationsMax);
    private long _mirrored;

    /// <summary>Keys and changes that have arrived.</summary>
    public long Mirrored => Interlocked.Read(ref _mirrored);

    /// <summary>Goes on until it is cancelled or fails.</summary>
    /// <param name="from">The first change to mirror; 0: all keys first, and what comes after.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="MetaStoreException">Among others, <see cref="CompactedException"/>: changes that were not mirrored yet are compacted.</exception>
    public async Task RunAsync(Revision from, CancellationToken cancel)
    {
        KeySpan span = KeySpan.Make(mapping.Prefix, end: null, isPrefix: true, isFromKey: false);
        Revision next = from.Value > 0 ? from : new Revision((await CopyAsync(span, cancel)).Value + 1);
        await FollowAsync(span, next, cancel);
    }

    /// <summary>All keys as of one revision, which it returns.</summary>
    private async Task<Revision> CopyAsync(KeySpan span, CancellationToken cancel)
    {
        var request = new RangeRequest { Key = span.Key, RangeEnd = span.End, Limit = PageMax };
        while (true)
        {
            RangeResponse page;
            try
            {
                page = await source.RangeAsync(request, cancel);
            }
            catch (MetaStoreException e) when (e.Error == MetaStoreError.ResponseTooLarge && request.Limit > 1)
            {
                request = request with { Limit = request.Limit / 2 };
                continue;
            }

            request = request.Revision.Value == 0 ? request with { Revision = page.Header.Revision } : request;
            foreach (KeyValue item in page.Items)
            {
                await AddAsync(new PutRequest { Key = mapping.Map(item.Key), Value = item.Value }, item.Key.Length + item.Value.Length, cancel);
            }

            await SendAsync(cancel);
            if (!page.More)
            {
                return request.Revision;
            }

            request = request with { Key = (byte[])[.. page.Items[^1].Key.Span, 0] };
        }
    }

    private async Task FollowAsync(KeySpan span, Revision from, CancellationToken cancel)
    {
        var request = new WatchRequest { Key = span.Key, RangeEnd = span.End, StartRevision = from };
        await foreach (WatchResponse response in source.WatchAsync(request, cancel))
        {
            long last = 0;
            foreach (WatchEvent e in response.Events)
            {
                KeyValue item = e.KeyValue;
                if (item.ModRevision.Value != last)
                {
                    await SendAsync(cancel);
                    last = item.ModRevision.Value;
                }

                byte[] key = mapping.Map(item.Key);
                StoreRequest change = e.Type == WatchEventType.Put ? new PutRequest { Key = key, Value = item.Value } : new DeleteRangeRequest { Key = key };
                await AddAsync(change, item.Key.Length + item.Value.Length, cancel);
            }

            await SendAsync(cancel);
        }
    }

    private async ValueTask AddAsync(StoreRequest operation, int bytes, CancellationToken cancel)
    {
        if (!_batch.HasRoomFor(bytes))
        {
            await SendAsync(cancel);
        }

        _batch.Add(operation, bytes);
    }

    private async ValueTask SendAsync(CancellationToken cancel)
    {
        if (_batch.IsEmpty)
        {
            return;
        }

        int count = _batch.Count;
        await destination.TxnAsync(_batch.Take(), cancel);
        Interlocked.Add(ref _mirrored, count);
    }
}
