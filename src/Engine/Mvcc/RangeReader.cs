using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Mvcc;

/// <summary>Answers range requests from an index, by etcd's rules: the count ignores limit and filters, filters come before the sort, the limit comes last.</summary>
internal static class RangeReader
{
    /// <summary>What an item is counted with beside its key and value: about what it takes in memory, as this store's item and as a message. Of many small keys that is most of an answer.</summary>
    public const int ItemBytes = 192;

    /// <summary>
    /// Reads at <paramref name="revision"/>. <paramref name="indexRevision"/> is the revision for which the index keeps its counts:
    /// at that one a count costs O(log n), at an earlier one it is a scan.
    /// </summary>
    /// <param name="index">The keys.</param>
    /// <param name="indexRevision">See above.</param>
    /// <param name="revision">The revision to read at.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="bytesMax">
    /// Bytes of the answer: keys and values, and <see cref="ItemBytes"/> for each item. In key order the answer ends before it would exceed them, but for its first item, and there is <see cref="RangeResponse.More"/>.
    /// </param>
    /// <param name="counts">False: where the answer in key order ends at a limit, its count is 0, for to go on and count may be a scan of all the rest.</param>
    /// <exception cref="MetaStoreException">Sorted by something else, so that the last item may be the first, it is more than <paramref name="bytesMax"/>.</exception>
    public static RangeResponse Read(in KeyIndex index, long indexRevision, long revision, RangeRequest request, long bytesMax = long.MaxValue, bool counts = true)
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

        return request.SortTarget == SortTarget.Key
            ? ReadInOrder(index, range, counts ? indexRevision : null, revision, request, bytesMax)
            : ReadSorted(index, range, revision, request, bytesMax);
    }

    /// <summary>
    /// The same, as a whole or not at all: null where keys and values take more than the bytes that are left, of which they are taken off; then less than none are left.
    /// </summary>
    public static RangeResponse? ReadWhole(in KeyIndex index, long indexRevision, long revision, RangeRequest request, ref long bytesLeft)
    {
        const long NoneLeft = -1;
        if (bytesLeft < 0)
        {
            return null;
        }

        RangeResponse response;
        try
        {
            response = Read(index, indexRevision, revision, request, bytesLeft);
        }
        catch (MetaStoreException e) when (e.Error == MetaStoreError.ResponseTooLarge)
        {
            bytesLeft = NoneLeft;
            return null;
        }

        bool isCut = response.More && (request.Limit <= 0 || response.Items.Count < request.Limit);
        bytesLeft = isCut ? NoneLeft : bytesLeft - response.Items.Sum(CostOf);
        return bytesLeft < 0 ? null : response;
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

    /// <summary>What an item counts towards the bytes of its answer.</summary>
    public static long CostOf(KeyValue item) => ItemBytes + (long)item.Key.Length + item.Value.Length;

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

    /// <summary>Without <paramref name="indexRevision"/> nobody wants the count of what lies beyond a limit.</summary>
    private static RangeResponse ReadInOrder(in KeyIndex index, in KeyRange range, long? indexRevision, long revision, RangeRequest request, long bytesMax)
    {
        var collector = new Collector(revision, request, request.Limit > 0 ? request.Limit : long.MaxValue, bytesMax);
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
            return new RangeResponse { Items = collector.Items, Count = collector.Seen };
        }

        return new RangeResponse { Items = collector.Items, Count = indexRevision is { } counted ? Count(index, range, counted, revision) : 0, More = true };
    }

    private static RangeResponse ReadSorted(in KeyIndex index, in KeyRange range, long revision, RangeRequest request, long bytesMax)
    {
        var collector = new BestCollector(revision, request, bytesMax);
        index.Scan(range, ref collector);
        bool more = collector.Finish();
        List<KeyValue> items = collector.Items;

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

    /// <summary>The first so many items of a walk in key order.</summary>
    private struct Collector(long revision, RangeRequest request, long limit, long bytesMax) : IRecordVisitor
    {
        private long _bytes;

        public List<KeyValue> Items { get; } = [];

        /// <summary>Keys in the range, filtered out or not.</summary>
        public long Seen { get; private set; }

        /// <summary>Ended at a limit: there is more.</summary>
        public bool Full { get; private set; }

        public bool Visit(KeyRecord record)
        {
            VersionRecord version = record.ReadAt(revision);
            if (version.IsNull)
            {
                return true;
            }

            Seen++;
            if (!Passes(version, request))
            {
                return true;
            }

            _bytes += ItemBytes + record.Key.Length + (request.KeysOnly ? 0 : version.Value.Length);
            if (Items.Count >= limit || (_bytes > bytesMax && Items.Count > 0))
            {
                Full = true;
                return false;
            }

            Items.Add(ToKeyValue(record.Key, version, request.KeysOnly));
            return true;
        }
    }

    /// <summary>The best so many of all items by the order that is asked for. Holds no more than twice as many at any time.</summary>
    private struct BestCollector(long revision, RangeRequest request, long bytesMax) : IRecordVisitor
    {
        private const int SlackMin = 256;

        // Values are needed for the sort even where they are not returned.
        private readonly bool _keysOnly = request.KeysOnly && request.SortTarget != SortTarget.Value;

        // A limit that no answer can come to is none.
        private readonly long _itemsMax = request.Limit is > 0 and <= int.MaxValue ? request.Limit + Math.Max(request.Limit, SlackMin) : long.MaxValue;

        private long _bytes;
        private bool _isCut;

        public List<KeyValue> Items { get; } = [];

        /// <summary>Keys in the range, filtered out or not.</summary>
        public long Seen { get; private set; }

        public bool Visit(KeyRecord record)
        {
            VersionRecord version = record.ReadAt(revision);
            if (version.IsNull)
            {
                return true;
            }

            Seen++;
            if (Passes(version, request))
            {
                KeyValue item = ToKeyValue(record.Key, version, _keysOnly);
                Items.Add(item);
                _bytes += CostOf(item);
                if (Items.Count >= _itemsMax || _bytes > bytesMax)
                {
                    Cut();
                }
            }

            return true;
        }

        /// <summary>Puts the items in order; true where a limit left some of them out.</summary>
        public bool Finish()
        {
            Cut();
            return _isCut;
        }

        private void Cut()
        {
            Sort(Items, request);
            if (request.Limit > 0 && Items.Count > request.Limit)
            {
                Items.RemoveRange((int)request.Limit, Items.Count - (int)request.Limit);
                _isCut = true;
            }

            _bytes = Items.Sum(CostOf);
            if (_bytes > bytesMax)
            {
                throw new MetaStoreException(
                    MetaStoreError.ResponseTooLarge, $"the answer is larger than {bytesMax} bytes; ask for less at a time: a smaller range or limit, keys only, or in key order by pages");
            }
        }
    }
}
