using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// Finds a key's place in a node. All keys below a node share its first bytes, which are skipped; of what follows, eight bytes lie in the node as a number, so that most
/// searches end in a row of 64 numbers and touch the memory of one key.
/// </summary>
internal static class NodeSearch
{
    /// <summary>The eight bytes of a key behind those that are skipped, zero-padded, as a number that sorts as they do; ties need the whole key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong PrefixOf(ReadOnlySpan<byte> key, int skip)
    {
        if (key.Length - skip >= sizeof(ulong))
        {
            return BinaryPrimitives.ReadUInt64BigEndian(key[skip..]);
        }

        ulong prefix = 0;
        for (int i = skip; i < key.Length; i++)
        {
            prefix |= (ulong)key[i] << (56 - (8 * (i - skip)));
        }

        return prefix;
    }

    /// <summary>Where the key stands in a leaf, or would stand.</summary>
    public static int FindRecord(IndexNode leaf, ReadOnlySpan<byte> key, out bool isFound)
    {
        isFound = false;
        int count = leaf.Count;
        int skip = leaf.Skip;
        if (!leaf.IsFenced && SideOf(leaf, key) is var side and not 0)
        {
            return side < 0 ? 0 : count;
        }

        ReadOnlySpan<ulong> prefixes = leaf.Prefixes;
        ulong prefix = PrefixOf(key, skip);
        int low = CountBelow(prefixes, count, prefix);
        if (low == count || prefixes[low] != prefix)
        {
            return low;
        }

        // Mostly one record has these eight bytes.
        ReadOnlySpan<byte> rest = key[skip..];
        ReadOnlySpan<KeyRecord> records = leaf.Records;
        int high = low + 1 < count && prefixes[low + 1] == prefix ? EndOfTies(prefixes, low, count, prefix) : low + 1;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            int order = records[middle].Key[skip..].SequenceCompareTo(rest);
            if (order == 0)
            {
                isFound = true;
                return middle;
            }

            if (order < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>Where the key stands in a leaf, by its prefix alone, without a look at the memory of any key: mostly right.</summary>
    public static int GuessRecord(IndexNode leaf, ReadOnlySpan<byte> key)
    {
        int skip = leaf.Skip;
        int count = leaf.Count;
        return skip > key.Length ? 0 : Math.Min(CountBelow(leaf.Prefixes, count, PrefixOf(key, skip)), Math.Max(0, count - 1));
    }

    /// <summary>The child that the key belongs to: the last one whose separator is not above it.</summary>
    public static int FindChild(IndexNode inner, ReadOnlySpan<byte> key)
    {
        int count = inner.Count;
        int skip = inner.Skip;
        if (!inner.IsFenced && SideOf(inner, key) is var side and not 0)
        {
            return side < 0 ? 0 : count - 1;
        }

        return FindChild(inner.Prefixes, inner.Separators, count, skip, key);
    }

    /// <summary>As the other, of a row of separators: which is the last one that is not above the key. The first stands for no bound at all.</summary>
    public static int FindChild(ReadOnlySpan<ulong> prefixes, ReadOnlySpan<Separator> separators, int count, int skip, ReadOnlySpan<byte> key)
    {
        ulong prefix = PrefixOf(key, skip);
        int low = Math.Max(1, CountBelow(prefixes, count, prefix));
        if (low >= count || prefixes[low] != prefix)
        {
            return low - 1;
        }

        ReadOnlySpan<byte> rest = key[skip..];
        int high = low + 1 < count && prefixes[low + 1] == prefix ? EndOfTies(prefixes, low, count, prefix) : low + 1;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (separators[middle].Bytes[skip..].SequenceCompareTo(rest) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }

    /// <summary>How long a row of prefixes must be for so many: whole vectors are read, and behind the last one all bits are set.</summary>
    public static int RowLength(int count) => (count + Vector256<ulong>.Count - 1) / Vector256<ulong>.Count * Vector256<ulong>.Count;

    /// <summary>Whether the key shares the bytes that a node without fences skips: 0 if so, else on which side of all its keys it lies.</summary>
    public static int SideOf(IndexNode node, ReadOnlySpan<byte> key)
    {
        int skip = node.Skip;
        if (skip == 0)
        {
            return 0;
        }

        ReadOnlySpan<byte> shared = (node.IsLeaf ? node.Records[0].Key : node.Separators[1].Bytes)[..skip];
        return key.StartsWith(shared) ? 0 : key.SequenceCompareTo(shared);
    }

    /// <summary>How many of the first <paramref name="count"/> numbers, which ascend, are less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CountBelow(ReadOnlySpan<ulong> prefixes, int count, ulong prefix)
    {
        // Behind the last one all bits are set: a row of four may go beyond the count.
        ref ulong first = ref MemoryMarshal.GetReference(prefixes);
        Vector256<ulong> sought = Vector256.Create(prefix);
        Vector256<ulong> below = Vector256<ulong>.Zero;
        for (nuint i = 0; i < (nuint)count; i += (nuint)Vector256<ulong>.Count)
        {
            below -= Vector256.LessThan(Vector256.LoadUnsafe(ref first, i), sought);
        }

        return (int)Vector256.Sum(below);
    }

    private static int EndOfTies(ReadOnlySpan<ulong> prefixes, int low, int count, ulong prefix)
    {
        int high = count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (prefixes[middle] <= prefix)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
