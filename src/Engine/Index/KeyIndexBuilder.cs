using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// The writer's side of the index: one owner (the apply loop). Changes go to nodes of the running edit, which are copied from published ones on first touch, and those
/// are retired; <see cref="Publish"/> freezes them and returns the new root. A put on a live key does not come here at all.
/// </summary>
internal sealed class KeyIndexBuilder(StoreMemory memory)
{
    private const int MergeBelow = IndexNode.Capacity / 4;

    private IndexNode _root;
    private long _edit = 1;

    public KeyRecord Find(ReadOnlySpan<byte> key) => Unpublished.Find(key);

    /// <summary>The index with everything the running edit has done; for the writer's own reads, before publication.</summary>
    public KeyIndex Unpublished => new(_root);

    public KeyIndex Publish()
    {
        _edit++;
        return new KeyIndex(_root);
    }

    /// <summary>Adds a key that is not in the index. It counts as live unless its head is a tombstone (as one restored from a snapshot may be).</summary>
    public void Insert(KeyRecord record)
    {
        bool isLive = !record.Head.IsTombstone;
        if (_root.IsNull)
        {
            _root = IndexNode.CreateLeaf(memory, _edit);
            NodeEdit.InsertRecord(_root, 0, record, isLive);
            return;
        }

        _root = Own(_root);
        if (Insert(_root, record, isLive, default, default) is { Node.IsNull: false } right)
        {
            IndexNode root = IndexNode.CreateInner(memory, _edit);
            NodeEdit.SetFirstChild(root, _root);
            NodeEdit.InsertChild(root, 1, right.Separator, right.Node);
            NodeEdit.Rebuild(root, default, default);
            _root = root;
        }
    }

    /// <summary>A key of the index was deleted (-1) or came back (+1): its head was just moved.</summary>
    public void AddLive(ReadOnlySpan<byte> key, int change)
    {
        Invariant.Check(!_root.IsNull, "a live count changes in an empty index");
        IndexNode node = _root = Own(_root);
        while (!node.IsLeaf)
        {
            int child = NodeSearch.FindChild(node, key);
            IndexNode owned = Own(node.Children[child]);
            node.Children[child] = owned;
            node.LiveCounts[child] += change;
            node.LiveCount += change;
            node = owned;
        }

        int position = NodeSearch.FindRecord(node, key, out bool isFound);
        Invariant.Check(isFound, "a live count changes for a key that the index does not hold");
        ulong bit = 1UL << position;
        node.LiveBits = change > 0 ? node.LiveBits | bit : change < 0 ? node.LiveBits & ~bit : node.LiveBits;
    }

    /// <summary>Removes a key whose head is a tombstone that no readable revision sees.</summary>
    public void Remove(ReadOnlySpan<byte> key)
    {
        Invariant.Check(!_root.IsNull, "a key is removed from an empty index");
        _root = Own(_root);
        Remove(_root, key, default, default);
        while (!_root.IsLeaf && _root.Count == 1)
        {
            IndexNode only = _root.Children[0];
            _root.Retire(memory);
            _root = only;
        }

        if (_root.IsLeaf && _root.Count == 0)
        {
            _root.Retire(memory);
            _root = default;
        }
    }

    private IndexNode Own(IndexNode node)
    {
        if (node.Edit == _edit)
        {
            return node;
        }

        IndexNode copy = node.CloneFor(memory, _edit);
        node.Retire(memory);
        return copy;
    }

    /// <summary>Inserts below an owned node, whose keys lie between the fences; returns the new right sibling where the node had to split.</summary>
    private Sibling Insert(IndexNode node, KeyRecord record, bool isLive, Separator low, Separator high)
    {
        if (node.IsLeaf)
        {
            return InsertIntoLeaf(node, record, isLive, low, high);
        }

        int child = NodeSearch.FindChild(node, record.Key);
        IndexNode owned = Own(node.Children[child]);
        node.LiveCount += isLive ? 1 : 0;
        Sibling right = Insert(owned, record, isLive, LowOf(node, child, low), HighOf(node, child, high));
        NodeEdit.SetChild(node, child, owned);
        if (right.Node.IsNull)
        {
            return default;
        }

        if (node.Count < IndexNode.Capacity)
        {
            NodeEdit.InsertChild(node, child + 1, right.Separator, right.Node);
            return default;
        }

        return SplitInner(node, child + 1, right, low, high);
    }

