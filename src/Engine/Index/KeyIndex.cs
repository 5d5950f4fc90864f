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
internal readonly struct KeyIndex(IndexNode root)
{
    public IndexNode Root { get; } = root;

    /// <summary>Keys that are not deleted.</summary>
    public long LiveCount => Root.IsNull ? 0 : Root.LiveCount;

    /// <summary>The record of a key, deleted or not; null where the index has none.</summary>
    public KeyRecord Find(ReadOnlySpan<byte> key)
    {
        if (Root.IsNull)
        {
            return default;
        }

        IndexNode leaf = FindLeaf(key);
        int position = NodeSearch.FindRecord(leaf, key, out bool isFound);
        return isFound ? leaf.Records[position] : default;
    }

    /// <summary>The leaf that has the key, if any has. The index is not empty.</summary>
    public IndexNode FindLeaf(ReadOnlySpan<byte> key)
    {
        IndexNode node = Root;
        while (!node.IsLeaf)
        {
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
        else if (!Root.IsNull && !range.IsEmpty)
        {
            Scan(Root, range, seek: true, ref visitor);
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
        else if (!Root.IsNull && !range.IsEmpty)
        {
            ScanBackward(Root, range, seek: !range.IsUnbounded, ref visitor);
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

        if (Root.IsNull || range.IsEmpty)
        {
            return 0;
        }

        long beforeEnd = range.IsUnbounded ? Root.LiveCount : CountBefore(Root, range.End.Span);
        return beforeEnd - CountBefore(Root, range.Start.Span);
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

        int position = seek ? NodeSearch.FindRecord(node, range.Start.Span, out _) : 0;
        foreach (KeyRecord record in node.Records[position..node.Count])
        {
            if (!range.IsBeforeEnd(record.Key) || !visitor.Visit(record))
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

        int end = seek ? NodeSearch.FindRecord(node, range.End.Span, out _) : node.Count;
        for (int i = end - 1; i >= 0; i--)
        {
            KeyRecord record = node.Records[i];
            if (record.Key.SequenceCompareTo(start) < 0 || !visitor.Visit(record))
            {
                return false;
            }
        }

        return true;
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
