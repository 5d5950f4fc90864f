using System.Collections.Immutable;

namespace MetaStore.Engine.Leases;

/// <summary>One lease, as of some point of the log.</summary>
/// <param name="Id">Its id; positive.</param>
/// <param name="TtlMilliseconds">What it was granted.</param>
/// <param name="RemainingMilliseconds">
/// With what a new leader begins it: all of it, or what the last checkpoint said. A renewal that finds less than all here puts that right before it is
/// answered, so no leader ever begins a lease with less than was promised.
/// </param>
/// <param name="EndsWithLastKey">It was made for one key (<see cref="PutRequest.TimeToLive"/>), and ends when no key is attached to it any more.</param>
/// <param name="Keys">The keys that are attached, in order. Copies: they outlive what they were taken from.</param>
internal sealed record Lease(long Id, long TtlMilliseconds, long RemainingMilliseconds, bool EndsWithLastKey, ImmutableSortedSet<byte[]> Keys)
{
    public static ImmutableSortedSet<byte[]> NoKeys { get; } = ImmutableSortedSet.Create<byte[]>(KeyOrder.Instance);

    public bool IsCheckpointed => RemainingMilliseconds < TtlMilliseconds;

    private sealed class KeyOrder : IComparer<byte[]>
    {
        public static KeyOrder Instance { get; } = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}

/// <summary>What a lease has left, for the log.</summary>
internal readonly record struct LeaseCheckpoint(long Id, long RemainingMilliseconds);

/// <summary>
/// The leader of <paramref name="Term"/> has let these leases run out: they are revoked, each for itself. Of another term than the entry's it means nothing: whoever led
/// before knows nothing of renewals since.
/// </summary>
internal sealed record ExpireLeasesRequest(ulong Term, IReadOnlyList<long> Ids) : StoreRequest;

/// <summary>What some leases have left, by the leader of <paramref name="Term"/>. Of another term than the entry's it means nothing.</summary>
internal sealed record CheckpointLeasesRequest(ulong Term, IReadOnlyList<LeaseCheckpoint> Leases) : StoreRequest;

/// <summary>What became of a lease in the replicated state: for the <see cref="Lessor"/>, which keeps the time.</summary>
internal enum LeaseChange
{
    /// <summary>It was granted.</summary>
    Granted,

    /// <summary>It has another remainder.</summary>
    Checkpointed,

    /// <summary>It is gone.</summary>
    Ended,
}

/// <summary>A change, with the index of the entry that made it. See <see cref="LeaseNewsQueue"/>.</summary>
internal readonly record struct LeaseNews(ulong Index, LeaseChange Change, long Id, long TtlMilliseconds, long RemainingMilliseconds);
