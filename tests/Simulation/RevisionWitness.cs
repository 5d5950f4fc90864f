using MetaStore.Engine;

namespace MetaStore.Simulation;

/// <summary>
/// Checks the history against the order that the store itself claims: the revisions. Writes have revisions of their own, an operation
/// that began after another ended has a revision that is not lower, and every read, of one key or many, linearizable or not, at any
/// revision, shows exactly what the known writes up to its revision left. Linear in the history, so it covers what the search cannot.
/// </summary>
internal static class RevisionWitness
{
    private const int Deleted = 0;

    public static void Check(IReadOnlyList<HistoryEntry> entries, double clockError)
    {
        Dictionary<long, List<Write>> writes = CollectWrites(entries);
        CheckRealTime(entries);
        CheckStaleness(entries, clockError);
        var missing = new MissingKeys(entries);
        foreach (HistoryEntry entry in entries)
        {
            if (entry is { Request: RangeRequest range, Response: RangeResponse response })
            {
                long revision = range.Revision.Value > 0 ? range.Revision.Value : response.Header.Revision.Value;
                CheckRead(range, response, revision, writes, missing);
            }
        }

        missing.Check();
    }

    private static Dictionary<long, List<Write>> CollectWrites(IReadOnlyList<HistoryEntry> entries)
    {
        var owners = new Dictionary<long, HistoryEntry>();
        var writes = new Dictionary<long, List<Write>>();
        foreach (HistoryEntry entry in entries)
        {
            (long Key, long Value)[] changes = [.. Changes(entry)];
            if (changes.Length == 0)
            {
                continue;
            }

            long revision = entry.Response!.Header.Revision.Value;
            if (!owners.TryAdd(revision, entry))
            {
                throw Broken($"two writes were acknowledged with revision {revision}");
            }

            foreach ((long key, long value) in changes)
            {
                if (!writes.TryGetValue(key, out List<Write>? list))
                {
                    writes.Add(key, list = []);
                }

                list.Add(new Write(revision, value));
            }
        }

        foreach (List<Write> list in writes.Values)
        {
            list.Sort((a, b) => a.Revision.CompareTo(b.Revision));
        }

        return writes;
    }

    /// <summary>What an answered operation wrote, and at which revision; value 0 for a removal.</summary>
    public static IEnumerable<(long Revision, long Key, long Value)> WritesOf(HistoryEntry entry) =>
        Changes(entry).Select(change => (entry.Response!.Header.Revision.Value, change.Key, change.Value));

    private static IEnumerable<(long Key, long Value)> Changes(HistoryEntry entry)
    {
        switch (entry)
        {
            case { Request: PutRequest put, Response: PutResponse }:
                yield return (RegisterProjection.KeyNumber(put.Key), RegisterProjection.ValueNumber(put.Value));
                break;
            case { Request: DeleteRangeRequest delete, Response: DeleteRangeResponse { Deleted: > 0 } }:
                yield return (RegisterProjection.KeyNumber(delete.Key), Deleted);
                break;
            case { Request: TxnRequest txn, Response: TxnResponse { Succeeded: true } }:
                foreach (PutRequest put in txn.Success.Cast<PutRequest>())
                {
                    yield return (RegisterProjection.KeyNumber(put.Key), RegisterProjection.ValueNumber(put.Value));
                }

                break;
        }
    }

