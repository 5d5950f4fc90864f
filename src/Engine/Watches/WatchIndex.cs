using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Watches;

/// <summary>Which watchers an event is for: those of its key by a table, those of ranges by a tree. No watcher of other keys is looked at. The watch loop's alone.</summary>
internal sealed class WatchIndex
{
    private readonly Dictionary<ReadOnlyMemory<byte>, PlacedList<Watcher>> _keys = new(ByteKeyComparer.Instance);
    private readonly Dictionary<ReadOnlyMemory<byte>, PlacedList<Watcher>>.AlternateLookup<ReadOnlySpan<byte>> _byKey;
    private readonly IntervalTree<Watcher> _ranges = new();

    public WatchIndex() => _byKey = _keys.GetAlternateLookup<ReadOnlySpan<byte>>();

    public int Count { get; private set; }

    public void Add(Watcher watcher)
    {
        Count++;
        if (!watcher.Filter.Range.IsSingle)
        {
            _ranges.Add(Start(watcher), End(watcher), watcher);
        }
        else
        {
            if (!_keys.TryGetValue(watcher.Filter.Range.Start, out PlacedList<Watcher>? watchers))
            {
                watchers = new PlacedList<Watcher>();
                _keys.Add(watcher.Filter.Range.Start, watchers);
            }

            watchers.Add(watcher);
        }
    }

    public void Remove(Watcher watcher)
    {
        Count--;
        if (!watcher.Filter.Range.IsSingle)
        {
            _ranges.Remove(Start(watcher), End(watcher), watcher);
            return;
        }

        PlacedList<Watcher> watchers = _keys[watcher.Filter.Range.Start];
        watchers.Remove(watcher);
        if (watchers.Count == 0)
        {
            _keys.Remove(watcher.Filter.Range.Start);
        }
    }

    /// <summary>Adds those whose key or range the key is in.</summary>
    public void Find(ReadOnlySpan<byte> key, List<Watcher> found)
    {
        if (_byKey.TryGetValue(key, out PlacedList<Watcher>? watchers))
        {
            watchers.AddTo(found);
        }

        _ranges.Find(key, found);
    }

    private static byte[] Start(Watcher watcher) => watcher.Filter.Range.Start.ToArray();

    private static byte[]? End(Watcher watcher) => watcher.Filter.Range.IsUnbounded ? null : watcher.Filter.Range.End.ToArray();
}
