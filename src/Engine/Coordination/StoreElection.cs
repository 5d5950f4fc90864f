namespace MetaStore.Engine.Coordination;

/// <summary>Who leads an election, as of the answer.</summary>
/// <param name="Header">Of the answer, at the revision of what was seen.</param>
/// <param name="Leader">The leader's key, with what it has proclaimed as its value.</param>
public sealed record LeaderSeen(ResponseHeader Header, KeyValue Leader);

/// <summary>
/// Elections by the recipe of etcd's concurrency package, over the embedded node and the remote client alike: candidates stand in a line (<see cref="TurnQueue"/>), and the first in it leads. To stand
/// oneself: <see cref="Leadership.CampaignAsync"/>. All members may be called from any thread.
/// </summary>
/// <param name="store">The store. Stays the caller's.</param>
public sealed class StoreElection(IMetaStore store)
{
    private readonly TurnQueue _turns = new(store);

    /// <summary>Who leads; null where nobody stands.</summary>
    /// <param name="name">The election.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<LeaderSeen?> LeaderAsync(ReadOnlyMemory<byte> name, CancellationToken cancellationToken = default)
    {
        RangeResponse first = await _turns.FirstAsync(TurnQueue.PrefixOf(name.Span), cancellationToken).ConfigureAwait(false);
        return first.Items.Count == 0 ? null : new LeaderSeen(first.Header, first.Items[0]);
    }

    /// <summary>Gives a candidate's key another value; null where it is not there (any more).</summary>
    /// <param name="key">The candidate's key.</param>
    /// <param name="createRevision">Since when it is that candidate's.</param>
    /// <param name="lease">The lease that it goes with.</param>
    /// <param name="value">What it proclaims.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<ResponseHeader?> ProclaimAsync(
        ReadOnlyMemory<byte> key, Revision createRevision, long lease, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default)
    {
        TxnResponse set = await store.TxnAsync(
            new TxnRequest
            {
                Compare = [new Compare { Key = key, Target = CompareTarget.CreateRevision, Relation = CompareRelation.Equal, Number = createRevision.Value }],
                Success = [new PutRequest { Key = key, Value = value, LeaseId = lease }],
            },
            cancellationToken).ConfigureAwait(false);
        return set.Succeeded ? set.Header : null;
    }

    /// <summary>Tells whoever leads, and each of its values; then whoever leads next, and so on. Of leaders that come and go quickly some may be left out.</summary>
    /// <param name="name">The election.</param>
    /// <param name="tell">Told one at a time.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task ObserveAsync(ReadOnlyMemory<byte> name, Func<LeaderSeen, ValueTask> tell, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tell);
        byte[] prefix = TurnQueue.PrefixOf(name.Span);
        while (true)
        {
            RangeResponse first = await _turns.FirstAsync(prefix, cancellationToken).ConfigureAwait(false);
            if (first.Items.Count == 0)
            {
                await WaitForCandidateAsync(prefix, first.Header.Revision, cancellationToken).ConfigureAwait(false);
                continue;
            }

            KeyValue leader = first.Items[0];
            await tell(new LeaderSeen(first.Header, leader)).ConfigureAwait(false);
            await FollowAsync(leader.Key, first.Header.Revision, tell, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask WaitForCandidateAsync(byte[] prefix, Revision seenAt, CancellationToken cancellationToken)
    {
        var watch = new WatchRequest { Key = prefix, RangeEnd = TurnQueue.EndOf(prefix), StartRevision = seenAt, NoDelete = true };
        try
        {
            await foreach (WatchResponse response in store.WatchAsync(watch, cancellationToken).ConfigureAwait(false))
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
    private async ValueTask FollowAsync(ReadOnlyMemory<byte> key, Revision toldUpTo, Func<LeaderSeen, ValueTask> tell, CancellationToken cancellationToken)
    {
        var watch = new WatchRequest { Key = key, StartRevision = new Revision(toldUpTo.Value + 1) };
        try
        {
            await foreach (WatchResponse response in store.WatchAsync(watch, cancellationToken).ConfigureAwait(false))
            {
                foreach (WatchEvent e in response.Events)
                {
                    if (e.Type == WatchEventType.Delete)
                    {
                        return;
                    }

                    await tell(new LeaderSeen(response.Header with { Revision = e.KeyValue.ModRevision }, e.KeyValue)).ConfigureAwait(false);
                }
            }
        }
        catch (CompactedException)
        {
            // Who leads is looked for anew.
        }
    }
}
