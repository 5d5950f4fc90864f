using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// The shards of the index, in key order: of each the tree, the lower bound of its keys (the first has none), and how many of them are live. The edit that made it may change
/// it; once that is published it is immutable, as nodes are. Trees and bounds are handles, as good as the store's memory.
/// </summary>
internal sealed class ShardDirectory
{
    private readonly long _edit;
    private readonly Separator[] _lows;
    private readonly IndexNode[] _roots;
    private readonly long[] _live;
    private readonly ulong[] _prefixes;
    private readonly int _skip;

    private ShardDirectory(long edit, Separator[] lows, IndexNode[] roots, long[] live)
    {
        _edit = edit;
        _lows = lows;
        _roots = roots;
        _live = live;
        _skip = lows.Length < 3 ? 0 : lows[1].Bytes.CommonPrefixLength(lows[^1].Bytes);
        _prefixes = new ulong[NodeSearch.RowLength(lows.Length)];
        Array.Fill(_prefixes, ulong.MaxValue);
        _prefixes[0] = 0;
        for (int i = 1; i < lows.Length; i++)
        {
            _prefixes[i] = NodeSearch.PrefixOf(lows[i].Bytes, _skip);
        }
    }

    private ShardDirectory(long edit, ShardDirectory other)
    {
        _edit = edit;
        _lows = other._lows; // Nobody writes to these once they are made.
        _prefixes = other._prefixes;
        _skip = other._skip;
        _roots = [.. other._roots];
        _live = [.. other._live];
    }

    /// <summary>One shard without a key, of no edit.</summary>
    public static ShardDirectory Empty { get; } = new(0, [default], [default], [0]);

    public int Count => _roots.Length;

    /// <summary>Live keys in all of them.</summary>
    public long LiveCount => LiveBefore(Count);

    /// <summary>The tree of a shard; null where it has no key.</summary>
    public IndexNode RootAt(int shard) => _roots[shard];

    /// <summary>The lower bound of a shard's keys; null for none.</summary>
    public Separator LowOf(int shard) => _lows[shard];

    /// <summary>What all of a shard's keys are below; null for nothing.</summary>
    public Separator HighOf(int shard) => shard + 1 < Count ? _lows[shard + 1] : default;

    /// <summary>Live keys in the shards before this one.</summary>
    public long LiveBefore(int shard)
    {
        long live = 0;
        foreach (long count in _live.AsSpan(0, shard))
        {
            live += count;
        }

        return live;
    }

    /// <summary>The shard that the key belongs to.</summary>
    public int Find(ReadOnlySpan<byte> key)
    {
        if (_skip > 0 && !key.StartsWith(_lows[1].Bytes[.._skip]))
        {
            return key.SequenceCompareTo(_lows[1].Bytes) < 0 ? 0 : Count - 1;
        }

        return NodeSearch.FindChild(_prefixes, _lows, Count, _skip, key);
    }

    /// <summary>This directory if the edit may change it, or a copy that it may.</summary>
    public ShardDirectory OwnedBy(long edit) => _edit == edit ? this : new ShardDirectory(edit, this);

    /// <summary>Only for the edit that owns it: a shard's tree has changed.</summary>
    public void Set(int shard, IndexNode root)
    {
        _roots[shard] = root;
        _live[shard] = root.IsNull ? 0 : root.LiveCount;
    }

    /// <summary>With one shard more; the one before it has changed already.</summary>
    public ShardDirectory With(int shard, Separator low, IndexNode root, long edit) => new(
        edit,
        [.. _lows[..shard], low, .. _lows[shard..]],
        [.. _roots[..shard], root, .. _roots[shard..]],
        [.. _live[..shard], root.LiveCount, .. _live[shard..]]);

    /// <summary>Without one that has no key; where that is the first, the next one has no lower bound any more.</summary>
    public ShardDirectory Without(int shard, long edit)
    {
        Separator[] lows = [.. _lows[..shard], .. _lows[(shard + 1)..]];
        lows[0] = default;
        return new ShardDirectory(edit, lows, [.. _roots[..shard], .. _roots[(shard + 1)..]], [.. _live[..shard], .. _live[(shard + 1)..]]);
    }
}
