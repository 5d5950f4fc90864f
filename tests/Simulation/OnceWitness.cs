using MetaStore.Engine;

namespace MetaStore.Simulation;

/// <summary>
/// Checks that each write was applied once at most, and never where its writer was told that it was not. No value is written by two requests, so a value tells
/// its write: it may show at one revision only, the one that its writer was told if there was an answer.
/// </summary>
internal static class OnceWitness
{
    /// <exception cref="SimulationFailure">A write was applied twice, or although it was given up for good.</exception>
    public static void Check(IReadOnlyList<HistoryEntry> entries)
    {
        var refused = new HashSet<long>();
        var revisions = new Dictionary<long, long>();
        foreach (HistoryEntry entry in entries)
        {
            if (entry.HadNoEffect)
            {
                refused.UnionWith(ValuesOf(entry.Request));
            }
            else if (entry.Response is { } response && response is not TxnResponse { Succeeded: false })
            {
                foreach (long value in ValuesOf(entry.Request))
                {
                    revisions.Add(value, response.Header.Revision.Value);
                }
            }
        }

        foreach (KeyValue item in entries.SelectMany(Shown))
        {
            long value = RegisterProjection.ValueNumber(item.Value);
            if (refused.Contains(value))
            {
                throw Broken($"value {value} shows at revision {item.ModRevision}; its writer was told that it was not applied");
            }

            if (!revisions.TryAdd(value, item.ModRevision.Value) && revisions[value] != item.ModRevision.Value)
            {
                throw Broken($"value {value} was acknowledged with or showed at revision {revisions[value]}, and shows at revision {item.ModRevision}: it was applied twice");
            }
        }
    }

    private static IEnumerable<long> ValuesOf(StoreRequest request) => request switch
    {
        PutRequest put => [RegisterProjection.ValueNumber(put.Value)],
        TxnRequest txn => txn.Success.OfType<PutRequest>().Select(put => RegisterProjection.ValueNumber(put.Value)),
        _ => [],
    };

    private static IEnumerable<KeyValue> Shown(HistoryEntry entry) => entry.Response switch
    {
        RangeResponse range => range.Items,
        PutResponse { Previous: { } previous } => [previous],
        DeleteRangeResponse delete => delete.Previous,
        _ => [],
    };

    private static SimulationFailure Broken(string what) => new(FailureKind.Correctness, what);
}
