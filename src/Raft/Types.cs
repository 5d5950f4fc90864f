namespace MetaStore.Raft;

/// <summary>Names a member of the cluster; 0 is nobody.</summary>
public readonly record struct NodeId(ulong Value) : IComparable<NodeId>
{
    /// <summary>Nobody: no vote, no leader.</summary>
    public static readonly NodeId None;

    /// <summary>Whether this is <see cref="None"/>.</summary>
    public bool IsNone => Value == 0;

    /// <inheritdoc/>
    public int CompareTo(NodeId other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString("x");
}

/// <summary>Names a Raft group of a node. One node hosts many groups over one log and one stream per peer.</summary>
public readonly record struct GroupId(uint Value)
{
    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}

/// <summary>Raft's logical clock (paper, 5.1). 0 is before the first election.</summary>
public readonly record struct Term(ulong Value) : IComparable<Term>
{
    /// <summary>Before the first election; also the term of the empty log's position 0.</summary>
    public static readonly Term Zero;

    /// <summary>The following term.</summary>
    public Term Next => new(Value + 1);

    /// <inheritdoc/>
    public int CompareTo(Term other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();

    /// <summary>Order of terms.</summary>
    public static bool operator <(Term left, Term right) => left.Value < right.Value;

    /// <summary>Order of terms.</summary>
    public static bool operator >(Term left, Term right) => left.Value > right.Value;

    /// <summary>Order of terms.</summary>
    public static bool operator <=(Term left, Term right) => left.Value <= right.Value;

    /// <summary>Order of terms.</summary>
    public static bool operator >=(Term left, Term right) => left.Value >= right.Value;
}

/// <summary>Position in a group's log; the first entry is 1, and 0 is the position before it.</summary>
public readonly record struct LogIndex(ulong Value) : IComparable<LogIndex>
{
    /// <summary>The position before the first entry.</summary>
    public static readonly LogIndex Zero;

    /// <summary>The following position.</summary>
    public LogIndex Next => new(Value + 1);

    /// <inheritdoc/>
    public int CompareTo(LogIndex other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();

    /// <summary>Order of positions.</summary>
    public static bool operator <(LogIndex left, LogIndex right) => left.Value < right.Value;

    /// <summary>Order of positions.</summary>
    public static bool operator >(LogIndex left, LogIndex right) => left.Value > right.Value;

    /// <summary>Order of positions.</summary>
    public static bool operator <=(LogIndex left, LogIndex right) => left.Value <= right.Value;

    /// <summary>Order of positions.</summary>
    public static bool operator >=(LogIndex left, LogIndex right) => left.Value >= right.Value;
}

/// <summary>What an entry carries. Part of the disk and wire format: never renumber.</summary>
public enum EntryKind : byte
{
    /// <summary>The empty entry by which a new leader commits everything before it (paper, 5.4.2 and 8).</summary>
    Empty = 1,

    /// <summary>A batch of operations for the state machine.</summary>
    Command = 2,

    /// <summary>A membership (see <see cref="MembershipCodec"/>); counts as soon as it is in the log.</summary>
    Membership = 3,

    /// <summary>The driver's own word on the state machine's state, for its replicas to hold theirs against. Raft never looks at it.</summary>
    StateCheck = 4,
}

/// <summary>An entry of the replicated log.</summary>
public readonly record struct Entry(Term Term, LogIndex Index, EntryKind Kind, ReadOnlyMemory<byte> Data);

/// <summary>What a voter must never forget (paper, figure 2). Commit is a hint that saves work after a restart.</summary>
public readonly record struct HardState(Term Term, NodeId Vote, LogIndex Commit);

/// <summary>What a snapshot stands for: the log up to <paramref name="Index"/>, whose entry there was of <paramref name="Term"/>, and the membership then.</summary>
public sealed record SnapshotMetadata(LogIndex Index, Term Term, Membership Membership);

/// <summary>What a node is within its group.</summary>
public enum Role
{
    /// <summary>Follows a leader, or waits for one.</summary>
    Follower,

    /// <summary>Asks whether an election could be won, without raising the term (thesis, 9.6).</summary>
    PreCandidate,

    /// <summary>Asks for votes.</summary>
    Candidate,

    /// <summary>Leads.</summary>
    Leader,
}
