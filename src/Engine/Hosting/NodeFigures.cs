using System.Collections.Immutable;
using MetaStore.Raft;

namespace MetaStore.Engine.Hosting;

/// <summary>What a node can tell of itself in numbers, for those who watch over it. Each is fresh, the set of them is not of one moment.</summary>
public sealed record NodeFigures
{
    /// <summary>The leader it knows, or none.</summary>
    public NodeId LeaderId { get; init; }

    /// <summary>It leads.</summary>
    public bool IsLeader { get; init; }

    /// <summary>It has no vote.</summary>
    public bool IsLearner { get; init; }

    /// <summary>Its term.</summary>
    public ulong Term { get; init; }

    /// <summary>The last entry known to be committed.</summary>
    public ulong CommitIndex { get; init; }

    /// <summary>The last entry applied.</summary>
    public ulong AppliedIndex { get; init; }

    /// <summary>Writes given up since the start: no leader took them, or nothing was heard of them, in time.</summary>
    public long WritesFailed { get; init; }

    /// <summary>Rounds in which a leader was asked for its word on reads and that came to nothing, since the start; the reads go into the next.</summary>
    public long ReadRoundsFailed { get; init; }

    /// <summary>Heartbeats to the other members that came a whole interval too late, or later still, since the start, while this member led.</summary>
    public long HeartbeatsLate { get; init; }

    /// <summary>Promotions of learners that were asked for and made since the start, while this member led.</summary>
    public long PromotionsMade { get; init; }

    /// <summary>Those that were not made, by why.</summary>
    public IReadOnlyDictionary<MetaStoreError, long> PromotionsFailed { get; init; } = ImmutableDictionary<MetaStoreError, long>.Empty;

    /// <summary>Writes under way: proposed, or waiting to be.</summary>
    public long WritesPending { get; init; }

    /// <summary>All that is under way: writes, reads that wait for the leader's word, renewals, questions about members.</summary>
    public long Pending { get; init; }

    /// <summary>The store's revision.</summary>
    public long Revision { get; init; }

    /// <summary>The revision up to which history is gone.</summary>
    public long CompactRevision { get; init; }

    /// <summary>Keys that there are.</summary>
    public long KeyCount { get; init; }

    /// <summary>Leases that there are.</summary>
    public long LeaseCount { get; init; }

    /// <summary>Leases whose granting was applied here since the start.</summary>
    public long LeasesGranted { get; init; }

    /// <summary>Leases whose end was applied here since the start, those that ran out too; not those of a single key that ended with it.</summary>
    public long LeasesRevoked { get; init; }

    /// <summary>Of these, those that ran out.</summary>
    public long LeasesExpired { get; init; }

    /// <summary>Renewals granted by this member since the start, while it led.</summary>
    public long LeasesRenewed { get; init; }

    /// <summary>Watches under way here.</summary>
    public long WatchCount { get; init; }

    /// <summary>Puts that were applied here since the start, those in transactions too.</summary>
    public long Puts { get; init; }

    /// <summary>Deletions that were applied here since the start, those in transactions too.</summary>
    public long Deletes { get; init; }

    /// <summary>Transactions that were applied here since the start.</summary>
    public long Txns { get; init; }

    /// <summary>Log and snapshots, in bytes.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Native memory that keys, versions, index and history are in, in bytes.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>What was taken from the system for that, in bytes.</summary>
    public long MemoryReservedBytes { get; init; }
}
