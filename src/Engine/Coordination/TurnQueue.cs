using System.Globalization;
using System.Text;

namespace MetaStore.Engine.Coordination;

/// <summary>A place in a <see cref="TurnQueue"/>.</summary>
/// <param name="Prefix">What the keys of the line begin with.</param>
/// <param name="Key">This one's key.</param>
/// <param name="CreateRevision">What its turn goes by, and what tells it from all that had or will have its key: the fencing token.</param>
/// <param name="Header">Of the answer that gave it the place.</param>
/// <param name="Earlier">What stood in the key where it was there before; null where it was made now.</param>
public sealed record TurnPlace(byte[] Prefix, byte[] Key, Revision CreateRevision, ResponseHeader Header, ReadOnlyMemory<byte>? Earlier)
{
    /// <summary>
    /// Holds as long as the place does. A transaction with it does nothing once the place is lost, however late it arrives: where it matters, guard every write with it.
    /// </summary>
    public Compare StillHeld => new() { Key = Key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = CreateRevision.Value };
}

/// <summary>
/// What locks and elections are made of (the recipe of etcd's concurrency package): keys under one prefix, one for each lease, named <c>name/lease</c> with the lease in hexadecimal, whose turn comes in
/// the order of their create revisions. So all who keep to the recipe stand in the same line, whether by this class, by etcd's clients or by asking a server. Over the embedded node
/// and the remote client alike. All members may be called from any thread.
/// </summary>
/// <param name="store">The store. Stays the caller's.</param>
public sealed class TurnQueue(IMetaStore store)
{
    /// <summary>What all keys of a line begin with.</summary>
    public static byte[] PrefixOf(ReadOnlySpan<byte> name) => [.. name, (byte)'/'];

    /// <summary>The first key behind all that begin with the prefix. The prefix ends with a slash, so there is one.</summary>
    public static byte[] EndOf(byte[] prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        return [.. prefix.AsSpan(..^1), (byte)(prefix[^1] + 1)];
    }

    /// <summary>Removes the key if it is still the one that was made at the revision.</summary>
    public static TxnRequest Removal(ReadOnlyMemory<byte> key, Revision createRevision) => new()
    {
        Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = createRevision.Value }],
        Success = [new DeleteRangeRequest { Key = key }],
    };

    /// <summary>Stands in line, or finds the place that the lease has already.</summary>
    /// <param name="name">The line.</param>
    /// <param name="lease">The lease that the place goes with.</param>
    /// <param name="value">What the key is to hold where it is made now.</param>
    /// <param name="cancellationToken">Ends the wait. The key may have been made all the same; then it goes with its lease.</param>
    /// <exception cref="MetaStoreException">Among others, <see cref="MetaStoreError.LeaseNotFound"/>.</exception>
    public async ValueTask<TurnPlace> EnterAsync(ReadOnlyMemory<byte> name, long lease, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default)
    {
        byte[] prefix = PrefixOf(name.Span);
        byte[] key = [.. prefix, .. Encoding.ASCII.GetBytes(lease.ToString("x", CultureInfo.InvariantCulture))];
        TxnResponse entered = await store.TxnAsync(
            new TxnRequest
            {
                Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = 0 }],
                Success = [new PutRequest { Key = key, Value = value, LeaseId = lease }],
                Failure = [new RangeRequest { Key = key }],
            },
            cancellationToken).ConfigureAwait(false);
        if (entered.Succeeded)
        {
            return new TurnPlace(prefix, key, entered.Header.Revision, entered.Header, Earlier: null);
        }

        KeyValue earlier = ((RangeResponse)entered.Responses[0]).Items[0];
        return new TurnPlace(prefix, key, earlier.CreateRevision, entered.Header, earlier.Value);
    }

    /// <summary>Waits until nobody stands before the place. Ends at once where that is so already, and says whether it was.</summary>
    public async ValueTask<bool> WaitForTurnAsync(TurnPlace place, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(place);
        bool atOnce = true;
        while (await BeforeAsync(place, cancellationToken).ConfigureAwait(false) is { } before)
        {
            atOnce = false;
            await WaitForRemovalAsync(before.Key, before.SeenAt, cancellationToken).ConfigureAwait(false);
        }

        return atOnce;
    }

    /// <summary>Whether the place is still there, since its lease may have run out while it waited: the header of the answer, or null where it is not.</summary>
    public async ValueTask<ResponseHeader?> FindAsync(TurnPlace place, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(place);
        RangeResponse own = await store.RangeAsync(new RangeRequest { Key = place.Key }, cancellationToken).ConfigureAwait(false);
        return own.Items.Count > 0 && own.Items[0].CreateRevision == place.CreateRevision ? own.Header : null;
    }

    /// <summary>Leaves the line, whatever became of the caller: those behind must not wait for it. Never fails: at worst the place goes with its lease.</summary>
    public async ValueTask LeaveAsync(TurnPlace place)
    {
        ArgumentNullException.ThrowIfNull(place);
        try
        {
            await store.TxnAsync(Removal(place.Key, place.CreateRevision), CancellationToken.None).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whatever hinders it, the failure that led here is the one to be told.
        catch (Exception)
#pragma warning restore CA1031
        {
            // Then the place goes with its lease.
        }
    }

    /// <summary>The first in line, as of the answer; no item where nobody stands in it.</summary>
    /// <param name="prefix">As of <see cref="PrefixOf"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<RangeResponse> FirstAsync(byte[] prefix, CancellationToken cancellationToken = default) => store.RangeAsync(
        new RangeRequest { Key = prefix, RangeEnd = EndOf(prefix), Limit = 1, SortTarget = SortTarget.CreateRevision, SortOrder = SortOrder.Ascending }, cancellationToken);

    private async ValueTask<(ReadOnlyMemory<byte> Key, Revision SeenAt)?> BeforeAsync(TurnPlace place, CancellationToken cancellationToken)
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
        RangeResponse before = await store.RangeAsync(request, cancellationToken).ConfigureAwait(false);
        return before.Items.Count == 0 ? null : (before.Items[0].Key, before.Header.Revision);
    }

    private async ValueTask WaitForRemovalAsync(ReadOnlyMemory<byte> key, Revision seenAt, CancellationToken cancellationToken)
    {
        var request = new WatchRequest { Key = key, StartRevision = seenAt, NoPut = true };
        try
        {
            await foreach (WatchResponse response in store.WatchAsync(request, cancellationToken).ConfigureAwait(false))
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
