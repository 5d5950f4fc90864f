namespace MetaStore.Raft;

/// <summary>Settings of one Raft node. Times are in ticks; what a tick lasts is the driver's business.</summary>
public sealed class RaftOptions
{
    /// <summary>This node.</summary>
    public required NodeId Id { get; init; }

    /// <summary>The voters as long as neither log nor snapshot name any; empty for a member that will be told by its leader.</summary>
    public IReadOnlyList<NodeId> Voters { get; init; } = [];

    /// <summary>The learners as long as neither log nor snapshot name anybody.</summary>
    public IReadOnlyList<NodeId> Learners { get; init; } = [];

    /// <summary>Seed of the election jitter. All randomness of the node comes from it.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Names this life of the node in read contexts; drawn at random at each start.</summary>
    public required ulong ReadOrigin { get; init; }

    /// <summary>Ticks without a leader before an election; the actual wait is drawn from [this, 3/2 × this), and up to twice this longer by priority; from [1/4, 3/4) of it for whoever asked whether it could win, or lost.</summary>
    public int ElectionTicks { get; init; } = 10;

    /// <summary>Ticks between heartbeats; less than <see cref="ElectionTicks"/>.</summary>
    public int HeartbeatTicks { get; init; } = 1;

    /// <summary>
    /// How long, in microseconds by a clock that is right, this member at the least helps nobody else to office once it has heard of a leader: <see cref="ElectionTicks"/> ticks, however
    /// fast its clock runs and however little the first of them lasts. It says so with each answer to a heartbeat, and a leader serves reads without asking for as long as a majority has promised,
    /// counted from the sending of the round (<see cref="ClockUnits"/>): so members may differ. 0: it promises nothing, and has no lease itself.
    /// </summary>
    public long Silence { get; init; }

    /// <summary>Units of the driver's clock (<see cref="RaftNode.SetTime"/>) that pass in a microsecond at the least, where it runs as slowly as it may. More than 0.</summary>
    public double ClockUnits { get; init; } = 1;

    /// <summary>
    /// Whether a leader that had nothing to do for an election timeout puts the group to sleep (<see cref="RaftNode.IsQuiescent"/>). Wants a driver
    /// that watches the leader's node in place of the heartbeats, and calls <see cref="RaftNode.Wake"/>.
    /// </summary>
    public bool Quiesces { get; init; }

    /// <summary>Entry bytes in one Append at most (one entry always fits).</summary>
    public int AppendBytesMax { get; init; } = 1 << 20;

    /// <summary>Unacknowledged Appends to one peer at most.</summary>
    public int InflightMessagesMax { get; init; } = 256;

    /// <summary>Unacknowledged entry bytes to one peer at most.</summary>
    public long InflightBytesMax { get; init; } = 16 << 20;

    /// <summary>Uncommitted entry bytes on the leader at most; beyond it proposals are refused.</summary>
    public long UncommittedBytesMax { get; init; } = 64 << 20;

    /// <summary>Entry bytes in one <see cref="Ready.Committed"/> at most (one entry always fits).</summary>
    public int CommittedBytesMax { get; init; } = 4 << 20;

    /// <summary>
    /// Entries before a local snapshot that stay in memory when the log is compacted, so that a follower that lags a little
    /// catches up from the log and needs no snapshot. 0 keeps none.
    /// </summary>
    public int CompactionTailEntries { get; init; } = 1024;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        if (Id.IsNone)
        {
            throw new ArgumentException("Id must not be 0: 0 stands for nobody.");
        }

        if (ElectionTicks < 2)
        {
            throw new ArgumentException($"ElectionTicks is {ElectionTicks}; it must be at least 2.");
        }

        if (HeartbeatTicks < 1 || HeartbeatTicks >= ElectionTicks)
        {
            throw new ArgumentException($"HeartbeatTicks is {HeartbeatTicks}; it must be at least 1 and less than ElectionTicks ({ElectionTicks}).");
        }

        if (AppendBytesMax < 1 || InflightMessagesMax < 1 || InflightBytesMax < 1 || UncommittedBytesMax < 1 || CommittedBytesMax < 1)
        {
            throw new ArgumentException("All byte and message limits must be at least 1.");
        }

        if (Silence < 0)
        {
            throw new ArgumentException($"Silence is {Silence}; it must be at least 0, which means no lease.");
        }

        if (!(ClockUnits > 0) || double.IsInfinity(ClockUnits))
        {
            throw new ArgumentException($"ClockUnits is {ClockUnits}; it must be more than 0.");
        }

        if (CompactionTailEntries < 0)
        {
            throw new ArgumentException($"CompactionTailEntries is {CompactionTailEntries}; it must be at least 0.");
        }

        _ = new Membership(Voters, Learners); // Says what is wrong with them.
    }
}
