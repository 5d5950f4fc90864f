using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Index;

/// <summary>
/// The writer's side of the index: one owner (the apply loop). Changes go to nodes of the running edit, which are copied from
/// published ones on first touch; <see cref="Publish"/> freezes them and returns the new root. A put on a live key does not come
/// here at all.
/// </summary>
internal sealed class KeyIndexBuilder
{
    private const int MergeBelow = IndexNode.Capacity / 4;

    private IndexNode? _root;
    private object _edit = new();

    public KeyRecord? Find(ReadOnlySpan<byte> key) => new KeyIndex(_root).Find(key);

    /// <summary>The index with everything the running edit has done; for the writer's own reads, before publication.</summary>
    public KeyIndex Unpublished => new(_root);

    public KeyIndex Publish()
    {
        _edit = new object();
        return new KeyIndex(_root);
    }

    /// <summary>Adds a key that is not in the index. It counts as live unless its head is a tombstone (as one restored from a snapshot may be).</summary>
    public void Insert(KeyRecord record)
    {
        if (_root is null)
        {
            var leaf = new LeafNode(_edit);
            leaf.InsertAt(0, record);
            leaf.Recount();
            _root = leaf;
            return;
        }

        _root = Own(_root);
        IndexNode? right = Insert(_root, IndexNode.PrefixOf(record.Key), record);
        if (right is not null)
        {
            var root = new InnerNode(_edit);
            root.InsertAt(0, _root);
            root.InsertAt(1, right);
            root.Recount();
            _root = root;
        }
    }

    /// <summary>A key of the index was deleted (-1) or came back (+1): its head was just moved.</summary>
    public void AddLive(ReadOnlySpan<byte> key, int change)
    {
        Invariant.Check(_root is not null, "a live count changes in an empty index");
        ulong prefix = IndexNode.PrefixOf(key);
        IndexNode node = _root = Own(_root);
        node.LiveCount += change;
        while (node is InnerNode inner)
        {
            int child = inner.ChildFor(prefix, key);
            node = inner.Children[child] = Own(inner.Children[child]);
            node.LiveCount += change;
        }
    }

    /// <summary>Removes a key whose head is a tombstone that no readable revision sees.</summary>
    public void Remove(ReadOnlySpan<byte> key)
    {
        Invariant.Check(_root is not null, "a key is removed from an empty index");
        _root = Own(_root);
        Remove(_root, IndexNode.PrefixOf(key), key);
        while (_root is InnerNode { Count: 1 } inner)
        {
            _root = inner.Children[0];
        }

        if (_root.Count == 0)
        {
            _root = null;
        }
    }

    private IndexNode Own(IndexNode node) => ReferenceEquals(node.Edit, _edit) ? node : node.CloneFor(_edit);

    /// <summary>Inserts below an owned node; returns the new right sibling where the node had to split.</summary>
    private IndexNode? Insert(IndexNode node, ulong prefix, KeyRecord record)
    {
        node.LiveCount += record.Head.IsTombstone ? 0 : 1;
        if (node is LeafNode leaf)
        {
            return InsertIntoLeaf(leaf, prefix, record);
        }

        var inner = (InnerNode)node;
        int child = inner.ChildFor(prefix, record.Key);
        IndexNode owned = Own(inner.Children[child]);
        IndexNode? right = Insert(owned, prefix, record);
        inner.SetAt(child, owned);
        if (right is null)
        {
            return null;
        }

        if (inner.Count < IndexNode.Capacity)
        {
            inner.InsertAt(child + 1, right);
            return null;
        }

        var sibling = new InnerNode(_edit);
        inner.MoveTo(sibling, SplitPoint(child + 1));
        if (child + 1 <= inner.Count)
        {
            inner.InsertAt(child + 1, right);
        }
        else
        {
            sibling.InsertAt(child + 1 - inner.Count, right);
        }

        inner.Recount();
        sibling.Recount();
        return sibling;
    }

    private LeafNode? InsertIntoLeaf(LeafNode leaf, ulong prefix, KeyRecord record)
    {
        int position = leaf.Find(prefix, record.Key);
        Invariant.Check(position < 0, "a key is inserted that the index already holds");
        position = ~position;
        if (leaf.Count < IndexNode.Capacity)
        {
            leaf.InsertAt(position, record);
            return null;
        }

        var sibling = new LeafNode(_edit);
        leaf.MoveTo(sibling, SplitPoint(position));
        if (position <= leaf.Count)
        {
            leaf.InsertAt(position, record);
        }
        else
        {
            sibling.InsertAt(position - leaf.Count, record);
        }

        leaf.Recount();
        sibling.Recount();
        return sibling;
    }

    /// <summary>Keys that arrive in order (a load, a restore) leave full nodes behind instead of half-full ones.</summary>
    private static int SplitPoint(int insertPosition) =>
        insertPosition == IndexNode.Capacity ? IndexNode.Capacity - 1 : IndexNode.Capacity / 2;

    private void Remove(IndexNode node, ulong prefix, ReadOnlySpan<byte> key)
    {
        if (node is LeafNode leaf)
        {
            int position = leaf.Find(prefix, key);
            Invariant.Check(position >= 0, "a key is removed that the index does not hold");
            Invariant.Check(leaf.Records[position].Head.IsTombstone, "a live key is removed from the index");
            leaf.RemoveAt(position);
            return;
        }

        var inner = (InnerNode)node;
        int child = inner.ChildFor(prefix, key);
        IndexNode owned = Own(inner.Children[child]);
        Remove(owned, prefix, key);
        if (owned.Count == 0)
        {
            inner.RemoveAt(child);
            return;
        }

        inner.SetAt(child, owned);
        if (owned.Count < MergeBelow)
        {
            MergeNeighbours(inner, child + 1 < inner.Count ? child : child - 1);
        }
    }

    /// <summary>Merges the child at the position with its right neighbour where both fit into one node.</summary>
    private void MergeNeighbours(InnerNode parent, int left)
    {
        if (left < 0 || left + 1 >= parent.Count || parent.Children[left].Count + parent.Children[left + 1].Count > IndexNode.Capacity)
        {
            return;
        }

        IndexNode target = Own(parent.Children[left]);
        IndexNode source = Own(parent.Children[left + 1]);
        if (target is LeafNode leaf)
        {
            ((LeafNode)source).MoveTo(leaf, 0);
        }
        else
        {
            ((InnerNode)source).MoveTo((InnerNode)target, 0);
        }

        target.LiveCount += source.LiveCount;
        parent.SetAt(left, target);
        parent.RemoveAt(left + 1);
    }
}
