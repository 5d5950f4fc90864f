namespace MetaStore.Engine;

/// <summary>
/// Grants a lease: keys that are put with it live no longer than it does. It ends when it is revoked, or when nobody has kept it alive
/// (<see cref="IMetaStore.KeepLeaseAliveAsync"/>) for its time to live, and takes its keys with it, in key order and in one revision. Never earlier; later by what clocks may be wrong, and, where the leader changes meanwhile, by
/// the time without one and what a new leader does not know of: after three changes at the worst of moments it is 1.7 times the time to live, of five seconds or more, and the time without a leader.
/// </summary>
/// <param name="Ttl">
/// Its time to live, in seconds; at most <see cref="TtlMax"/>. Raised to one and a half election timeouts where it is less, for within less nobody could
/// keep it alive through a change of the leader; the answer says what was granted.
/// </param>
/// <param name="Id">Its id; 0: the store chooses one, and never the same again. Not negative.</param>
public sealed record LeaseGrantRequest(long Ttl, long Id = 0) : StoreRequest
{
    /// <summary>The longest time to live, in seconds (etcd's): 285 years.</summary>
    public const long TtlMax = 9_000_000_000;
}

/// <summary>Ends a lease, and removes its keys. One revision for all of them; none where it has no keys.</summary>
/// <param name="Id">The lease.</param>
public sealed record LeaseRevokeRequest(long Id) : StoreRequest;

/// <summary>Asks how long a lease has left.</summary>
/// <param name="Id">The lease.</param>
/// <param name="WithKeys">Name its keys, too.</param>
public sealed record LeaseTimeToLiveRequest(long Id, bool WithKeys = false) : StoreRequest;

/// <summary>Answer to a grant.</summary>
public sealed record LeaseGrantResponse : StoreResponse
{
    /// <summary>The lease's id; positive.</summary>
    public required long Id { get; init; }

    /// <summary>Its time to live, in seconds.</summary>
    public required long Ttl { get; init; }
}

/// <summary>Answer to a revocation.</summary>
public sealed record LeaseRevokeResponse : StoreResponse;

/// <summary>Answer to a renewal.</summary>
public sealed record LeaseKeepAliveResponse : StoreResponse
{
    /// <summary>The lease.</summary>
    public required long Id { get; init; }

    /// <summary>Its time to live, in seconds, which runs again from a moment after the request was sent. 0: there is no such lease (any more).</summary>
    public required long Ttl { get; init; }
}

/// <summary>Answer about a lease.</summary>
public sealed record LeaseTimeToLiveResponse : StoreResponse
{
    /// <summary>The lease.</summary>
    public required long Id { get; init; }

    /// <summary>What it has left, in seconds, rounded down; -1: there is no such lease (any more).</summary>
    public required long Ttl { get; init; }

    /// <summary>What it was granted, in seconds; 0 where there is no such lease.</summary>
    public long GrantedTtl { get; init; }

    /// <summary>Its keys, in order, where they were asked for.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Keys { get; init; } = [];
}

/// <summary>Answer with all leases.</summary>
public sealed record LeasesResponse : StoreResponse
{
    /// <summary>Their ids, in order.</summary>
    public IReadOnlyList<long> Ids { get; init; } = [];
}
