namespace MetaStore.Engine.Watches;

/// <summary>What stands in one <see cref="PlacedList{T}"/> at a time, and knows where.</summary>
internal interface IPlaced
{
    /// <summary>The list's to set.</summary>
    int Place { get; set; }
}

/// <summary>A list, in no order, that lets go of any of its items at once: a connection that breaks may take a hundred thousand of them. Not thread safe.</summary>
internal sealed class PlacedList<T>
    where T : class, IPlaced
{
    private readonly List<T> _items = [];

    public int Count => _items.Count;

    public void Add(T item)
    {
        item.Place = _items.Count;
        _items.Add(item);
    }

    /// <summary>The last one takes its place.</summary>
    public void Remove(T item)
    {
        bool isHere = (uint)item.Place < (uint)_items.Count && ReferenceEquals(_items[item.Place], item);
        Invariant.Check(isHere, "what is removed from a list was never added to it");
        T last = _items[^1];
        _items[item.Place] = last;
        last.Place = item.Place;
        _items.RemoveAt(_items.Count - 1);
    }

    public void AddTo(List<T> found) => found.AddRange(_items);
}
