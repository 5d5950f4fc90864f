using MetaStore.Engine.Hosting;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Members;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Replication;

/// <summary>What a <see cref="Replica"/> is joined to.</summary>
internal sealed class ReplicaParts
{
    public required GroupId Group { get; init; }

    public required TimeProvider Time { get; init; }

    public required TimeSpan TickLength { get; init; }

    public required ProposerOptions ProposerOptions { get; init; }

    /// <summary>Names this life of the node in its batches.</summary>
    public required ulong ProposerId { get; init; }

    /// <summary>Names this life of the node in its reads.</summary>
    public required ulong ReadOrigin { get; init; }

    /// <summary>Ticks after which an unanswered read round is asked again.</summary>
    public required int ReadRetryTicks { get; init; }

    /// <summary>Ticks after which the members' states are asked for where the log is too slow to bring them; 1 or more.</summary>
    public required int StateAskTicks { get; init; }

    public required NodeFailure Failure { get; init; }

    public required ILoopSignal Signal { get; init; }

    public required IPeerTransport Transport { get; init; }

    /// <summary>Watches over the group while it sleeps; null where it never does.</summary>
    public required IGroupSleep? Sleep { get; init; }

    public required StoreHolder Stores { get; init; }

    public required Applier Applier { get; init; }

    /// <summary>How much of the log is worth holding.</summary>
    public required SnapshotPolicy SnapshotPolicy { get; init; }

    /// <summary>What this member tells of itself.</summary>
    public required Member Self { get; init; }

    public required MemberRules Rules { get; init; }

    /// <summary>The answer about a member, from what this node has applied.</summary>
    public Func<ulong, MembersResponse> MembersAnswer { get; set; } = null!;

    /// <summary>What history is kept.</summary>
    public required AutoCompactionOptions AutoCompaction { get; init; }

    /// <summary>By how much a lease's time to live is stretched, for clocks that run fast, and the age of a state, for clocks that run slow; a share, below 1.</summary>
    public required double ClockDrift { get; init; }

    /// <summary>The answer to a question about a lease, from what the leader said and this node has applied.</summary>
    public Func<LeaseAskRequest, LeaseFacts, StoreResponse> LeaseAnswer { get; set; } = null!;

    /// <summary>Set before the first run: the log's observer is the replica itself.</summary>
    public LogWriter Log { get; set; } = null!;

    /// <summary>Set before the first run: the snapshot loop reports to the replica.</summary>
    public SnapshotLoop Snapshots { get; set; } = null!;
}
