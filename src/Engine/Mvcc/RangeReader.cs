using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>Answers range requests from an index, by etcd's rules: the count ignores limit and filters, filters come before the sort, the limit comes last.</summary>
internal static class RangeReader
{
    /// <summary>
    /// Reads at <paramref name="revision"/>. <paramref name="indexRevision"/> is the revision for which the index keeps its counts:
    /// at that one a count costs O(log n), at an earlier one it is a scan.
    /// </summary>
    public static RangeResponse Read(in KeyIndex index, long indexRevision, long revision, RangeRequest request)
    {
        KeyRange range = KeyRange.From(request.Key, request.RangeEnd);
        if (range.IsSingle)
        {
            return ReadSingle(index, revision, request);
        }

        if (request.CountOnly)
        {
            return new RangeResponse { Count = Count(index, range, indexRevision, revision) };
        }

        return NeedsWholeRange(request)
            ? ReadWhole(index, range, revision, request)
            : ReadInOrder(index, range, indexRevision, revision, request);
    }

    public static long Count(in KeyIndex index, in KeyRange range, long indexRevision, long revision)
    {
        if (revision == indexRevision)
        {
            return index.CountLive(range, revision);
        }

        var counter = new Counter(revision);
        index.Scan(range, ref counter);
        return counter.Count;
    }

    /// <summary>A copy, which outlives the record.</summary>
    public static KeyValue ToKeyValue(ReadOnlySpan<byte> key, VersionRecord version, bool keysOnly = false)
    {
        ReadOnlySpan<byte> value = keysOnly ? default : version.Value;
        byte[] bytes = GC.AllocateUninitializedArray<byte>(key.Length + value.Length);
        key.CopyTo(bytes);
        value.CopyTo(bytes.AsSpan(key.Length));
        return new KeyValue(
            bytes.AsMemory(0, key.Length),
            bytes.AsMemory(key.Length),
            new Revision(version.CreateRevision),
            new Revision(version.ModRevision),
            version.Version,
            version.LeaseId);
    }

    private static bool NeedsWholeRange(RangeRequest request) => HasFilter(request) || request.SortTarget != SortTarget.Key;

    private static bool HasFilter(RangeRequest request) =>
        request.MinModRevision.Value != 0 || request.MaxModRevision.Value != 0
        || request.MinCreateRevision.Value != 0 || request.MaxCreateRevision.Value != 0;

    private static RangeResponse ReadSingle(in KeyIndex index, long revision, RangeRequest request)
    {
        KeyRecord record = index.Find(request.Key.Span);
        VersionRecord version = record.ReadAt(revision);
        if (version.IsNull)
        {
            return new RangeResponse();
        }

        if (request.CountOnly || !Passes(version, request))
        {
            return new RangeResponse { Count = 1 };
        }

        return new RangeResponse { Count = 1, Items = [ToKeyValue(record.Key, version, request.KeysOnly)] };
    }

    private static RangeResponse ReadInOrder(in KeyIndex index, in KeyRange range, long indexRevision, long revision, RangeRequest request)
    {
        var collector = new Collector(revision, request, request.Limit > 0 ? request.Limit : long.MaxValue);
        if (request.SortOrder == SortOrder.Descending)
        {
            index.ScanBackward(range, ref collector);
        }
        else
        {
            index.Scan(range, ref collector);
        }

        if (!collector.Full)
        {
            return new RangeResponse { Items = collector.Items, Count = collector.Items.Count };
        }

        long count = Count(index, range, indexRevision, revision);
        return new RangeResponse { Items = collector.Items, Count = count, More = count > request.Limit };
    }

    private static RangeResponse ReadWhole(in KeyIndex index, in KeyRange range, long revision, RangeRequest request)
    {
        var collector = new Collector(revision, request, long.MaxValue);
        index.Scan(range, ref collector);
        List<KeyValue> items = collector.Items;
        Sort(items, request);
        bool more = request.Limit > 0 && items.Count > request.Limit;
        if (more)
        {
            items.RemoveRange((int)request.Limit, items.Count - (int)request.Limit);
        }

        if (request.KeysOnly && request.SortTarget == SortTarget.Value)
        {
            for (int i = 0; i < items.Count; i++)
            {
                items[i] = items[i] with { Value = default };
            }
        }

        return new RangeResponse { Items = items, Count = collector.Seen, More = more };
    }

    private static void Sort(List<KeyValue> items, RangeRequest request)
    {
        if (request.SortTarget == SortTarget.Key)
        {
            if (request.SortOrder == SortOrder.Descending)
            {
                items.Reverse();
            }

            return;
        }

        Comparison<KeyValue> byTarget = request.SortTarget switch
        {
            SortTarget.Version => static (a, b) => a.Version.CompareTo(b.Version),
            SortTarget.CreateRevision => static (a, b) => a.CreateRevision.CompareTo(b.CreateRevision),
            SortTarget.ModRevision => static (a, b) => a.ModRevision.CompareTo(b.ModRevision),
            _ => static (a, b) => a.Value.Span.SequenceCompareTo(b.Value.Span),
        };
        int direction = request.SortOrder == SortOrder.Descending ? -1 : 1;

        // Keys break ties, so that every node gives one answer.
        items.Sort((a, b) =>
        {
            int order = byTarget(a, b) * direction;
            return order != 0 ? order : a.Key.Span.SequenceCompareTo(b.Key.Span);
        });
    }

    private static bool Passes(VersionRecord version, RangeRequest request) =>
        (request.MinModRevision.Value == 0 || version.ModRevision >= request.MinModRevision.Value)
        && (request.MaxModRevision.Value == 0 || version.ModRevision <= request.MaxModRevision.Value)
        && (request.MinCreateRevision.Value == 0 || version.CreateRevision >= request.MinCreateRevision.Value)
        && (request.MaxCreateRevision.Value == 0 || version.CreateRevision <= request.MaxCreateRevision.Value);

    private struct Counter(long revision) : IRecordVisitor
    {
        public long Count { get; private set; }

        public bool Visit(KeyRecord record)
        {
            Count += record.ReadAt(revision).IsNull ? 0 : 1;
            return true;
        }
    }

    private struct Collector(long revision, RangeRequest request, long limit) : IRecordVisitor
    {
        // Values are needed for the sort even where they are not returned.
        private readonly bool _keysOnly = request.KeysOnly && request.SortTarget != SortTarget.Value;

        public List<KeyValue> Items { get; } = [];

        /// <summary>Keys in the range, filtered out or not.</summary>
        public long Seen { get; private set; }

        /// <summary>Ended at the limit: there may be more.</summary>
        public bool Full { get; private set; }

        public bool Visit(KeyRecord record)
        {
            VersionRecord version = record.ReadAt(revision);
            if (version.IsNull)
            {
                return true;
            }

            if (Items.Count >= limit)
            {
                Full = true;
                return false;
            }

            Seen++;
            if (Passes(version, request))
            {
                Items.Add(ToKeyValue(record.Key, version, _keysOnly));
            }

            return true;
        }
    }
}
