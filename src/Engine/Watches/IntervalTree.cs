namespace MetaStore.Engine.Watches;

/// <summary>
/// Ranges of keys with what belongs to each, and the answer to "which of them hold this key?" in O(log n) for each that does. A treap, ordered by start and
/// then end, in which each node knows the furthest end below it. Not thread safe.
/// </summary>
/// <typeparam name="T">What belongs to a range; compared by reference.</typeparam>
internal sealed class IntervalTree<T>
    where T : class, IPlaced
{
    private Node? _root;
    private ulong _draws;

    /// <summary>Ranges, equal ones counted once.</summary>
    public int Count { get; private set; }

    /// <param name="start">The first key.</param>
    /// <param name="end">The first key not included; null: there is no end.</param>
    /// <param name="item">What belongs to it.</param>
    public void Add(byte[] start, byte[]? end, T item) => _root = Add(_root, start, end, item);

    /// <summary>Removes what was added with the same range.</summary>
    public void Remove(byte[] start, byte[]? end, T item) => _root = Remove(_root, start, end, item);

    /// <summary>Adds to <paramref name="found"/> what belongs to the ranges that hold the key.</summary>
    public void Find(ReadOnlySpan<byte> key, List<T> found) => Find(_root, key, found);

    private static void Find(Node? node, ReadOnlySpan<byte> key, List<T> found)
    {
        while (node is not null && IsBefore(key, node.Furthest))
        {
            Find(node.Left, key, found);
            if (key.SequenceCompareTo(node.Start) < 0)
            {
                return; // All to the right begin later still.
            }

            if (IsBefore(key, node.End))
            {
                node.Items.AddTo(found);
            }

            node = node.Right;
        }
    }

    private static bool IsBefore(ReadOnlySpan<byte> key, byte[]? end) => end is null || key.SequenceCompareTo(end) < 0;

    private static int Compare(byte[] start, byte[]? end, Node node)
    {
        int order = start.AsSpan().SequenceCompareTo(node.Start);
        return order != 0 ? order : CompareEnds(end, node.End);
    }

    private static int CompareEnds(byte[]? a, byte[]? b) => (a, b) switch
    {
        (null, null) => 0,
        (null, _) => 1,
        (_, null) => -1,
        _ => a.AsSpan().SequenceCompareTo(b),
    };

    private Node Add(Node? node, byte[] start, byte[]? end, T item)
    {
        if (node is null)
        {
            Count++;
            var added = new Node(start, end, Draw());
            added.Items.Add(item);
            return added;
        }

        int order = Compare(start, end, node);
        if (order == 0)
        {
            node.Items.Add(item);
            return node;
        }

        if (order < 0)
        {
            node.Left = Add(node.Left, start, end, item);
            node = node.Left.Priority > node.Priority ? node.RotateRight() : node;
        }
        else
        {
            node.Right = Add(node.Right, start, end, item);
            node = node.Right.Priority > node.Priority ? node.RotateLeft() : node;
        }

        node.Update();
        return node;
    }

    private Node? Remove(Node? node, byte[] start, byte[]? end, T item)
    {
        Invariant.Check(node is not null, "what is removed from the tree was never added");
        int order = Compare(start, end, node);
        if (order == 0)
        {
            node.Items.Remove(item);
            if (node.Items.Count > 0)
            {
                return node;
            }

            Count--;
            return Join(node.Left, node.Right);
        }

        if (order < 0)
        {
            node.Left = Remove(node.Left, start, end, item);
        }
        else
        {
            node.Right = Remove(node.Right, start, end, item);
        }

        node.Update();
        return node;
    }

    /// <summary>One tree of two, of which all of the first comes before all of the second.</summary>
    private static Node? Join(Node? left, Node? right)
    {
        if (left is null || right is null)
        {
            return left ?? right;
        }

        if (left.Priority > right.Priority)
        {
            left.Right = Join(left.Right, right);
            left.Update();
            return left;
        }

        right.Left = Join(left, right.Left);
        right.Update();
        return right;
    }

    /// <summary>A hash of a counter: the shape of the tree follows from what was done, and from no order of the keys.</summary>
    private ulong Draw()
    {
        ulong z = ++_draws * 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        return z ^ (z >> 27);
    }

    private sealed class Node(byte[] start, byte[]? end, ulong priority)
    {
        public byte[] Start { get; } = start;

        public byte[]? End { get; } = end;

        public PlacedList<T> Items { get; } = new();

        public ulong Priority { get; } = priority;

        public Node? Left { get; set; }

        public Node? Right { get; set; }

        /// <summary>The last of the ends of this node and all below it; null: one has no end.</summary>
        public byte[]? Furthest { get; private set; } = end;

        public void Update()
        {
            Furthest = Later(End, Later(Left is null ? End : Left.Furthest, Right is null ? End : Right.Furthest));
        }

        public Node RotateRight()
        {
            Node top = Left!;
            (Left, top.Right) = (top.Right, this);
            Update();
            return top;
        }

        public Node RotateLeft()
        {
            Node top = Right!;
            (Right, top.Left) = (top.Left, this);
            Update();
            return top;
        }

        private static byte[]? Later(byte[]? a, byte[]? b) => CompareEnds(a, b) >= 0 ? a : b;
    }
}
