using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// Changes within nodes that the running edit owns. Fences, the separators around a node in its parents, say what its keys share; where one is missing (null), at
/// the edges of the tree, what they share is read off the keys, and has to be checked by whoever searches.
/// </summary>
internal static class NodeEdit
{
    public static void InsertRecord(IndexNode leaf, int position, KeyRecord record, bool isLive)
    {
        MakeShared(leaf, record.Key);
        int count = leaf.Count;
        Shift(leaf.Prefixes, position, count);
        Shift(leaf.Records, position, count);
        leaf.Prefixes[position] = NodeSearch.PrefixOf(record.Key, leaf.Skip);
        leaf.Records[position] = record;
        ulong bits = leaf.LiveBits;
        ulong below = LowBits(position);
        leaf.LiveBits = (bits & below) | ((bits & ~below) << 1) | (isLive ? 1UL << position : 0);
        leaf.Count = count + 1;
    }

    public static void RemoveRecord(IndexNode leaf, int position)
    {
        int count = leaf.Count - 1;
        leaf.Prefixes[(position + 1)..(count + 1)].CopyTo(leaf.Prefixes[position..]);
        leaf.Records[(position + 1)..(count + 1)].CopyTo(leaf.Records[position..]);
        leaf.Prefixes[count] = ulong.MaxValue;
        leaf.Records[count] = default;
        ulong bits = leaf.LiveBits;
        ulong below = LowBits(position);
        leaf.LiveBits = (bits & below) | ((bits >> 1) & ~below);
        leaf.Count = count;
        ForgetShared(leaf, count == 0);
    }

    /// <summary>Inserts a child behind another one; the separator is the lower bound of its keys.</summary>
    public static void InsertChild(IndexNode inner, int position, Separator separator, IndexNode child)
    {
        MakeShared(inner, separator.Bytes);
        int count = inner.Count;
        Shift(inner.Prefixes, position, count);
        Shift(inner.Children, position, count);
        Shift(inner.Separators, position, count);
        Shift(inner.LiveCounts, position, count);
        inner.Prefixes[position] = NodeSearch.PrefixOf(separator.Bytes, inner.Skip);
        inner.Children[position] = child;
        inner.Separators[position] = separator;
        inner.LiveCounts[position] = child.LiveCount;
        inner.Count = count + 1;
    }

    /// <summary>The first child of a new node, which has no separator.</summary>
    public static void SetFirstChild(IndexNode inner, IndexNode child)
    {
        inner.Prefixes[0] = 0;
        inner.Children[0] = child;
        inner.LiveCounts[0] = child.LiveCount;
        inner.Count = 1;
    }

    /// <summary>A child has been exchanged for a copy of itself, or has changed.</summary>
    public static void SetChild(IndexNode inner, int position, IndexNode child)
    {
        inner.Children[position] = child;
        inner.LiveCounts[position] = child.LiveCount;
    }

    public static void RemoveChild(IndexNode inner, int position)
    {
        int count = inner.Count - 1;
        inner.Prefixes[(position + 1)..(count + 1)].CopyTo(inner.Prefixes[position..]);
        inner.Children[(position + 1)..(count + 1)].CopyTo(inner.Children[position..]);
        inner.Separators[(position + 1)..(count + 1)].CopyTo(inner.Separators[position..]);
        inner.LiveCounts[(position + 1)..(count + 1)].CopyTo(inner.LiveCounts[position..]);
        inner.Prefixes[count] = ulong.MaxValue;
        inner.Children[count] = default;
        inner.Separators[count] = default;
        inner.LiveCounts[count] = 0;
        inner.Count = count;
        ForgetShared(inner, count == 1);
    }

    /// <summary>
    /// Moves everything from the position on to an empty node. Of an inner node the first separator that moves is taken out: it now stands between the two.
    /// </summary>
    public static Separator MoveTail(IndexNode node, int from, IndexNode target)
    {
        int moved = node.Count - from;
        Append(node, from, target);
        Separator between = default;
        if (!node.IsLeaf)
        {
            between = target.Separators[0];
            target.Separators[0] = default;
            node.Children[from..].Clear();
            node.Separators[from..].Clear();
            node.LiveCounts[from..].Clear();
        }
        else
        {
            node.Records[from..].Clear();
            node.LiveBits &= LowBits(from);
        }

        node.Prefixes[from..].Fill(ulong.MaxValue);
        node.Count -= moved;
        return between;
    }

