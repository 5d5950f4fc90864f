using System.Buffers.Binary;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Index;

/// <summary>
/// A node of the copy-on-write B+tree. A node belongs to the edit that made it, and only that edit may change it; once the edit
/// is published the node is immutable, so a reader that holds a root holds the whole tree of that moment.
/// Invariant: <see cref="LiveCount"/> is the number of keys below that are not deleted at the revision the node's edit published.
/// </summary>
internal abstract class IndexNode(object edit)
{
    /// <summary>Keys or children in a node at most.</summary>
    public const int Capacity = 32;

    public object Edit { get; } = edit;

    public int Count { get; set; }

    public long LiveCount { get; set; }

    /// <summary>The smallest key below.</summary>
    public abstract byte[] FirstKey { get; }

    public abstract IndexNode CloneFor(object edit);

    /// <summary>The first eight bytes of a key, zero-padded, as a number that sorts as the key does; ties need the whole key.</summary>
    public static ulong PrefixOf(ReadOnlySpan<byte> key)
    {
        if (key.Length >= sizeof(ulong))
        {
            return BinaryPrimitives.ReadUInt64BigEndian(key);
        }

        Span<byte> padded = stackalloc byte[sizeof(ulong)];
        padded.Clear();
        key.CopyTo(padded);
        return BinaryPrimitives.ReadUInt64BigEndian(padded);
    }

    /// <summary>Orders (prefix, key) pairs; the prefixes settle most comparisons without touching the keys' memory.</summary>
    public static int Compare(ulong leftPrefix, ReadOnlySpan<byte> left, ulong rightPrefix, ReadOnlySpan<byte> right) =>
        leftPrefix != rightPrefix ? leftPrefix.CompareTo(rightPrefix) : left.SequenceCompareTo(right);
}

/// <summary>A leaf: key records in order.</summary>
internal sealed class LeafNode(object edit) : IndexNode(edit)
{
    public ulong[] Prefixes { get; } = new ulong[Capacity];

    public KeyRecord[] Records { get; } = new KeyRecord[Capacity];

    public override byte[] FirstKey => Records[0].Key;

    public override IndexNode CloneFor(object edit)
    {
        var copy = new LeafNode(edit) { Count = Count, LiveCount = LiveCount };
        Array.Copy(Prefixes, copy.Prefixes, Count);
        Array.Copy(Records, copy.Records, Count);
        return copy;
    }

    /// <summary>Position of the key, or the complement of where it belongs.</summary>
    public int Find(ulong prefix, ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = Compare(Prefixes[middle], Records[middle].Key, prefix, key);
            if (order == 0)
            {
                return middle;
            }

            if (order < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return ~low;
    }

    public void InsertAt(int position, KeyRecord record)
    {
        Array.Copy(Prefixes, position, Prefixes, position + 1, Count - position);
        Array.Copy(Records, position, Records, position + 1, Count - position);
        Prefixes[position] = PrefixOf(record.Key);
        Records[position] = record;
        Count++;
    }

    public void RemoveAt(int position)
    {
        Count--;
        Array.Copy(Prefixes, position + 1, Prefixes, position, Count - position);
        Array.Copy(Records, position + 1, Records, position, Count - position);
        Records[Count] = null!;
    }

    /// <summary>Moves the records from <paramref name="from"/> on to the end of <paramref name="target"/>.</summary>
    public void MoveTo(LeafNode target, int from)
    {
        int moved = Count - from;
        Array.Copy(Prefixes, from, target.Prefixes, target.Count, moved);
        Array.Copy(Records, from, target.Records, target.Count, moved);
        Array.Clear(Records, from, moved);
        target.Count += moved;
        Count = from;
    }

    /// <summary>Recounts the live keys; after a split or merge, when heads are those of the current edit.</summary>
    public void Recount()
    {
        long live = 0;
        for (int i = 0; i < Count; i++)
        {
            live += Records[i].Head.IsTombstone ? 0 : 1;
        }

        LiveCount = live;
    }
}

/// <summary>An inner node: children in order, each with the smallest key that may lie below it.</summary>
internal sealed class InnerNode(object edit) : IndexNode(edit)
{
    public ulong[] Prefixes { get; } = new ulong[Capacity];

    public byte[][] Keys { get; } = new byte[Capacity][];

    public IndexNode[] Children { get; } = new IndexNode[Capacity];

    public override byte[] FirstKey => Keys[0];

    public override IndexNode CloneFor(object edit)
    {
        var copy = new InnerNode(edit) { Count = Count, LiveCount = LiveCount };
        Array.Copy(Prefixes, copy.Prefixes, Count);
        Array.Copy(Keys, copy.Keys, Count);
        Array.Copy(Children, copy.Children, Count);
        return copy;
    }

    /// <summary>The child that holds, or would hold, the key: the last one whose smallest key is not behind it, or the first.</summary>
    public int ChildFor(ulong prefix, ReadOnlySpan<byte> key)
    {
        int low = 1;
        int high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (Compare(Prefixes[middle], Keys[middle], prefix, key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low - 1;
    }

    public void InsertAt(int position, IndexNode child)
    {
        Array.Copy(Prefixes, position, Prefixes, position + 1, Count - position);
        Array.Copy(Keys, position, Keys, position + 1, Count - position);
        Array.Copy(Children, position, Children, position + 1, Count - position);
        Count++;
        SetAt(position, child);
    }

    public void SetAt(int position, IndexNode child)
    {
        Keys[position] = child.FirstKey;
        Prefixes[position] = PrefixOf(child.FirstKey);
        Children[position] = child;
    }

    public void RemoveAt(int position)
    {
        Count--;
        Array.Copy(Prefixes, position + 1, Prefixes, position, Count - position);
        Array.Copy(Keys, position + 1, Keys, position, Count - position);
        Array.Copy(Children, position + 1, Children, position, Count - position);
        Keys[Count] = null!;
        Children[Count] = null!;
    }

    public void MoveTo(InnerNode target, int from)
    {
        int moved = Count - from;
        Array.Copy(Prefixes, from, target.Prefixes, target.Count, moved);
        Array.Copy(Keys, from, target.Keys, target.Count, moved);
        Array.Copy(Children, from, target.Children, target.Count, moved);
        Array.Clear(Keys, from, moved);
        Array.Clear(Children, from, moved);
        target.Count += moved;
        Count = from;
    }

    public void Recount()
    {
        long live = 0;
        for (int i = 0; i < Count; i++)
        {
            live += Children[i].LiveCount;
        }

        LiveCount = live;
    }
}
