using System.Text;
using Entry = (long Create, long Mod, long Version, long Lease, string Value);

namespace MetaStore.Engine.Tests;

/// <summary>
/// What the store should do, written as plainly as possible: the whole state is copied for every revision. Slow and obvious, and
/// sharing no code with the engine.
/// </summary>
internal sealed class StoreModel
{
    private static readonly SortedDictionary<string, Entry> s_forgotten = new(StringComparer.Ordinal);

    private readonly List<SortedDictionary<string, Entry>> _history = [new(StringComparer.Ordinal), new(StringComparer.Ordinal)];

    public long Revision => _history.Count - 1;

    private readonly SortedSet<long> _leases = [];

    public long Compacted { get; private set; }

    /// <summary>The keys that belong to a lease now.</summary>
    public IEnumerable<string> KeysOf(long lease) => _history[^1].Where(pair => pair.Value.Lease == lease).Select(pair => pair.Key);

    public string Run(StoreRequest request)
    {
        SortedDictionary<string, Entry> state = Copy(_history[^1]);
        bool changed = false;
        string result;
        try
        {
            Check(request, _history[^1]);
            result = request is CompactRequest compact ? Compact(compact) : Execute(request, state, _history[^1], ref changed);
        }
        catch (ModelError error)
        {
            return $"error {error.Error}";
        }

        if (changed)
        {
            _history.Add(state);
        }

        return $"@{Revision} {result}";
    }

    private static SortedDictionary<string, Entry> Copy(SortedDictionary<string, Entry> state) => new(state, StringComparer.Ordinal);

    private static string Text(ReadOnlyMemory<byte> bytes) => Encoding.Latin1.GetString(bytes.Span);

    private static bool InRange(string candidate, string key, string end)
    {
        if (end.Length == 0)
        {
            return candidate == key;
        }

        return string.CompareOrdinal(candidate, key) >= 0 && (end == "\0" || string.CompareOrdinal(candidate, end) < 0);
    }

    private string Compact(CompactRequest compact)
    {
        if (compact.Revision.Value <= Compacted)
        {
            throw new ModelError(MetaStoreError.Compacted);
        }

        if (compact.Revision.Value > Revision)
        {
            throw new ModelError(MetaStoreError.FutureRevision);
        }

        for (long revision = Compacted; revision < compact.Revision.Value; revision++)
        {
            _history[(int)revision] = s_forgotten;
        }

        Compacted = compact.Revision.Value;
        return "compacted";
    }

    private void Check(StoreRequest request, SortedDictionary<string, Entry> before)
    {
        switch (request)
        {
            case PutRequest { LeaseId: not 0 } put when !_leases.Contains(put.LeaseId):
                throw new ModelError(MetaStoreError.LeaseNotFound);
            case LeaseGrantRequest grant when _leases.Contains(grant.Id):
                throw new ModelError(MetaStoreError.LeaseExists);
            case LeaseRevokeRequest revoke when !_leases.Contains(revoke.Id):
                throw new ModelError(MetaStoreError.LeaseNotFound);
            case PutRequest put when (put.IgnoreValue || put.IgnoreLease) && !before.ContainsKey(Text(put.Key)):
                throw new ModelError(MetaStoreError.KeyNotFound);
            case RangeRequest range when range.Revision.Value > Revision:
                throw new ModelError(MetaStoreError.FutureRevision);
            case RangeRequest range when range.Revision.Value > 0 && range.Revision.Value < Compacted:
                throw new ModelError(MetaStoreError.Compacted);
            case TxnRequest txn:
                // As in etcd: all puts, in each the key first, and then all ranges.
                StoreRequest[] parts = [.. Running(txn, before)];
                foreach (PutRequest put in parts.OfType<PutRequest>())
                {
                    Check(put with { LeaseId = 0 }, before);
                    Check(put, before);
                }

                foreach (RangeRequest range in parts.OfType<RangeRequest>())
                {
                    Check(range, before);
                }

                break;
        }
    }

    /// <summary>What will run of a transaction and of those that it nests, in order.</summary>
    private IEnumerable<StoreRequest> Running(TxnRequest txn, SortedDictionary<string, Entry> before) =>
        (Holds(txn, before) ? txn.Success : txn.Failure).SelectMany(part => part is TxnRequest nested ? Running(nested, before) : [part]);

    private string Execute(StoreRequest request, SortedDictionary<string, Entry> state, SortedDictionary<string, Entry> before, ref bool changed)
    {
        switch (request)
        {
            case PutRequest put:
                return Put(put, state, ref changed);
            case LeaseGrantRequest grant:
                _leases.Add(grant.Id);
                return $"granted {grant.Id} {grant.Ttl}";
            case LeaseRevokeRequest revoke:
                _leases.Remove(revoke.Id);
                foreach (string key in KeysOf(revoke.Id))
                {
                    changed |= state.Remove(key);
                }

                return "revoked";
            case DeleteRangeRequest delete:
                string[] keys = [.. state.Keys.Where(k => InRange(k, Text(delete.Key), Text(delete.RangeEnd)))];
                string previous = delete.ReturnPrevious ? string.Concat(keys.Select(k => Show(k, state[k]))) : string.Empty;
                foreach (string key in keys)
                {
                    state.Remove(key);
                }

                changed |= keys.Length > 0;
                return $"deleted {keys.Length}{previous}";
            case RangeRequest range:
                return Range(range, range.Revision.Value > 0 ? _history[(int)range.Revision.Value] : state);
            default:
                var txn = (TxnRequest)request;
                bool holds = Holds(txn, before);
                var text = new StringBuilder(holds ? "then" : "else");
                foreach (StoreRequest part in holds ? txn.Success : txn.Failure)
                {
                    text.Append(" [").Append(Execute(part, state, before, ref changed)).Append(']');
                }

                return text.ToString();
        }
    }