    /// <summary>Adds everything of the right neighbour, of which <paramref name="between"/> is the lower bound.</summary>
    public static void AppendAll(IndexNode node, IndexNode right, Separator between)
    {
        int at = node.Count;
        Append(right, 0, node);
        if (!node.IsLeaf)
        {
            node.Separators[at] = between;
        }
    }

    /// <summary>
    /// The node's keys have changed by more than one, or its fences have: says anew what they share, and with it all prefixes. For an inner node its live count as well.
    /// </summary>
    public static void Rebuild(IndexNode node, Separator low, Separator high)
    {
        node.IsFenced = !low.IsNull && !high.IsNull;
        int first = node.IsLeaf ? 0 : 1;
        int shared = node.IsFenced ? low.Bytes.CommonPrefixLength(high.Bytes)
            : node.Count - first < 2 ? 0
            : KeyAt(node, first).CommonPrefixLength(KeyAt(node, node.Count - 1));
        SetSkip(node, Math.Min(shared, IndexNode.SkipMax));
        if (!node.IsLeaf)
        {
            long live = 0;
            foreach (long count in node.LiveCounts[..node.Count])
            {
                live += count;
            }

            node.LiveCount = live;
        }
    }

    /// <summary>The bits below a position.</summary>
    public static ulong LowBits(int position) => position == IndexNode.Capacity ? ulong.MaxValue : (1UL << position) - 1;

    /// <summary>A newcomer at the edge of the tree may share less than all the others.</summary>
    private static void MakeShared(IndexNode node, ReadOnlySpan<byte> key)
    {
        if (!node.IsFenced && NodeSearch.SideOf(node, key) != 0)
        {
            SetSkip(node, Math.Min(node.Skip, key.CommonPrefixLength(KeyAt(node, node.IsLeaf ? 0 : 1))));
        }
    }

    /// <summary>No key is left that could say what all of them share.</summary>
    private static void ForgetShared(IndexNode node, bool isLast)
    {
        if (isLast && !node.IsFenced)
        {
            node.Skip = 0;
        }
    }

    private static void SetSkip(IndexNode node, int skip)
    {
        node.Skip = skip;
        Span<ulong> prefixes = node.Prefixes;
        int first = node.IsLeaf ? 0 : 1;
        for (int i = first; i < node.Count; i++)
        {
            prefixes[i] = NodeSearch.PrefixOf(KeyAt(node, i), skip);
        }

        if (first > 0 && node.Count > 0)
        {
            prefixes[0] = 0;
        }
    }

    private static ReadOnlySpan<byte> KeyAt(IndexNode node, int position) => node.IsLeaf ? node.Records[position].Key : node.Separators[position].Bytes;

    private static void Append(IndexNode source, int from, IndexNode target)
    {
        int moved = source.Count - from;
        int at = target.Count;
        source.Prefixes.Slice(from, moved).CopyTo(target.Prefixes[at..]);
        if (source.IsLeaf)
        {
            source.Records.Slice(from, moved).CopyTo(target.Records[at..]);
            target.LiveBits |= from == IndexNode.Capacity || at == IndexNode.Capacity ? 0 : source.LiveBits >> from << at;
        }
        else
        {
            source.Children.Slice(from, moved).CopyTo(target.Children[at..]);
            source.Separators.Slice(from, moved).CopyTo(target.Separators[at..]);
            source.LiveCounts.Slice(from, moved).CopyTo(target.LiveCounts[at..]);
        }

        target.Count = at + moved;
    }

    /// <summary>Makes room at a position of a column.</summary>
    private static void Shift<T>(Span<T> column, int position, int count) => column[position..count].CopyTo(column[(position + 1)..]);
}
