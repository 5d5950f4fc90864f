using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>Everything a node needs to know, apart from its seams.</summary>
public sealed record NodeSettings
{
    /// <summary>
    /// Ticks of the election timeout that a promise of silence leaves out: the first, which may begin at any time before, and two that a clock that was behind may make up for.
    /// </summary>
    internal const int SilenceSlackTicks = 3;

    /// <summary>The node's name; for people.</summary>
    public required string Name { get; init; }

    /// <summary>The cluster. Written into every file, said in every handshake, checked everywhere.</summary>
    public required ulong ClusterId { get; init; }

    /// <summary>This member's id.</summary>
    public required NodeId NodeId { get; init; }

    /// <summary>
    /// The members of a new cluster, this one included; the same list on each of them. Counts only where the data directory is new: after
    /// that the log says who belongs to the cluster. Empty for a member that joins a cluster which runs already.
    /// </summary>
    public required IReadOnlyList<Member> Members { get; init; }

    /// <summary>Where clients reach this member; it tells the others.</summary>
    public IReadOnlyList<string> ClientUrls { get; init; } = [];

    /// <summary>Learners that the cluster may have at once.</summary>
    public int LearnersMax { get; init; } = 1;

    /// <summary>Sessions (<see cref="IMetaStoreSessions"/>) that the store keeps; when one is opened beyond that, the one not used for longest is forgotten.</summary>
    public int SessionsMax { get; init; } = 10_000;

    /// <summary>
    /// Bytes of answers that the store keeps of one session, until the session acknowledges them; the write whose answer would be more is applied once all
    /// the same, and a repeat is told <see cref="MetaStoreError.AnswerNotKept"/>. 0 or more; holds for the sessions that this node opens.
    /// </summary>
    public int SessionKeptBytesMax { get; init; } = 4 << 20;

    /// <summary>
    /// Bytes that the store keeps of all sessions of a group, in memory and in each snapshot; beyond that the session not used for longest is forgotten. Counts
    /// 256 bytes for a session and 128 for each write without acknowledgement, over the answers. At least <see cref="SessionKeptBytesMax"/>.
    /// </summary>
    public long SessionsKeptBytesMax { get; init; } = 256L << 20;

    /// <summary>What is said of sessions above, as it goes into the log.</summary>
    internal SessionLimits SessionLimits => new((uint)SessionsMax, (uint)SessionKeptBytesMax, (ulong)SessionsKeptBytesMax);

    /// <summary>Where the node keeps its files.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Time between heartbeats of a leader; also the length of a Raft tick.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Time without a leader after which an election begins; several heartbeats long.</summary>
    public TimeSpan ElectionTimeout { get; init; } = TimeSpan.FromMilliseconds(1000);

    /// <summary>
    /// Each so many entries the members hold their states against each other; one that differs from most stops serving. The same on all
    /// members, or the checks find nobody to compare with. 1 or more.
    /// </summary>
    public int StateCheckEntries { get; init; } = 1000;

    /// <summary>They do so as well where the state has changed and this time has passed without a check: a slow cluster must not wait for its thousandth entry. More than 0.</summary>
    public TimeSpan StateCheckInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// By how much the rate of a member's clock may be wrong, as a share, for the leader's lease to be safe; 0.1 is 10 %. Clocks that are
    /// worse can make a linearizable read stale. 1: no lease; each linearizable read asks a majority.
    /// </summary>
    public double ClockDriftMax { get; init; } = 0.1;

    /// <summary>
    /// How long this member lets pass, by its own clock, before it helps another to office once it has heard of a leader: ElectionTimeout, less the heartbeat in which it was heard and two
    /// that its clock may make up for. 0: it promises nothing.
    /// </summary>
    internal TimeSpan Silence => ClockDriftMax < 1 && ElectionTicks > SilenceSlackTicks ? (ElectionTicks - SilenceSlackTicks) * HeartbeatInterval : TimeSpan.Zero;

    /// <summary>The election timeout in ticks, rounded up.</summary>
    internal int ElectionTicks => (int)Math.Ceiling(ElectionTimeout / HeartbeatInterval);