    /// <summary>
    /// What a read said of its age is true: all that was acknowledged before that is in it. The age is by the node's own clock.
    /// </summary>
    private static void CheckStaleness(IReadOnlyList<HistoryEntry> entries, double clockError)
    {
        HistoryEntry[] byTime = [.. entries.Where(e => e.Response is not null).OrderBy(e => e.ReturnedAt)];
        var highest = new long[byTime.Length + 1];
        for (int i = 0; i < byTime.Length; i++)
        {
            highest[i + 1] = Math.Max(highest[i], byTime[i].Response!.Header.Revision.Value);
        }

        long[] times = [.. byTime.Select(e => e.ReturnedAt)];
        foreach (HistoryEntry entry in byTime)
        {
            if (entry is { MayBeStale: true, Request: RangeRequest range, Response: RangeResponse { Staleness: { } staleness } response })
            {
                if (!range.Serializable && staleness > range.StalenessMax)
                {
                    throw Broken($"a read that may be {range.StalenessMax} old says that it is {staleness} old");
                }

                long asOf = entry.InvokedAt - (long)(staleness.TotalNanoseconds / (1 - clockError));
                int before = Array.BinarySearch(times, asOf);
                before = before < 0 ? ~before : before;
                while (before > 0 && times[before - 1] >= asOf)
                {
                    before--;
                }

                if (response.Header.Revision.Value < highest[before])
                {
                    throw Broken($"a read of revision {response.Header.Revision} says that it is at most {staleness} old; revision {highest[before]} had been answered before that");
                }
            }
        }
    }

    private static void CheckRealTime(IReadOnlyList<HistoryEntry> entries)
    {
        var answered = entries.Where(e => e.Response is not null && e.Request is not RangeRequest { Serializable: true } && !e.MayBeStale).ToArray();
        HistoryEntry[] byReturn = [.. answered.OrderBy(e => e.Returned)];
        long highest = 0;
        int ended = 0;
        foreach (HistoryEntry entry in answered.OrderBy(e => e.Invoked))
        {
            for (; ended < byReturn.Length && byReturn[ended].Returned < entry.Invoked; ended++)
            {
                highest = Math.Max(highest, byReturn[ended].Response!.Header.Revision.Value);
            }

            long revision = entry.Response!.Header.Revision.Value;
            if (revision < highest)
            {
                throw Broken($"{entry.Request.GetType().Name} at {entry.Invoked} was answered at revision {revision}, after revision {highest} had been answered");
            }
        }
    }

    private static void CheckRead(RangeRequest range, RangeResponse response, long revision, Dictionary<long, List<Write>> writes, MissingKeys missing)
    {
        Dictionary<long, KeyValue> seen = response.Items.ToDictionary(i => RegisterProjection.KeyNumber(i.Key));
        long first = RegisterProjection.KeyNumber(range.Key);
        long behind = range.RangeEnd.IsEmpty ? first + 1 : RegisterProjection.KeyNumber(range.RangeEnd);
        if (response.Count != seen.Count)
        {
            throw Broken($"a range without limit returned {seen.Count} keys and counted {response.Count}");
        }

        for (long key = first; key < behind; key++)
        {
            Write last = LastWrite(writes, key, revision);
            bool present = seen.TryGetValue(key, out KeyValue item);
            if (present && item.ModRevision.Value > revision)
            {
                throw Broken($"a read at revision {revision} shows key {key} of revision {item.ModRevision}");
            }

            if (!present && last.Value != Deleted)
            {
                missing.Add(key, last.Revision, revision);
            }

            // A write whose answer was lost may lie behind the last known one; it must not lie before it.
            if (present && item.ModRevision.Value < last.Revision)
            {
                throw Broken($"a read at revision {revision} shows key {key} of revision {item.ModRevision}; revision {last.Revision} had written it");
            }

            if (present && item.ModRevision.Value == last.Revision && RegisterProjection.ValueNumber(item.Value) != last.Value)
            {
                throw Broken($"key {key} of revision {last.Revision} holds {RegisterProjection.ValueNumber(item.Value)} where {last.Value} was written");
            }
        }
    }

    private static Write LastWrite(Dictionary<long, List<Write>> writes, long key, long revision)
    {
        Write last = default;
        foreach (Write write in writes.GetValueOrDefault(key) ?? [])
        {
            if (write.Revision > revision)
            {
                break;
            }

            last = write;
        }

        return last;
    }

    private static SimulationFailure Broken(string what) => new(FailureKind.Correctness, what);

    private readonly record struct Write(long Revision, long Value);
}