    private Sibling SplitInner(IndexNode node, int position, Sibling child, Separator low, Separator high)
    {
        IndexNode sibling = IndexNode.CreateInner(memory, _edit);
        Separator between;
        if (position == IndexNode.Capacity)
        {
            // Keys that arrive in order (a load, a restore) leave full nodes behind instead of half-full ones.
            between = child.Separator;
            NodeEdit.SetFirstChild(sibling, child.Node);
        }
        else
        {
            between = NodeEdit.MoveTail(node, IndexNode.Capacity / 2, sibling);
            IndexNode half = position <= node.Count ? node : sibling;
            NodeEdit.InsertChild(half, half.Equals(node) ? position : position - node.Count, child.Separator, child.Node);
        }

        NodeEdit.Rebuild(node, low, between);
        NodeEdit.Rebuild(sibling, between, high);
        return new Sibling(between, sibling);
    }

    private Sibling InsertIntoLeaf(IndexNode leaf, KeyRecord record, bool isLive, Separator low, Separator high)
    {
        int position = NodeSearch.FindRecord(leaf, record.Key, out bool isFound);
        Invariant.Check(!isFound, "a key is inserted that the index already holds");
        if (leaf.Count < IndexNode.Capacity)
        {
            NodeEdit.InsertRecord(leaf, position, record, isLive);
            return default;
        }

        IndexNode sibling = IndexNode.CreateLeaf(memory, _edit);
        ReadOnlySpan<byte> lastOnTheLeft = leaf.Records[IndexNode.Capacity - 1].Key;
        ReadOnlySpan<byte> firstOnTheRight = record.Key;
        if (position < IndexNode.Capacity)
        {
            NodeEdit.MoveTail(leaf, IndexNode.Capacity / 2, sibling);
            lastOnTheLeft = leaf.Records[leaf.Count - 1].Key;
            firstOnTheRight = sibling.Records[0].Key;
        }

        // No longer than it takes to tell the two apart.
        var between = Separator.Create(memory, firstOnTheRight[..(lastOnTheLeft.CommonPrefixLength(firstOnTheRight) + 1)]);
        NodeEdit.Rebuild(leaf, low, between);
        NodeEdit.Rebuild(sibling, between, high);
        IndexNode half = record.Key.SequenceCompareTo(between.Bytes) < 0 ? leaf : sibling;
        NodeEdit.InsertRecord(half, NodeSearch.FindRecord(half, record.Key, out _), record, isLive);
        return new Sibling(between, sibling);
    }

    private void Remove(IndexNode node, ReadOnlySpan<byte> key, Separator low, Separator high)
    {
        if (node.IsLeaf)
        {
            int position = NodeSearch.FindRecord(node, key, out bool isFound);
            Invariant.Check(isFound, "a key is removed that the index does not hold");
            Invariant.Check(node.Records[position].Head.IsTombstone, "a live key is removed from the index");
            NodeEdit.RemoveRecord(node, position);
            return;
        }

        int child = NodeSearch.FindChild(node, key);
        IndexNode owned = Own(node.Children[child]);
        node.Children[child] = owned;
        Remove(owned, key, LowOf(node, child, low), HighOf(node, child, high));
        NodeEdit.SetChild(node, child, owned);
        if (owned.Count < MergeBelow)
        {
            MergeNeighbours(node, child + 1 < node.Count ? child : child - 1, low, high);
        }
    }

    /// <summary>
    /// Merges the child at the position with its right neighbour where both fit into one node. An empty node always fits: none is taken out by itself, since its
    /// neighbours' fences would no longer be true.
    /// </summary>
    private void MergeNeighbours(IndexNode parent, int left, Separator low, Separator high)
    {
        if (left < 0 || left + 1 >= parent.Count || parent.Children[left].Count + parent.Children[left + 1].Count > IndexNode.Capacity)
        {
            return;
        }

        IndexNode target = Own(parent.Children[left]);
        IndexNode source = parent.Children[left + 1];
        Separator between = parent.Separators[left + 1];
        NodeEdit.AppendAll(target, source, between);
        NodeEdit.Rebuild(target, LowOf(parent, left, low), HighOf(parent, left + 1, high));
        NodeEdit.SetChild(parent, left, target);
        NodeEdit.RemoveChild(parent, left + 1);
        if (source.IsLeaf)
        {
            between.Retire(memory);
        }

        source.Retire(memory);
    }

    private static Separator LowOf(IndexNode parent, int child, Separator low) => child == 0 ? low : parent.Separators[child];

    private static Separator HighOf(IndexNode parent, int child, Separator high) => child + 1 == parent.Count ? high : parent.Separators[child + 1];

    /// <summary>What a node had to give up when it split, and the lower bound of its keys.</summary>
    private readonly record struct Sibling(Separator Separator, IndexNode Node);
}