    /// <summary>How long an operation may take before it is answered Timeout.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(7);

    /// <summary>
    /// How long a visit of a range (<see cref="MetaStoreNode.Visit"/>) may hold back the collection of compacted history. One that takes longer goes on until it
    /// comes upon what was collected, and fails with <see cref="CompactedException"/>. More than 0.
    /// </summary>
    public TimeSpan VisitTimeMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Bytes of log entries in one message between members at most; a longer entry travels alone.</summary>
    public int AppendBytesMax { get; init; } = 1 << 20;

    /// <summary>Messages with log entries that may be under way to one member without an answer.</summary>
    public int AppendsInFlightMax { get; init; } = 256;

    /// <summary>How operations are batched.</summary>
    public ProposerOptions Proposer { get; init; } = ProposerOptions.LowLatency;

    /// <summary>When snapshots are taken and how they travel.</summary>
    public SnapshotOptions Snapshots { get; init; } = new();

    /// <summary>What history is forgotten by itself.</summary>
    public AutoCompactionOptions AutoCompaction { get; init; } = new();

    /// <summary>How watches are served.</summary>
    public WatchOptions Watches { get; init; } = new();

    /// <summary>The log's settings.</summary>
    public WalOptions Wal { get; init; } = new();

    /// <summary>What one request may ask for.</summary>
    public StoreLimits Limits { get; init; } = new();

    /// <summary>The node's randomness: election jitter and the names of its lives. Drawn at start, printed, given for a replay.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is wrong; the message names it and what would be right.</exception>
    public void Validate()
    {
        if (HeartbeatInterval < TimeSpan.FromMilliseconds(1))
        {
            throw new ArgumentException($"The heartbeat interval is {HeartbeatInterval.TotalMilliseconds} ms; it must be at least 1 ms.");
        }

        if (ElectionTimeout < 5 * HeartbeatInterval)
        {
            throw new ArgumentException(
                $"The election timeout is {ElectionTimeout.TotalMilliseconds} ms; it must be at least 5 heartbeat intervals ({5 * HeartbeatInterval.TotalMilliseconds} ms).");
        }

        if (Members.Count > 0 && !Members.Any(m => m.Id == NodeId.Value))
        {
            throw new ArgumentException($"The members ({string.Join(", ", Members.Select(m => m.Name))}) do not include this node, {Name}.");
        }

        if (StateCheckEntries < 1)
        {
            throw new ArgumentException($"StateCheckEntries is {StateCheckEntries}; it must be at least 1.");
        }

        if (StateCheckInterval <= TimeSpan.Zero)
        {
            throw new ArgumentException($"StateCheckInterval is {StateCheckInterval}; it must be more than 0.");
        }

        if (ClockDriftMax is < 0 or > 1)
        {
            throw new ArgumentException($"ClockDriftMax is {ClockDriftMax}; it must be between 0 and 1.");
        }

        if (VisitTimeMax <= TimeSpan.Zero)
        {
            throw new ArgumentException($"VisitTimeMax is {VisitTimeMax}; it must be more than 0.");
        }

        if (LearnersMax < 1)
        {
            throw new ArgumentException($"LearnersMax is {LearnersMax}; it must be at least 1.");
        }

        if (SessionsMax < 1)
        {
            throw new ArgumentException($"SessionsMax is {SessionsMax}; it must be at least 1.");
        }

        if (SessionKeptBytesMax < 0 || SessionsKeptBytesMax < SessionKeptBytesMax)
        {
            throw new ArgumentException(
                $"SessionKeptBytesMax is {SessionKeptBytesMax} and SessionsKeptBytesMax {SessionsKeptBytesMax}; the first must be at least 0, and the second at least the first.");
        }

        if (AppendBytesMax < 1 || AppendsInFlightMax < 1)
        {
            throw new ArgumentException($"AppendBytesMax ({AppendBytesMax}) and AppendsInFlightMax ({AppendsInFlightMax}) must be at least 1.");
        }

        Proposer.Validate();
        Snapshots.Validate();
        Watches.Validate();
        AutoCompaction.Validate();
        Wal.Validate();
    }
}
