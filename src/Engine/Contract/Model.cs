namespace MetaStore.Engine;

/// <summary>The store's logical clock: each request that changes anything is one revision. A new store is at 1 (as etcd's).</summary>
public readonly record struct Revision(long Value) : IComparable<Revision>
{
    /// <summary>In a request: the newest revision.</summary>
    public static readonly Revision Current;

    /// <summary>The revision of a new store.</summary>
    public static readonly Revision First = new(1);

    /// <inheritdoc/>
    public int CompareTo(Revision other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();

    /// <summary>Order of revisions.</summary>
    public static bool operator <(Revision left, Revision right) => left.Value < right.Value;

    /// <summary>Order of revisions.</summary>
    public static bool operator >(Revision left, Revision right) => left.Value > right.Value;

    /// <summary>Order of revisions.</summary>
    public static bool operator <=(Revision left, Revision right) => left.Value <= right.Value;

    /// <summary>Order of revisions.</summary>
    public static bool operator >=(Revision left, Revision right) => left.Value >= right.Value;
}

/// <summary>A key with its value and history fields (etcd's mvccpb.KeyValue).</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value; empty where only keys were asked for.</param>
/// <param name="CreateRevision">Revision that created the key, since it was last absent.</param>
/// <param name="ModRevision">Revision of the last change.</param>
/// <param name="Version">Changes since creation; the first put makes it 1.</param>
/// <param name="LeaseId">The lease the key belongs to; 0 for none.</param>
public readonly record struct KeyValue(
    ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, Revision CreateRevision, Revision ModRevision, long Version, long LeaseId);

/// <summary>Who answered, and when in the store's and in Raft's time.</summary>
/// <param name="ClusterId">The cluster.</param>
/// <param name="NodeId">The node that answered.</param>
/// <param name="Revision">The store's revision at the answer.</param>
/// <param name="Term">The Raft term.</param>
public readonly record struct ResponseHeader(ulong ClusterId, ulong NodeId, Revision Revision, ulong Term);

/// <summary>
/// Something that can be asked of the store, alone or inside a transaction. Ranges follow etcd: an empty end is the single key,
/// the single byte 0 is everything from the key on, anything else is the first key not included; key and end both the byte 0 is all.
/// </summary>
public abstract record StoreRequest;

/// <summary>Stores a value.</summary>
public sealed record PutRequest : StoreRequest
{
    /// <summary>The key; not empty.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The value; must be empty with <see cref="IgnoreValue"/>.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>The longest <see cref="TimeToLive"/>: ten years.</summary>
    public static readonly TimeSpan TimeToLiveMax = TimeSpan.FromDays(3650);

    /// <summary>The lease to attach, which must be there; 0 detaches. Must be 0 with <see cref="IgnoreLease"/>.</summary>
    public long LeaseId { get; init; }

    /// <summary>
    /// Not zero: the key gets a lease of its own with this time to live, in milliseconds, and is gone when that has passed. The lease ends, too, when no key is attached to it any
    /// more: at the end of the next request that deletes the key, or puts it without <see cref="IgnoreLease"/>. It is a lease like others: <see cref="KeyValue.LeaseId"/> names it, and it can be
    /// renewed. Raised to one second or one and a half election timeouts where it is less. Zero with <see cref="LeaseId"/> or <see cref="IgnoreLease"/>. etcd has nothing of the kind.
    /// </summary>
    public TimeSpan TimeToLive { get; init; }

    /// <summary>Return the key's previous state.</summary>
    public bool ReturnPrevious { get; init; }

    /// <summary>Keep the key's value and renew the rest; the key must exist.</summary>
    public bool IgnoreValue { get; init; }

    /// <summary>Keep the key's lease; the key must exist.</summary>
    public bool IgnoreLease { get; init; }
}

/// <summary>What a range is sorted by. Part of the wire format: never renumber.</summary>
public enum SortTarget : byte
{
    /// <summary>The key.</summary>
    Key = 0,

    /// <summary>The version.</summary>
    Version = 1,

    /// <summary>The create revision.</summary>
    CreateRevision = 2,

    /// <summary>The mod revision.</summary>
    ModRevision = 3,

    /// <summary>The value, as bytes.</summary>
    Value = 4,
}

/// <summary>Direction of a sort. Part of the wire format: never renumber.</summary>
public enum SortOrder : byte
{
    /// <summary>Key order; with another target than the key, ascending.</summary>
    None = 0,

    /// <summary>Smallest first.</summary>
    Ascending = 1,

    /// <summary>Largest first.</summary>
    Descending = 2,
}

/// <summary>Reads one key or a range.</summary>
public sealed record RangeRequest : StoreRequest
{
    /// <summary>The largest <see cref="StalenessMax"/>: a day.</summary>
    public static readonly TimeSpan StalenessLimit = TimeSpan.FromDays(1);

    /// <summary>The first key; not empty.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The end; see <see cref="StoreRequest"/>.</summary>
    public ReadOnlyMemory<byte> RangeEnd { get; init; }

    /// <summary>Keys returned at most; 0 for all.</summary>
    public long Limit { get; init; }

    /// <summary>The revision to read at; <see cref="Revision.Current"/> (or negative) for the newest.</summary>
    public Revision Revision { get; init; }

    /// <summary>Read what this node has, without asking the cluster: may be old. Ignored inside a transaction.</summary>
    public bool Serializable { get; init; }

    /// <summary>
    /// Not zero: any node that knows its state to be at most so old may answer by itself; one that does not know asks the cluster, as for
    /// a linearizable read. Ignored with <see cref="Serializable"/>, which takes any age, and inside a transaction.
    /// </summary>
    public TimeSpan StalenessMax { get; init; }

    /// <summary>Only count.</summary>
    public bool CountOnly { get; init; }

    /// <summary>Leave the values out.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>What to sort by.</summary>
    public SortTarget SortTarget { get; init; }

    /// <summary>How to sort.</summary>
    public SortOrder SortOrder { get; init; }

    /// <summary>Leave out keys changed before this revision; 0 for no bound.</summary>
    public Revision MinModRevision { get; init; }

    /// <summary>Leave out keys changed after this revision; 0 for no bound.</summary>
    public Revision MaxModRevision { get; init; }

    /// <summary>Leave out keys created before this revision; 0 for no bound.</summary>
    public Revision MinCreateRevision { get; init; }

    /// <summary>Leave out keys created after this revision; 0 for no bound.</summary>
    public Revision MaxCreateRevision { get; init; }
}

/// <summary>Removes one key or a range.</summary>
public sealed record DeleteRangeRequest : StoreRequest
{
    /// <summary>The first key; not empty.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The end; see <see cref="StoreRequest"/>.</summary>
    public ReadOnlyMemory<byte> RangeEnd { get; init; }

    /// <summary>Return what was removed.</summary>
    public bool ReturnPrevious { get; init; }
}

/// <summary>What a <see cref="Compare"/> looks at. Part of the wire format: never renumber.</summary>
public enum CompareTarget : byte
{
    /// <summary>The version; 0 for a missing key.</summary>
    Version = 0,

    /// <summary>The create revision; 0 for a missing key.</summary>
    CreateRevision = 1,

    /// <summary>The mod revision; 0 for a missing key.</summary>
    ModRevision = 2,

    /// <summary>The value; a missing key never passes, whatever the relation.</summary>
    Value = 3,

    /// <summary>The lease; 0 for a missing key.</summary>
    Lease = 4,
}

/// <summary>The relation a <see cref="Compare"/> asks for. Part of the wire format: never renumber.</summary>
public enum CompareRelation : byte
{
    /// <summary>Equal.</summary>
    Equal = 0,

    /// <summary>The store's is greater.</summary>
    Greater = 1,

    /// <summary>The store's is less.</summary>
    Less = 2,

    /// <summary>Not equal.</summary>
    NotEqual = 3,
}

/// <summary>A condition of a transaction. With a range end, every key of the range must pass.</summary>
public sealed record Compare
{
    /// <summary>The key; not empty.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The end; see <see cref="StoreRequest"/>.</summary>
    public ReadOnlyMemory<byte> RangeEnd { get; init; }

    /// <summary>What is compared.</summary>
    public CompareTarget Target { get; init; }

    /// <summary>How.</summary>
    public CompareRelation Relation { get; init; }

    /// <summary>The number to compare with, for all targets but the value.</summary>
    public long Number { get; init; }

    /// <summary>The bytes to compare with, for the value.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }
}

/// <summary>Compares, then runs <see cref="Success"/> if all comparisons hold, else <see cref="Failure"/>. Nests.</summary>
public sealed record TxnRequest : StoreRequest
{
    /// <summary>The conditions; all must hold.</summary>
    public IReadOnlyList<Compare> Compare { get; init; } = [];

    /// <summary>Operations if they do, in order; later ones see what earlier ones did.</summary>
    public IReadOnlyList<StoreRequest> Success { get; init; } = [];

    /// <summary>Operations if they do not.</summary>
    public IReadOnlyList<StoreRequest> Failure { get; init; } = [];
}

/// <summary>Gives up history. Not allowed inside a transaction.</summary>
/// <param name="Revision">The oldest revision that stays readable.</param>
public sealed record CompactRequest(Revision Revision) : StoreRequest;

/// <summary>Asks for a hash.</summary>
/// <param name="Revision">At which revision; <see cref="Revision.Current"/> for the newest the node has.</param>
public sealed record HashRequest(Revision Revision);

/// <summary>An answer of the store.</summary>
public abstract record StoreResponse
{
    /// <summary>Who answered and when. Inside a transaction only the revision is set, as in etcd.</summary>
    public ResponseHeader Header { get; init; }
}

/// <summary>Answer to a put.</summary>
public sealed record PutResponse : StoreResponse
{
    /// <summary>The previous state, where it was asked for and existed.</summary>
    public KeyValue? Previous { get; init; }
}

/// <summary>Answer to a range.</summary>
public sealed record RangeResponse : StoreResponse
{
    /// <summary>The keys, in the order asked for.</summary>
    public IReadOnlyList<KeyValue> Items { get; init; } = [];

    /// <summary>Whether the limit cut something off.</summary>
    public bool More { get; init; }

    /// <summary>Keys in the range at that revision, whatever limit and filters say.</summary>
    public long Count { get; init; }

    /// <summary>
    /// How old the answer may be at most: every write that was acknowledged longer ago is in it. Measured on the answering node's clock. Zero for a
    /// linearizable read; null where the node cannot say, or the read was part of a transaction.
    /// </summary>
    public TimeSpan? Staleness { get; init; }
}

/// <summary>Answer to a removal.</summary>
public sealed record DeleteRangeResponse : StoreResponse
{
    /// <summary>How many keys were removed.</summary>
    public long Deleted { get; init; }

    /// <summary>The removed keys, where asked for.</summary>
    public IReadOnlyList<KeyValue> Previous { get; init; } = [];
}

/// <summary>Answer to a transaction.</summary>
public sealed record TxnResponse : StoreResponse
{
    /// <summary>Whether the comparisons held.</summary>
    public bool Succeeded { get; init; }

    /// <summary>An answer for each operation that ran.</summary>
    public IReadOnlyList<StoreResponse> Responses { get; init; } = [];
}

/// <summary>Answer to a compaction.</summary>
public sealed record CompactResponse : StoreResponse;

/// <summary>A node's view of itself and its cluster.</summary>
public sealed record StatusResponse : StoreResponse
{
    /// <summary>The program's version.</summary>
    public required string Version { get; init; }

    /// <summary>The node's name.</summary>
    public required string Name { get; init; }

    /// <summary>The leader it knows; 0 for none.</summary>
    public ulong LeaderId { get; init; }

    /// <summary>The last index of its log.</summary>
    public ulong LastIndex { get; init; }

    /// <summary>How far it knows the log to be committed.</summary>
    public ulong CommitIndex { get; init; }

    /// <summary>How far it has applied the log.</summary>
    public ulong AppliedIndex { get; init; }

    /// <summary>Index of its newest snapshot.</summary>
    public ulong SnapshotIndex { get; init; }

    /// <summary>The oldest readable revision; 0 before the first compaction.</summary>
    public Revision CompactRevision { get; init; }

    /// <summary>Live keys.</summary>
    public long KeyCount { get; init; }

    /// <summary>Bytes of the log and snapshots on disk, with log files that are filled ahead of time.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Bytes of memory that the node has taken for keys, values and history: what etcd calls the size of its database.</summary>
    public long StoreBytes { get; init; }

    /// <summary>Bytes of that which keys, values and history are in.</summary>
    public long StoreBytesInUse { get; init; }

    /// <summary>The members.</summary>
    public IReadOnlyList<Member> Members { get; init; } = [];

    /// <summary>Whether the node is a learner.</summary>
    public bool IsLearner { get; init; }

    /// <summary>Whether the node is a witness: it holds no data, and its revision and keys say nothing.</summary>
    public bool IsWitness { get; init; }
}

/// <summary>Answer to a hash request.</summary>
public sealed record HashResponse : StoreResponse
{
    /// <summary>The hash.</summary>
    public required uint Hash { get; init; }

    /// <summary>The revision that was hashed.</summary>
    public Revision HashRevision { get; init; }

    /// <summary>The oldest revision whose history is in the hash; hashes compare only where it is equal.</summary>
    public Revision CompactRevision { get; init; }
}
