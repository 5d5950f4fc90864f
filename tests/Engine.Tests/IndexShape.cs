using System.Numerics;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>Walks everything that a store's published view leads to: the shape of the index, and that each block of memory in use is reachable, once.</summary>
internal sealed class IndexShape
{
    private readonly HashSet<nint> _blocks = [];
    private readonly StoreView _view;
    private byte[] _last = [];
    private int _depth = -1;

    private IndexShape(StoreView view) => _view = view;

    /// <summary>Of a store whose changes are all published, and that nobody else reads.</summary>
    public static void Check(MvccStore store)
    {
        while (store.Memory.Reclaim())
        {
        }

        Assert.Equal(0, store.Memory.Retired);
        var shape = new IndexShape(store.View);
        ShardDirectory shards = store.View.Index.Shards;
        for (int i = 0; i < shards.Count; i++)
        {
            Assert.True(i == 0 ? shards.LowOf(0).IsNull : shape._blocks.Add(shards.LowOf(i).Address));
            Assert.True(shards.Count == 1 || !shards.RootAt(i).IsNull);
            Assert.Equal(shards.LiveBefore(i + 1) - shards.LiveBefore(i), shards.RootAt(i).IsNull ? 0 : shape.WalkTree(shards.RootAt(i), shards.LowOf(i), shards.HighOf(i)));
        }

        // What is not reachable by the index is the log of events: two blocks for each segment.
        long others = store.Memory.LiveBlocks - shape._blocks.Count;
        Assert.Equal(2 * store.Events.Segments, others);
        GC.KeepAlive(store);
    }

    private long WalkTree(IndexNode root, Separator low, Separator high)
    {
        _depth = -1;
        return Walk(root, low, high, 0);
    }

    private long Walk(IndexNode node, Separator low, Separator high, int depth)
    {
        Assert.True(_blocks.Add(node.Address));
        Assert.InRange(node.Count, depth == 0 ? 1 : 0, IndexNode.Capacity);
        Assert.Equal(!low.IsNull && !high.IsNull, node.IsFenced);
        for (int i = node.Count; i < IndexNode.Capacity; i++)
        {
            Assert.Equal(ulong.MaxValue, node.Prefixes[i]);
        }

        long live = node.IsLeaf ? WalkLeaf(node, low, high, depth) : WalkInner(node, low, high, depth);
        Assert.Equal(live, node.LiveCount);
        return live;
    }

    private long WalkLeaf(IndexNode leaf, Separator low, Separator high, int depth)
    {
        _depth = _depth < 0 ? depth : _depth;
        Assert.Equal(_depth, depth);
        for (int i = 0; i < leaf.Count; i++)
        {
            KeyRecord record = leaf.Records[i];
            Assert.True(_blocks.Add(record.Address));
            Assert.True(_last.AsSpan().SequenceCompareTo(record.Key) < 0, "keys ascend");
            Assert.True(low.IsNull || low.Bytes.SequenceCompareTo(record.Key) <= 0, "a key is not below its low fence");
            Assert.True(high.IsNull || high.Bytes.SequenceCompareTo(record.Key) > 0, "a key is below its high fence");
            Assert.Equal(record.Key[..leaf.Skip], leaf.Records[0].Key[..leaf.Skip]);
            Assert.Equal(NodeSearch.PrefixOf(record.Key, leaf.Skip), leaf.Prefixes[i]);
            Assert.Equal(!record.ReadAt(_view.Revision).IsNull, ((leaf.LiveBits >> i) & 1) != 0);
            for (VersionRecord version = record.Head; !version.IsNull; version = version.Previous)
            {
                Assert.True(_blocks.Add(version.Address));
            }

            _last = record.Key.ToArray();
        }

        return BitOperations.PopCount(leaf.LiveBits);
    }

    private long WalkInner(IndexNode inner, Separator low, Separator high, int depth)
    {
        long live = 0;
        Assert.True(inner.Separators[0].IsNull);
        for (int i = 0; i < inner.Count; i++)
        {
            Separator below = i == 0 ? low : inner.Separators[i];
            Separator above = i + 1 == inner.Count ? high : inner.Separators[i + 1];
            if (i > 0)
            {
                Assert.True(_blocks.Add(below.Address));
                Assert.Equal(below.Bytes[..inner.Skip], inner.Separators[1].Bytes[..inner.Skip]);
                Assert.Equal(NodeSearch.PrefixOf(below.Bytes, inner.Skip), inner.Prefixes[i]);
            }

            long count = Walk(inner.Children[i], below, above, depth + 1);
            Assert.Equal(count, inner.LiveCounts[i]);
            live += count;
        }

        return live;
    }
}
