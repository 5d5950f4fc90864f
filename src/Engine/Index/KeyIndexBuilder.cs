using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Index;

/// <summary>
/// The writer's side of the index: one owner (the apply loop). Changes go to shards, and to nodes of the running edit, which are copied from published ones on first touch;
/// <see cref="Publish"/> freezes them. A put on a live key does not come here at all. A shard whose tree would grow too high splits in two; one that is empty
/// leaves its range to a neighbour.
/// </summary>
internal sealed class KeyIndexBuilder(StoreMemory memory, int levelsMax = KeyIndexBuilder.LevelsMax)
{
    /// <summary>Leaf, inner, inner: 262,144 keys at most. A shard that grows beyond becomes two.</summary>
    public const int LevelsMax = 3;

    private ShardDirectory _shards = ShardDirectory.Empty;
    private long _edit = 1;

    /// <summary>The index with everything the running edit has done; for the writer's own reads, before publication.</summary>
    public KeyIndex Unpublished => new(_shards);

    public KeyRecord Find(ReadOnlySpan<byte> key) => Unpublished.Find(key);

    public KeyIndex Publish()
    {
        _edit++;
        return new KeyIndex(_shards);
    }

    /// <summary>Adds a key that is not in the index. It counts as live unless its head is a tombstone (as one restored from a snapshot may be).</summary>
    public void Insert(KeyRecord record)
    {
        int shard = _shards.Find(record.Key);
        IndexNode root = _shards.RootAt(shard);
        TreeSibling right = Tree.Insert(ref root, record, _shards.LowOf(shard), _shards.HighOf(shard));
        Set(shard, root);
        if (!right.Node.IsNull)
        {
            _shards = _shards.With(shard + 1, right.Separator, right.Node, _edit);
        }
    }

    /// <summary>A key of the index was deleted (-1) or came back (+1): its head was just moved.</summary>
    public void AddLive(ReadOnlySpan<byte> key, int change)
    {
        int shard = _shards.Find(key);
        IndexNode root = _shards.RootAt(shard);
        Tree.AddLive(ref root, key, change);
        Set(shard, root);
    }

    /// <summary>Removes a key whose head is a tombstone that no readable revision sees.</summary>
    public void Remove(ReadOnlySpan<byte> key)
    {
        int shard = _shards.Find(key);
        IndexNode root = _shards.RootAt(shard);
        Tree.Remove(ref root, key, _shards.LowOf(shard), _shards.HighOf(shard));
        Set(shard, root);
        if (root.IsNull && _shards.Count > 1)
        {
            GiveUp(shard);
        }
    }

    /// <summary>An empty shard's range goes to the one before it, or of the first one to the one behind.</summary>
    private void GiveUp(int shard)
    {
        int heir = shard == 0 ? 0 : shard - 1;
        _shards.LowOf(Math.Max(shard, 1)).Retire(memory);
        _shards = _shards.Without(shard, _edit);
        IndexNode root = _shards.RootAt(heir);
        Tree.MoveFence(ref root, _shards.LowOf(heir), _shards.HighOf(heir), isHigh: shard > 0);
        Set(heir, root);
    }

    private TreeEdit Tree => new(memory, _edit, levelsMax);

    private void Set(int shard, IndexNode root)
    {
        _shards = _shards.OwnedBy(_edit);
        SchedulePoint.Hit();
        _shards.Set(shard, root);
    }
}
