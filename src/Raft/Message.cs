namespace MetaStore.Raft;

/// <summary>Kinds of messages between peers. Part of the wire format: never renumber.</summary>
public enum MessageKind : byte
{
    /// <summary>Would you vote for me, were I to ask? Carries the last entry's position, and the term the sender would go to.</summary>
    PreVote = 1,

    /// <summary>Answer to <see cref="PreVote"/>.</summary>
    PreVoteReply = 2,

    /// <summary>RequestVote (paper, 5.2).</summary>
    Vote = 3,

    /// <summary>Answer to <see cref="Vote"/>; leaves only when the vote is durable.</summary>
    VoteReply = 4,

    /// <summary>AppendEntries (paper, 5.3).</summary>
    Append = 5,

    /// <summary>Answer to <see cref="Append"/>; a positive one leaves only when the entries are durable.</summary>
    AppendReply = 6,

    /// <summary>Keeps followers from campaigning, tells them the commit index, and carries the newest read context.</summary>
    Heartbeat = 7,

    /// <summary>Answer to <see cref="Heartbeat"/>; echoes its read context.</summary>
    HeartbeatReply = 8,

    /// <summary>A follower asks the leader for a read index (thesis, 6.4).</summary>
    ReadIndex = 9,

    /// <summary>Answer to <see cref="ReadIndex"/>.</summary>
    ReadIndexReply = 10,

    /// <summary>A follower hands proposals to the leader, as entries without position.</summary>
    Propose = 11,

    /// <summary>A piece of a snapshot (paper, section 7).</summary>
    SnapshotChunk = 12,

    /// <summary>Answer to <see cref="SnapshotChunk"/>: how many bytes are there, or that the transfer must begin again.</summary>
    SnapshotChunkReply = 13,

    /// <summary>The leader asks a voter that has its whole log to stand at once (thesis, 3.10).</summary>
    TimeoutNow = 14,

    /// <summary>The driver's own: a request for the leader's driver. Raft takes no notice of it.</summary>
    Forward = 15,

    /// <summary>The driver's own: the answer to <see cref="Forward"/>. Raft takes no notice of it.</summary>
    ForwardReply = 16,

    /// <summary>The driver's own: what state the sender was in at an index. Raft takes no notice of it.</summary>
    StateReport = 17,

    /// <summary>The leader has nothing to do, and every peer has its whole log: no heartbeats will come until something happens.</summary>
    Quiesce = 18,

    /// <summary>The driver's own: the sender's node is up. Stands in for the heartbeats of all groups that sleep under it. Raft takes no notice of it.</summary>
    NodeBeat = 19,

    /// <summary>
    /// A member that has lost a part of its log, which ends at the message's index now, asks the leader where its own ends. What it acknowledged before
    /// does not count any more. The context names the member's life.
    /// </summary>
    Recover = 20,

    /// <summary>Answer to <see cref="Recover"/>: the leader's last entry. Echoes the context.</summary>
    RecoverReply = 21,

    /// <summary>The driver's own: questions about leases, for the leader's driver. Raft takes no notice of it.</summary>
    LeaseAsk = 22,

    /// <summary>The driver's own: the answers to <see cref="LeaseAsk"/>. Raft takes no notice of it.</summary>
    LeaseReply = 23,
}

/// <summary>
/// A message between two members of a group. One class for all kinds, as in the paper's figure 2 the kinds share most fields;
/// a field that a kind does not use is zero.
/// </summary>
public sealed record Message
{
    /// <summary>What it is.</summary>
    public required MessageKind Kind { get; init; }

    /// <summary>The sender.</summary>
    public required NodeId From { get; init; }

    /// <summary>The receiver.</summary>
    public required NodeId To { get; init; }

    /// <summary>The sender's term; zero for <see cref="MessageKind.Propose"/> and <see cref="MessageKind.ReadIndex"/>, which belong to none.</summary>
    public Term Term { get; init; }

    /// <summary>
    /// Append: the entry before the new ones. AppendReply: the last entry known to match; of a rejection, the refused position.
    /// Vote, PreVote, Quiesce: the last entry. ReadIndexReply: the read index. SnapshotChunk(Reply): the snapshot's index.
    /// Recover, RecoverReply: the sender's last entry.
    /// </summary>
    public LogIndex Index { get; init; }

    /// <summary>Term of the entry at <see cref="Index"/>.</summary>
    public Term LogTerm { get; init; }

    /// <summary>Append, Heartbeat, Quiesce: how far the log is committed.</summary>
    public LogIndex Commit { get; init; }

    /// <summary>The sender has lost a part of its log and has not caught up: an Append may be refused behind what was acknowledged.</summary>
    public bool IsRecovering { get; init; }

    /// <summary>Replies: refused.</summary>
    public bool Reject { get; init; }

    /// <summary>Vote: the leader itself asked for this election, so a live leader is no reason to ignore it.</summary>
    public bool IsTransfer { get; init; }

    /// <summary>Refused AppendReply: the last position that could match, by the follower's knowledge.</summary>
    public LogIndex HintIndex { get; init; }

    /// <summary>Refused AppendReply: the follower's term at <see cref="HintIndex"/>.</summary>
    public Term HintTerm { get; init; }

    /// <summary>Heartbeats and reads: names the read request; unique for the life of a cluster member, 0 for none.</summary>
    public ReadContext Context { get; init; }

    /// <summary>Heartbeats and their answers: the number of the round, within the leader's term; 0 for none. Quiesce: that of the last round before it.</summary>
    public ulong Round { get; init; }

    /// <summary>HeartbeatReply: what the sender promises by it, see <see cref="RaftOptions.Silence"/>; in microseconds.</summary>
    public ulong Silence { get; init; }

    /// <summary>Append, Propose: the entries.</summary>
    public IReadOnlyList<Entry> Entries { get; init; } = [];

    /// <summary>SnapshotChunk: the membership of the snapshot (see <see cref="MembershipCodec"/>).</summary>
    public ReadOnlyMemory<byte> Membership { get; init; }

    /// <summary>SnapshotChunk: byte offset of the piece. SnapshotChunkReply: bytes held without a gap.</summary>
    public ulong ChunkOffset { get; init; }

    /// <summary>SnapshotChunk: the whole snapshot's size in bytes; 0 for a witness, which is told where the log stands and no more.</summary>
    public ulong SnapshotLength { get; init; }

    /// <summary>SnapshotChunk: the bytes. Forward, ForwardReply, StateReport, LeaseAsk, LeaseReply: the payload.</summary>
    public ReadOnlyMemory<byte> Chunk { get; init; }
}

/// <summary>
/// Names one read request. <paramref name="Origin"/> is drawn at random when a node starts, so that an answer to an earlier
/// life of the node cannot confirm a later read; <paramref name="Sequence"/> rises with each request.
/// </summary>
public readonly record struct ReadContext(ulong Origin, ulong Sequence)
{
    /// <summary>No read.</summary>
    public static readonly ReadContext None;

    /// <inheritdoc/>
    public override string ToString() => $"{Origin:x}/{Sequence}";
}
