using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Index;

/// <summary>Receives the records of a scan, in key order.</summary>
internal interface IRecordVisitor
{
    /// <summary>Takes a record; false ends the scan.</summary>
    bool Visit(KeyRecord record);
}

/// <summary>
/// An immutable index of all keys, live and deleted, as one published version of the store sees it. Reads take no lock and
/// allocate nothing. The number of live keys kept in every node answers a count in O(log n).
/// </summary>
internal readonly struct KeyIndex(IndexNode? root)
{
    public IndexNode? Root { get; } = root;

    /// <summary>Keys that are not deleted.</summary>
    public long LiveCount => Root?.LiveCount ?? 0;

    public KeyRecord? Find(ReadOnlySpan<byte> key)
    {
        ulong prefix = IndexNode.PrefixOf(key);
        IndexNode? node = Root;
        while (node is InnerNode inner)
        {
            node = inner.Children[inner.ChildFor(prefix, key)];
        }

        if (node is not LeafNode leaf)
        {
            return null;
        }

        int position = leaf.Find(prefix, key);
        return position < 0 ? null : leaf.Records[position];
    }

    /// <summary>Visits the records of the range in key order.</summary>
    public void Scan<TVisitor>(in KeyRange range, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        if (range.IsSingle)
        {
            KeyRecord? record = Find(range.Start.Span);
            if (record is not null)
            {
                visitor.Visit(record);
            }

            return;
        }

        if (Root is not null && !range.IsEmpty)
        {
            Scan(Root, range, seek: true, ref visitor);
        }
    }

    /// <summary>
    /// Live keys in the range at the revision that was published together with this index. Subtrees that lie inside the range
    /// are not entered.
    /// </summary>
    public long CountLive(in KeyRange range, long revision)
    {
        if (range.IsSingle)
        {
            return Find(range.Start.Span)?.At(revision) is null ? 0 : 1;
        }

        if (Root is null || range.IsEmpty)
        {
            return 0;
        }

        long beforeEnd = range.IsUnbounded ? Root.LiveCount : CountBefore(Root, range.End.Span, revision);
        return beforeEnd - CountBefore(Root, range.Start.Span, revision);
    }

    private static bool Scan<TVisitor>(IndexNode node, in KeyRange range, bool seek, ref TVisitor visitor)
        where TVisitor : struct, IRecordVisitor
    {
        ReadOnlySpan<byte> start = range.Start.Span;
        if (node is LeafNode leaf)
        {
            int position = 0;
            if (seek)
            {
                position = leaf.Find(IndexNode.PrefixOf(start), start);
                position = position < 0 ? ~position : position;
            }

            for (; position < leaf.Count; position++)
            {
                KeyRecord record = leaf.Records[position];
                if (!range.IsBeforeEnd(record.Key) || !visitor.Visit(record))
                {
                    return false;
                }
            }

            return true;
        }

        var inner = (InnerNode)node;
        int first = seek ? inner.ChildFor(IndexNode.PrefixOf(start), start) : 0;
        for (int i = first; i < inner.Count; i++)
        {
            if (i > first && !range.IsBeforeEnd(inner.Keys[i]))
            {
                return false;
            }

            if (!Scan(inner.Children[i], range, seek && i == first, ref visitor))
            {
                return false;
            }
        }

        return true;
    }

    private static long CountBefore(IndexNode node, ReadOnlySpan<byte> key, long revision)
    {
        ulong prefix = IndexNode.PrefixOf(key);
        long count = 0;
        while (node is InnerNode inner)
        {
            int child = inner.ChildFor(prefix, key);
            for (int i = 0; i < child; i++)
            {
                count += inner.Children[i].LiveCount;
            }

            node = inner.Children[child];
        }

        var leaf = (LeafNode)node;
        int position = leaf.Find(prefix, key);
        position = position < 0 ? ~position : position;
        for (int i = 0; i < position; i++)
        {
            count += leaf.Records[i].At(revision) is null ? 0 : 1;
        }

        return count;
    }
}
