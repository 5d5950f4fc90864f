using System.Numerics;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>Receives the records of a scan, in key order or against it.</summary>
internal interface IRecordVisitor
{
    /// <summary>Takes a record; false ends the scan.</summary>
    bool Visit(KeyRecord record);
}

/// <summary>
/// An immutable index of all keys, live and deleted, as one published version of the store sees it. Reads take no lock and
/// allocate nothing. The number of live keys kept in every node answers a count in O(log n). A handle: a reader looks at it inside a <see cref="ReadSection"/> that it
/// entered before it took the view.
/// </summary>
internal readonly struct KeyIndex(ShardDirectory directory)
{
    private readonly ShardDirectory? _directory = directory;

    /// <summary>The trees that the keys are in.</summary>
    public ShardDirectory Shards => _directory ?? ShardDirectory.Empty;

    /// <summary>Keys that are not deleted.</summary>
    public long LiveCount => Shards.LiveCount;

    /// <summary>The record of a key, deleted or not; null where the index has none.</summary>
    public KeyRecord Find(ReadOnlySpan<byte> key)
    {
        IndexNode leaf = FindLeaf(key);
        if (leaf.IsNull)
        {
            return default;
        }

        SchedulePoint.Hit();
        int position = NodeSearch.FindRecord(leaf, key, out bool isFound);
        return isFound ? leaf.Records[position] : default;
    }

    /// <summary>The leaf that has the key, if any has; null where its shard has no key.</summary>
    public IndexNode FindLeaf(ReadOnlySpan<byte> key)
    {
        ShardDirectory shards = Shards;
        IndexNode node = shards.RootAt(shards.Find(key));
        while (!node.IsNull && !node.IsLeaf)
        {
            SchedulePoint.Hit();
            node = node.Children[NodeSearch.FindChild(node, key)];
        }

        return node;
    }

    /// <summary>Visits the records of the range in key order.</summary>
    public void Scan<TVisitor>(in KeyRange range, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        if (range.IsSingle)
        {
            VisitOne(range, ref visitor);
        }
        else if (!range.IsEmpty)
        {
            ShardDirectory shards = Shards;
            int first = shards.Find(range.Start.Span);
            for (int shard = first; shard < shards.Count; shard++)
            {
                IndexNode root = shards.RootAt(shard);
                bool isBehind = shard > first && !range.IsBeforeEnd(shards.LowOf(shard).Bytes);
                if (isBehind || (!root.IsNull && !Scan(root, range, seek: shard == first, ref visitor)))
                {
                    return;
                }
            }
        }
    }

    /// <summary>Visits the records of the range from the last one to the first.</summary>
    public void ScanBackward<TVisitor>(in KeyRange range, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        if (range.IsSingle)
        {
            VisitOne(range, ref visitor);
        }
        else if (!range.IsEmpty)
        {
            ShardDirectory shards = Shards;
            int first = shards.Find(range.Start.Span);
            int last = range.IsUnbounded ? shards.Count - 1 : shards.Find(range.End.Span);
            for (int shard = last; shard >= first; shard--)
            {
                IndexNode root = shards.RootAt(shard);
                if (!root.IsNull && !ScanBackward(root, range, seek: shard == last && !range.IsUnbounded, ref visitor))
                {
                    return;
                }
            }
        }
    }

    /// <summary>
    /// Live keys in the range at the revision that was published together with this index, in O(log n).
    /// </summary>
    public long CountLive(in KeyRange range, long revision)
    {
        if (range.IsSingle)
        {
            return Find(range.Start.Span).ReadAt(revision).IsNull ? 0 : 1;
        }

        if (range.IsEmpty)
        {
            return 0;
        }

        long beforeEnd = range.IsUnbounded ? LiveCount : CountBefore(range.End.Span);
        return beforeEnd - CountBefore(range.Start.Span);
    }

    private void VisitOne<TVisitor>(in KeyRange range, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        KeyRecord record = Find(range.Start.Span);
        if (!record.IsNull)
        {
            visitor.Visit(record);
        }
    }

    private static bool Scan<TVisitor>(IndexNode node, in KeyRange range, bool seek, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        if (!node.IsLeaf)
        {
            int first = seek ? NodeSearch.FindChild(node, range.Start.Span) : 0;
            for (int i = first; i < node.Count; i++)
            {
                bool isBehind = i > first && !range.IsBeforeEnd(node.Separators[i].Bytes);
                if (isBehind || !Scan(node.Children[i], range, seek && i == first, ref visitor))
                {
                    return false;
                }
            }

            return true;
        }

        SchedulePoint.Hit();
        int position = seek ? NodeSearch.FindRecord(node, range.Start.Span, out _) : 0;
        ReadOnlySpan<KeyRecord> records = node.Records[..node.Count];
        ScanAhead.Begin(records, position, direction: 1);
        for (int i = position; i < records.Length; i++)
        {
            ScanAhead.Step(records, i, direction: 1);
            if (!range.IsBeforeEnd(records[i].Key) || !visitor.Visit(records[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static bool ScanBackward<TVisitor>(IndexNode node, in KeyRange range, bool seek, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        ReadOnlySpan<byte> start = range.Start.Span;
        if (!node.IsLeaf)
        {
            int last = seek ? NodeSearch.FindChild(node, range.End.Span) : node.Count - 1;
            for (int i = last; i >= 0; i--)
            {
                if (!ScanBackward(node.Children[i], range, seek && i == last, ref visitor))
                {
                    return false;
                }

                // What lies left of the separator lies left of the start as well.
                if (i > 0 && node.Separators[i].Bytes.SequenceCompareTo(start) <= 0)
                {
                    return false;
                }
            }

            return true;
        }

        SchedulePoint.Hit();
        int end = seek ? NodeSearch.FindRecord(node, range.End.Span, out _) : node.Count;
        ReadOnlySpan<KeyRecord> records = node.Records[..node.Count];
        ScanAhead.Begin(records, end - 1, direction: -1);
        for (int i = end - 1; i >= 0; i--)
        {
            ScanAhead.Step(records, i, direction: -1);
            KeyRecord record = records[i];
            if (record.Key.SequenceCompareTo(start) < 0 || !visitor.Visit(record))
            {
                return false;
            }
        }

        return true;
    }

    private long CountBefore(ReadOnlySpan<byte> key)
    {
        ShardDirectory shards = Shards;
        int shard = shards.Find(key);
        IndexNode root = shards.RootAt(shard);
        return shards.LiveBefore(shard) + (root.IsNull ? 0 : CountBefore(root, key));
    }

    private static long CountBefore(IndexNode node, ReadOnlySpan<byte> key)
    {
        long count = 0;
        while (!node.IsLeaf)
        {
            int child = NodeSearch.FindChild(node, key);
            foreach (long live in node.LiveCounts[..child])
            {
                count += live;
            }

            node = node.Children[child];
        }

        return count + BitOperations.PopCount(node.LiveBits & NodeEdit.LowBits(NodeSearch.FindRecord(node, key, out _)));
    }
}