    private string Put(PutRequest put, SortedDictionary<string, Entry> state, ref bool changed)
    {
        string key = Text(put.Key);
        bool exists = state.TryGetValue(key, out Entry old);
        state[key] = (
            exists ? old.Create : _history.Count,
            _history.Count,
            exists ? old.Version + 1 : 1,
            put.IgnoreLease ? old.Lease : put.LeaseId,
            put.IgnoreValue ? old.Value : Text(put.Value));
        changed = true;
        return exists && put.ReturnPrevious ? $"put{Show(key, old)}" : "put";
    }

    private static string Range(RangeRequest range, SortedDictionary<string, Entry> state)
    {
        (string Key, Entry Entry)[] all = [.. state.Where(p => InRange(p.Key, Text(range.Key), Text(range.RangeEnd))).Select(p => (p.Key, p.Value))];
        if (range.CountOnly)
        {
            return $"count {all.Length}";
        }

        IEnumerable<(string Key, Entry Entry)> kept = all.Where(p =>
            (range.MinModRevision.Value == 0 || p.Entry.Mod >= range.MinModRevision.Value)
            && (range.MaxModRevision.Value == 0 || p.Entry.Mod <= range.MaxModRevision.Value)
            && (range.MinCreateRevision.Value == 0 || p.Entry.Create >= range.MinCreateRevision.Value)
            && (range.MaxCreateRevision.Value == 0 || p.Entry.Create <= range.MaxCreateRevision.Value));
        int direction = range.SortOrder == SortOrder.Descending ? -1 : 1;
        kept = kept.OrderBy(p => p, Comparer<(string Key, Entry Entry)>.Create((a, b) => Compare(range.SortTarget, a, b, direction)));
        (string Key, Entry Entry)[] sorted = [.. kept];
        bool more = range.Limit > 0 && sorted.Length > range.Limit;
        IEnumerable<(string Key, Entry Entry)> shown = more ? sorted.Take((int)range.Limit) : sorted;
        return $"count {all.Length}{(more ? " more" : string.Empty)}{string.Concat(shown.Select(p => Show(p.Key, range.KeysOnly ? p.Entry with { Value = string.Empty } : p.Entry)))}";
    }

    private static int Compare(SortTarget target, (string Key, Entry Entry) a, (string Key, Entry Entry) b, int direction)
    {
        int order = target switch
        {
            SortTarget.Version => a.Entry.Version.CompareTo(b.Entry.Version),
            SortTarget.CreateRevision => a.Entry.Create.CompareTo(b.Entry.Create),
            SortTarget.ModRevision => a.Entry.Mod.CompareTo(b.Entry.Mod),
            SortTarget.Value => string.CompareOrdinal(a.Entry.Value, b.Entry.Value),
            _ => string.CompareOrdinal(a.Key, b.Key),
        };
        return order != 0 ? order * direction : string.CompareOrdinal(a.Key, b.Key);
    }

    private static bool Holds(TxnRequest txn, SortedDictionary<string, Entry> state) => txn.Compare.All(c => Holds(c, state));

    private static bool Holds(Compare compare, SortedDictionary<string, Entry> state)
    {
        Entry[] entries = [.. state.Where(p => InRange(p.Key, Text(compare.Key), Text(compare.RangeEnd))).Select(p => p.Value)];
        if (entries.Length == 0)
        {
            return compare.Target != CompareTarget.Value && Relates(0L.CompareTo(compare.Number), compare.Relation);
        }

        return Array.TrueForAll(entries, e => Relates(
            compare.Target switch
            {
                CompareTarget.Version => e.Version.CompareTo(compare.Number),
                CompareTarget.CreateRevision => e.Create.CompareTo(compare.Number),
                CompareTarget.ModRevision => e.Mod.CompareTo(compare.Number),
                CompareTarget.Lease => e.Lease.CompareTo(compare.Number),
                _ => string.CompareOrdinal(e.Value, Text(compare.Value)),
            },
            compare.Relation));
    }

    private static bool Relates(int order, CompareRelation relation) => relation switch
    {
        CompareRelation.Equal => order == 0,
        CompareRelation.Greater => order > 0,
        CompareRelation.Less => order < 0,
        _ => order != 0,
    };

    public static string Show(string key, Entry e) => $" {key}={e.Value}(c{e.Create} m{e.Mod} v{e.Version} l{e.Lease})";

    private sealed class ModelError(MetaStoreError error) : Exception
    {
        public MetaStoreError Error { get; } = error;
    }
}
