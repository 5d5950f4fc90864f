using MetaStore.Engine;

namespace MetaStore.Simulation;

/// <summary>
/// Keys that a read did not show although the last write that is known of them was a put. Only a deletion that nobody was told the outcome of can have
/// taken each away; one deletion takes away one put, and none that was asked for after the revision of the read had been answered.
/// </summary>
internal sealed class MissingKeys
{
    private readonly Dictionary<long, List<long>> _deletions = [];
    private readonly Dictionary<long, SortedDictionary<long, long>> _missing = [];

    /// <param name="entries">The history, without what is known to have had no effect.</param>
    public MissingKeys(IReadOnlyList<HistoryEntry> entries)
    {
        HistoryEntry[] byReturn = [.. entries.Where(e => e.Response is not null).OrderBy(e => e.Returned)];
        long highest = 0;
        int ended = 0;
        foreach (HistoryEntry entry in entries.Where(e => e is { Response: null, Request: DeleteRangeRequest }).OrderBy(e => e.Invoked))
        {
            for (; ended < byReturn.Length && byReturn[ended].Returned < entry.Invoked; ended++)
            {
                highest = Math.Max(highest, byReturn[ended].Response!.Header.Revision.Value);
            }

            Of(_deletions, RegisterProjection.KeyNumber(((DeleteRangeRequest)entry.Request).Key)).Add(highest);
        }
    }

    /// <summary>A read at <paramref name="revision"/> did not show the key that was put at <paramref name="put"/>.</summary>
    public void Add(long key, long put, long revision)
    {
        SortedDictionary<long, long> reads = Of(_missing, key);
        reads[put] = Math.Min(revision, reads.GetValueOrDefault(put, long.MaxValue));
    }

    /// <exception cref="SimulationFailure">There are fewer deletions than it takes.</exception>
    public void Check()
    {
        foreach ((long key, SortedDictionary<long, long> reads) in _missing)
        {
            List<long> deletions = _deletions.GetValueOrDefault(key) ?? []; // In rising order, as they were asked for.
            int used = 0;
            foreach ((long put, long revision) in reads.OrderBy(read => read.Value))
            {
                used++;
                if (deletions.Count < used || deletions[used - 1] >= revision)
                {
                    throw new SimulationFailure(
                        FailureKind.Correctness, $"a read at revision {revision} does not show key {key}, put at revision {put}, and nobody can have deleted it");
                }
            }
        }
    }

    private static T Of<T>(Dictionary<long, T> lists, long key)
        where T : new()
    {
        if (!lists.TryGetValue(key, out T? list))
        {
            lists.Add(key, list = new T());
        }

        return list;
    }
}
