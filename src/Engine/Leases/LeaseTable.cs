using System.Collections.Immutable;

namespace MetaStore.Engine.Leases;

/// <summary>
/// All leases with their keys: part of the replicated state. Immutable, so that a view of the store holds its leases as it holds its keys. A change
/// copies a path of two trees, so it costs the logarithm of the leases and of one lease's keys.
/// </summary>
internal sealed class LeaseTable
{
    private readonly ImmutableSortedDictionary<long, Lease> _leases;

    internal LeaseTable(ImmutableSortedDictionary<long, Lease> leases, ulong lastDrawn)
    {
        _leases = leases;
        LastDrawn = lastDrawn;
    }

    public static LeaseTable Empty { get; } = new(ImmutableSortedDictionary<long, Lease>.Empty, 0);

    /// <summary>How many ids the store has drawn; the next is made of it.</summary>
    public ulong LastDrawn { get; }

    public int Count => _leases.Count;

    /// <summary>By id.</summary>
    public IEnumerable<Lease> All => _leases.Values;

    public IEnumerable<long> Ids => _leases.Keys;

    public Lease? Find(long id) => _leases.GetValueOrDefault(id);

    internal ImmutableSortedDictionary<long, Lease>.Builder ToBuilder() => _leases.ToBuilder();
}
