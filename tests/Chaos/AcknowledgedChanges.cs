using MetaStore.Engine;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>
/// What was acknowledged, looked for in the store. In the round itself each change is read back at the revision of its acknowledgement; at the
/// end of the run, when that history has been compacted away, each key of each round must still be as its round left it.
/// </summary>
internal sealed class AcknowledgedChanges
{
    private const int ReadersAtOnce = 16;

    private readonly List<RoundEnd> _ends = [];

    /// <summary>How many acknowledged changes of a round the store does not show at their revisions.</summary>
    public static async Task<int> CountLostAsync(IMetaStore store, IReadOnlyList<HistoryEntry> entries)
    {
        int lost = 0;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ReadersAtOnce };
        await Parallel.ForEachAsync(entries.SelectMany(Changes), parallel, async (change, stop) =>
        {
            var request = new RangeRequest { Key = RegisterProjection.KeyOf(change.Key), Revision = change.Revision };
            RangeResponse response = await store.RangeAsync(request, stop);
            bool isThere = change.Value is long value
                ? response.Items.Count == 1 && response.Items[0].ModRevision == change.Revision && RegisterProjection.ValueNumber(response.Items[0].Value) == value
                : response.Items.Count == 0;
            Interlocked.Add(ref lost, isThere ? 0 : 1);
        });
        return lost;
    }

    /// <summary>Remembers how a round left its keys, and what of it may still come: the writes of which nobody knows.</summary>
    public void EndRound(Keyspace keys, RangeResponse last, IReadOnlyList<HistoryEntry> entries)
    {
        HistoryEntry[] unknown = [.. entries.Where(entry => entry.Response is null && !entry.HadNoEffect)];
        _ends.Add(new RoundEnd(
            keys,
            States(last),
            [.. unknown.SelectMany(entry => Puts(entry.Request)).Select(put => RegisterProjection.ValueNumber(put.Value))],
            [.. unknown.Select(entry => entry.Request).OfType<DeleteRangeRequest>().Select(delete => RegisterProjection.KeyNumber(delete.Key))]));
    }

    /// <summary>How many keys of all rounds are not as they were left.</summary>
    public async Task<int> CountLostAtEndAsync(IMetaStore store)
    {
        int lost = 0;
        foreach (RoundEnd end in _ends)
        {
            Dictionary<long, (long Value, Revision ModRevision)> now = States(await store.RangeAsync(end.Keys.ReadAll(serializable: false)));
            for (long key = end.Keys.First; key <= end.Keys.Probe; key++)
            {
                bool isKept = now.TryGetValue(key, out (long Value, Revision) state)
                    ? (end.States.TryGetValue(key, out (long, Revision) left) && left == state) || end.UnknownValues.Contains(state.Value)
                    : !end.States.ContainsKey(key) || end.UnknownDeletes.Contains(key);
                lost += isKept ? 0 : 1;
            }
        }

        return lost;
    }

    private static Dictionary<long, (long Value, Revision ModRevision)> States(RangeResponse response) => response.Items.ToDictionary(
        item => RegisterProjection.KeyNumber(item.Key),
        item => (RegisterProjection.ValueNumber(item.Value), item.ModRevision));

    private static IEnumerable<Change> Changes(HistoryEntry entry) => entry switch
    {
        { Request: DeleteRangeRequest delete, Response: DeleteRangeResponse { Deleted: > 0 } deleted } =>
            [new Change(RegisterProjection.KeyNumber(delete.Key), null, deleted.Header.Revision)],
        { Response: PutResponse or TxnResponse { Succeeded: true } } =>
            Puts(entry.Request).Select(put => new Change(RegisterProjection.KeyNumber(put.Key), RegisterProjection.ValueNumber(put.Value), entry.Response.Header.Revision)),
        _ => [],
    };

    private static IEnumerable<PutRequest> Puts(StoreRequest request) => request switch
    {
        PutRequest put => [put],
        TxnRequest txn => txn.Success.OfType<PutRequest>(),
        _ => [],
    };

    /// <summary>A value under a key, or (null) its removal.</summary>
    private readonly record struct Change(long Key, long? Value, Revision Revision);

    private sealed record RoundEnd(
        Keyspace Keys, Dictionary<long, (long Value, Revision ModRevision)> States, HashSet<long> UnknownValues, HashSet<long> UnknownDeletes);
}
