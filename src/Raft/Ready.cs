namespace MetaStore.Raft;

/// <summary>
/// Everything that a <see cref="RaftNode"/> wants done since it was last asked, as data. The driver, in any order it likes:
/// hands the append (if any) to the log, sends <see cref="Messages"/>, applies <see cref="Committed"/>. When the log has said
/// that the append is on stable storage, it calls <see cref="RaftNode.Advance(WriteReceipt)"/>, which alone can release
/// <see cref="MessagesAfterAppend"/>; when entries are applied, <see cref="RaftNode.AdvanceApplied"/>.
/// </summary>
public sealed class Ready
{
    /// <summary>What must become durable, or null. Appends are handed to the log in the order of their write ids.</summary>
    public PendingAppend? Append { get; init; }

    /// <summary>Messages that may leave now.</summary>
    public IReadOnlyList<Message> Messages { get; init; } = [];

    /// <summary>Messages that promise something durable. Nothing but their number can be seen until the append is.</summary>
    public SealedMessages MessagesAfterAppend { get; init; }

    /// <summary>Committed entries, next in order, to be applied to the state machine.</summary>
    public IReadOnlyList<Entry> Committed { get; init; } = [];

    /// <summary>Reads that may be served once the state machine has applied their index.</summary>
    public IReadOnlyList<ReadState> Reads { get; init; } = [];

    /// <summary>Reads that were given up (leader lost) and must be asked again under a new context.</summary>
    public IReadOnlyList<ReadContext> AbortedReads { get; init; } = [];

    /// <summary>Peers that are too far behind for the log and need a snapshot of at least the leader's first index.</summary>
    public IReadOnlyList<NodeId> SnapshotsToSend { get; init; } = [];

    /// <summary>Pieces of a snapshot, and answers to them, that passed the checks of term and leadership; for the transfer outside.</summary>
    public IReadOnlyList<Message> SnapshotTraffic { get; init; } = [];
}

/// <summary>What must become durable in one step, in this order: snapshot mark, entries, hard state.</summary>
public sealed class PendingAppend
{
    /// <summary>Rises by one with each append of this node's life.</summary>
    public required ulong WriteId { get; init; }

    /// <summary>The snapshot the log now begins behind, or null.</summary>
    public SnapshotMetadata? Snapshot { get; init; }

    /// <summary>New entries; the first may replace the end of the log.</summary>
    public IReadOnlyList<Entry> Entries { get; init; } = [];

    /// <summary>Term, vote and commit index, or null where term and vote are unchanged and nothing else is written.</summary>
    public HardState? HardState { get; init; }
}

/// <summary>Messages under seal. Only <see cref="RaftNode.Advance(WriteReceipt)"/> of the write they wait for moves them to an outbox.</summary>
public readonly record struct SealedMessages(int Count);

/// <summary>Says that the append of that id, and all before it, are on stable storage.</summary>
public readonly record struct WriteReceipt(ulong WriteId);

/// <summary>The read named by <paramref name="Context"/> may be served once <paramref name="Index"/> is applied.</summary>
public readonly record struct ReadState(ReadContext Context, LogIndex Index);

/// <summary>What became of a proposal.</summary>
public enum ProposeResult
{
    /// <summary>Appended to the leader's log, or handed to the leader. Whether it commits shows when it is applied.</summary>
    Accepted,

    /// <summary>Nobody leads; nothing was done.</summary>
    NoLeader,

    /// <summary>Too many uncommitted bytes; nothing was done.</summary>
    Overloaded,

    /// <summary>Leadership is being handed over; nothing was done.</summary>
    Transferring,
}

/// <summary>What became of a change of the membership.</summary>
public enum MembershipResult
{
    /// <summary>In the leader's log, and counting there. It is done when the last of its entries, which is not joint, is committed.</summary>
    Accepted,

    /// <summary>This member does not lead; nothing was done.</summary>
    NotLeader,

    /// <summary>The change before it is not committed, or nothing of this leader's term is yet; nothing was done.</summary>
    InProgress,

    /// <summary>Leadership is being handed over; nothing was done.</summary>
    Transferring,
}

/// <summary>What a restarted node takes up again.</summary>
public sealed class RaftRestart
{
    /// <summary>The durable hard state.</summary>
    public required HardState HardState { get; init; }

    /// <summary>The snapshot the state machine was restored from, or null.</summary>
    public SnapshotMetadata? Snapshot { get; init; }

    /// <summary>The log behind the snapshot, contiguous.</summary>
    public IReadOnlyList<Entry> Entries { get; init; } = [];

    /// <summary>
    /// The member has lost a part of what it had acknowledged, though not its term and vote: it votes for nobody and does not stand
    /// before it has caught up with a leader; see <see cref="RaftNode.IsRecovering"/>.
    /// </summary>
    public bool IsRecovering { get; init; }

    /// <summary>
    /// Ticks for which an earlier life of the member may have promised silence, where these are more than <see cref="RaftOptions.ElectionTicks"/>: its settings were others. 0: they were not.
    /// </summary>
    public int SilenceTicks { get; init; }
}
