using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// Changes to one tree of the index, within one edit. Nodes of the edit are changed in place; others are copied on first touch, and retired. The tree's keys lie between two
/// fences, which it is told; null stands for none.
/// </summary>
internal readonly struct TreeEdit(StoreMemory memory, long edit, int levelsMax)
{
    private const int MergeBelow = IndexNode.Capacity / 4;

    /// <summary>Adds a key that is not in the tree. Where the tree would grow too high it splits, and this is the half that has to stand on its own from here on; else null.</summary>
    public TreeSibling Insert(ref IndexNode root, KeyRecord record, Separator low, Separator high)
    {
        bool isLive = !record.Head.IsTombstone;
        if (root.IsNull)
        {
            root = IndexNode.CreateLeaf(memory, edit);
            NodeEdit.Rebuild(root, low, high);
            NodeEdit.InsertRecord(root, 0, record, isLive);
            return default;
        }

        root = Own(root);
        TreeSibling right = Insert(root, record, isLive, low, high);
        if (right.Node.IsNull || LevelsOf(root) == levelsMax)
        {
            return right;
        }

        IndexNode above = IndexNode.CreateInner(memory, edit);
        NodeEdit.SetFirstChild(above, root);
        NodeEdit.InsertChild(above, 1, right.Separator, right.Node);
        NodeEdit.Rebuild(above, low, high);
        root = above;
        return default;
    }

    /// <summary>A key of the tree was deleted (-1) or came back (+1): its head was just moved.</summary>
    public void AddLive(ref IndexNode root, ReadOnlySpan<byte> key, int change)
    {
        Invariant.Check(!root.IsNull, "a live count changes in an empty index");
        IndexNode node = root = Own(root);
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
    public void Remove(ref IndexNode root, ReadOnlySpan<byte> key, Separator low, Separator high)
    {
        Invariant.Check(!root.IsNull, "a key is removed from an empty index");
        root = Own(root);
        Remove(root, key, low, high);
        while (!root.IsLeaf && root.Count == 1)
        {
            IndexNode only = root.Children[0];
            root.Retire(memory);
            root = only;
        }

        if (root.IsLeaf && root.Count == 0)
        {
            root.Retire(memory);
            root = default;
        }
    }

    /// <summary>A fence of the tree has moved outward: the nodes along that edge learn of it.</summary>
    public void MoveFence(ref IndexNode root, Separator low, Separator high, bool isHigh)
    {
        if (root.IsNull)
        {
            return;
        }

        root = Own(root);
        IndexNode node = root;
        NodeEdit.Rebuild(node, low, high);
        while (!node.IsLeaf)
        {
            int child = isHigh ? node.Count - 1 : 0;
            IndexNode owned = Own(node.Children[child]);
            low = LowOf(node, child, low);
            high = HighOf(node, child, high);
            NodeEdit.Rebuild(owned, low, high);
            NodeEdit.SetChild(node, child, owned);
            node = owned;
        }
    }

    private static int LevelsOf(IndexNode node)
    {
        int levels = 1;
        for (; !node.IsLeaf; node = node.Children[0])
        {
            levels++;
        }

        return levels;
    }

    private IndexNode Own(IndexNode node)
    {
        if (node.Edit == edit)
        {
            return node;
        }

        IndexNode copy = node.CloneFor(memory, edit);
        node.Retire(memory);
        return copy;
    }

    /// <summary>Inserts below an owned node, whose keys lie between the fences; returns the new right sibling where the node had to split.</summary>
    private TreeSibling Insert(IndexNode node, KeyRecord record, bool isLive, Separator low, Separator high)
    {
        if (node.IsLeaf)
        {
            return InsertIntoLeaf(node, record, isLive, low, high);
        }

        int child = NodeSearch.FindChild(node, record.Key);
        IndexNode owned = Own(node.Children[child]);
        node.LiveCount += isLive ? 1 : 0;
        TreeSibling right = Insert(owned, record, isLive, LowOf(node, child, low), HighOf(node, child, high));
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

    private TreeSibling SplitInner(IndexNode node, int position, TreeSibling child, Separator low, Separator high)
    {
        IndexNode sibling = IndexNode.CreateInner(memory, edit);
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
        return new TreeSibling(between, sibling);
    }

    private TreeSibling InsertIntoLeaf(IndexNode leaf, KeyRecord record, bool isLive, Separator low, Separator high)
    {
        int position = NodeSearch.FindRecord(leaf, record.Key, out bool isFound);
        Invariant.Check(!isFound, "a key is inserted that the index already holds");
        if (leaf.Count < IndexNode.Capacity)
        {
            NodeEdit.InsertRecord(leaf, position, record, isLive);
            return default;
        }

        IndexNode sibling = IndexNode.CreateLeaf(memory, edit);
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
        return new TreeSibling(between, sibling);
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
}

/// <summary>What a node had to give up when it split, and the lower bound of its keys; null for nothing.</summary>
internal readonly record struct TreeSibling(Separator Separator, IndexNode Node);
