using System.Globalization;
using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>
/// What locks and elections are made of (etcd's concurrency package): keys under one prefix, one for each lease, whose turn comes in the order of their create revisions. So
/// clients that take locks by themselves and those that ask the server stand in the same line.
/// </summary>
internal sealed class TurnQueue(MetaStoreNode node, IAuthority authority)
{
    /// <summary>A place in the line.</summary>
    /// <param name="Prefix">What the keys of the line begin with.</param>
    /// <param name="Key">This one's key.</param>
    /// <param name="CreateRevision">What its turn goes by.</param>
    /// <param name="Header">Of the answer that gave it the place.</param>
    /// <param name="Earlier">What stood in the key where it was there before; null where it was made now.</param>
    public sealed record Place(byte[] Prefix, byte[] Key, Revision CreateRevision, ResponseHeader Header, ReadOnlyMemory<byte>? Earlier);

    /// <summary>All keys of the line.</summary>
    public static byte[] PrefixOf(ReadOnlySpan<byte> name) => [.. name, (byte)'/'];

    /// <summary>Stands in line, or finds the place that the lease has already.</summary>
    public async ValueTask<Place> EnterAsync(ReadOnlyMemory<byte> name, long lease, ReadOnlyMemory<byte> value, RpcContext context)
    {
        byte[] prefix = PrefixOf(name.Span);
        byte[] key = [.. prefix, .. Encoding.ASCII.GetBytes(lease.ToString("x", CultureInfo.InvariantCulture))];
        TxnResponse entered = await TxnAsync(
            new TxnRequest
            {
                Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = 0 }],
                Success = [new PutRequest { Key = key, Value = value, LeaseId = lease }],
                Failure = [new RangeRequest { Key = key }],
            },
            context).ConfigureAwait(false);
        if (entered.Succeeded)
        {
            return new Place(prefix, key, entered.Header.Revision, entered.Header, Earlier: null);
        }

        KeyValue earlier = ((RangeResponse)entered.Responses[0]).Items[0];
        return new Place(prefix, key, earlier.CreateRevision, entered.Header, earlier.Value);
    }

    /// <summary>Waits until nobody stands before the place. Ends at once where that is so already, and says whether it was.</summary>
    public async ValueTask<bool> WaitForTurnAsync(Place place, RpcContext context)
    {
        bool atOnce = true;
        while (await BeforeAsync(place, context).ConfigureAwait(false) is { } before)
        {
            atOnce = false;
            await WaitForRemovalAsync(before.Key, before.SeenAt, context).ConfigureAwait(false);
        }

        return atOnce;
    }

    /// <summary>Leaves the line, also where the caller has gone: those behind must not wait for it.</summary>
    public async ValueTask LeaveAsync(Place place)
    {
        try
        {
            await node.TxnAsync(Removal(place.Key, place.CreateRevision), CancellationToken.None).ConfigureAwait(false);
        }
        catch (MetaStoreException)
        {
            // Then the place goes with its lease.
        }
    }

    /// <summary>Removes the key if it is still the one that was made at the revision.</summary>
    public static TxnRequest Removal(ReadOnlyMemory<byte> key, Revision createRevision) => new()
    {
        Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = createRevision.Value }],
        Success = [new DeleteRangeRequest { Key = key }],
    };

    /// <summary>The first in line, as of the answer; no item where nobody stands in it.</summary>
    public async ValueTask<RangeResponse> FirstAsync(byte[] prefix, RpcContext context)
    {
        var request = new RangeRequest { Key = prefix, RangeEnd = EndOf(prefix), Limit = 1, SortTarget = SortTarget.CreateRevision, SortOrder = SortOrder.Ascending };
        await authority.CheckAsync(context, request).ConfigureAwait(false);
        return await node.RangeAsync(request, context.Ended).ConfigureAwait(false);
    }

    public async ValueTask<TxnResponse> TxnAsync(TxnRequest request, RpcContext context)
    {
        await authority.CheckAsync(context, request).ConfigureAwait(false);
        return await node.TxnAsync(request, context.Ended).ConfigureAwait(false);
    }

    /// <summary>The first key behind all that begin with the prefix. The prefix ends with a slash, so there is one.</summary>
    public static byte[] EndOf(byte[] prefix) => [.. prefix.AsSpan(..^1), (byte)(prefix[^1] + 1)];

    private async ValueTask<(ReadOnlyMemory<byte> Key, Revision SeenAt)?> BeforeAsync(Place place, RpcContext context)
    {
        var request = new RangeRequest
        {
            Key = place.Prefix,
            RangeEnd = EndOf(place.Prefix),
            Limit = 1,
            SortTarget = SortTarget.CreateRevision,
            SortOrder = SortOrder.Descending,
            MaxCreateRevision = new Revision(place.CreateRevision.Value - 1),
        };
        await authority.CheckAsync(context, request).ConfigureAwait(false);
        RangeResponse before = await node.RangeAsync(request, context.Ended).ConfigureAwait(false);
        return before.Items.Count == 0 ? null : (before.Items[0].Key, before.Header.Revision);
    }

    private async ValueTask WaitForRemovalAsync(ReadOnlyMemory<byte> key, Revision seenAt, RpcContext context)
    {
        var request = new WatchRequest { Key = key, StartRevision = seenAt, NoPut = true };
        await authority.CheckWatchAsync(context, request).ConfigureAwait(false);
        try
        {
            await foreach (WatchResponse response in node.WatchAsync(request, context.Ended).ConfigureAwait(false))
            {
                if (response.Events.Count > 0)
                {
                    return;
                }
            }
        }
        catch (CompactedException)
        {
            // Whether the key is still there is looked for anew.
        }
    }
}
