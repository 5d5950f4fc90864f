using System.Numerics;
using System.Runtime.CompilerServices;

namespace MetaStore.Engine.Memory;

/// <summary>
/// A node of the copy-on-write B+tree, in native memory. It belongs to the edit that made it, and only that edit may change it; once the edit is published the node is
/// immutable, so a reader that holds a root holds the whole tree of that moment. A handle, as good as its memory: only inside a <see cref="ReadSection"/>,
/// or on the writer's loop.
/// <code>
///   offset  length
///   0       4       count of records or children, at most 64
///   4       1       1: leaf
///   5       1       1: fenced, that is, whoever gets here by way of its parents brings a key that shares the bytes that are skipped
///   6       2       skip: how many bytes all keys below share
///   8       8       leaf: a bit for each record whose key is live; inner: live keys below
///   16      8       the edit that made it
///   24      8       zero
///   32      64 * 8  prefixes: of each key or separator the 8 bytes behind the skipped ones, as a number that sorts as they do; all ones behind the last
///   544     64 * 8  records, or children
///   1056    64 * 8  inner: separators; the first child has none, and prefix 0
///   1568    64 * 8  inner: live keys below each child
/// </code>
/// </summary>
internal readonly unsafe struct IndexNode(nint address) : IEquatable<IndexNode>
{
    /// <summary>Records or children in a node at most: a bit of a word for each.</summary>
    public const int Capacity = 64;

    /// <summary>The longest skip that the node can say.</summary>
    public const int SkipMax = ushort.MaxValue;

    private const int ColumnBytes = Capacity * sizeof(long);
    private const int PrefixOffset = 32;
    private const int EntryOffset = PrefixOffset + ColumnBytes;
    private const int SeparatorOffset = EntryOffset + ColumnBytes;
    private const int CountOffset = SeparatorOffset + ColumnBytes;
    private const int LeafBytes = SeparatorOffset;
    private const int InnerBytes = CountOffset + ColumnBytes;

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    public int Count
    {
        get => *(int*)At;
        set => *(int*)At = value;
    }

    public bool IsLeaf => *(byte*)(At + 4) != 0;

    public bool IsFenced
    {
        get => *(byte*)(At + 5) != 0;
        set => *(byte*)(At + 5) = value ? (byte)1 : (byte)0;
    }

    public int Skip
    {
        get => *(ushort*)(At + 6);
        set => *(ushort*)(At + 6) = checked((ushort)value);
    }

    /// <summary>Of a leaf: a bit for each record, in order, set where the key is live at the revision that the node's edit published.</summary>
    public ulong LiveBits
    {
        get => *(ulong*)(At + 8);
        set => *(ulong*)(At + 8) = value;
    }

    public long Edit => *(long*)(At + 16);

    /// <summary>Keys below that are live at the revision that the node's edit published.</summary>
    public long LiveCount
    {
        get => IsLeaf ? BitOperations.PopCount(LiveBits) : *(long*)(At + 8);
        set => *(long*)(At + 8) = value;
    }

    public Span<ulong> Prefixes => new((void*)(At + PrefixOffset), Capacity);

    public Span<KeyRecord> Records => new((void*)(At + EntryOffset), Capacity);

    public Span<IndexNode> Children => new((void*)(At + EntryOffset), Capacity);

    public Span<Separator> Separators => new((void*)(At + SeparatorOffset), Capacity);

    public Span<long> LiveCounts => new((void*)(At + CountOffset), Capacity);

    private nint At
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (MemoryChecks.Enabled)
            {
                BlockGuard.Check(Address);
            }

            return Address;
        }
    }

    private int Bytes => IsLeaf ? LeafBytes : InnerBytes;

    public static IndexNode CreateLeaf(StoreMemory memory, long edit) => Create(memory, LeafBytes, isLeaf: true, edit);

    public static IndexNode CreateInner(StoreMemory memory, long edit) => Create(memory, InnerBytes, isLeaf: false, edit);

    /// <summary>A copy that the edit may change.</summary>
    public IndexNode CloneFor(StoreMemory memory, long edit)
    {
        int bytes = Bytes;
        nint copy = memory.Allocate(bytes);
        Unsafe.CopyBlock((void*)copy, (void*)At, (uint)bytes);
        *(long*)(copy + 16) = edit;
        return new IndexNode(copy);
    }

    /// <summary>Has the head of the node and its prefixes fetched.</summary>
    public void FetchPrefixes()
    {
        if (!IsNull)
        {
            CacheLines.Fetch(Address, EntryOffset);
        }
    }

    /// <summary>Has the address of a record fetched.</summary>
    public void FetchEntry(int position) => CacheLines.Fetch(Address + EntryOffset + (position * sizeof(long)));

    /// <summary>The node alone: what it points to has other owners.</summary>
    public void Retire(StoreMemory memory) => memory.Retire(Address, Bytes);

    public bool Equals(IndexNode other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is IndexNode other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();

    private static IndexNode Create(StoreMemory memory, int bytes, bool isLeaf, long edit)
    {
        nint address = memory.Allocate(bytes);
        Unsafe.InitBlock((void*)address, 0, (uint)bytes);
        *(byte*)(address + 4) = isLeaf ? (byte)1 : (byte)0;
        *(long*)(address + 16) = edit;
        var node = new IndexNode(address);
        node.Prefixes.Fill(ulong.MaxValue);
        return node;
    }
}
