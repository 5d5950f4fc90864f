using System.Buffers.Binary;

namespace MetaStore.Engine.Replication;

/// <summary>
/// The body of a state check, an entry by which the cluster says which state it is in: what most voters reported at an earlier index, or that no state has
/// a majority. Or the entry asks all members for a report as of itself. Also the body of a report.
/// <code>
/// check := index:u64  digest:u64  what:u64 (0: the state at the index
///                                           1: the voters are in so many states that none has a majority; the digest is 0
///                                           2: a report is asked for; index and digest are 0)
/// </code>
/// Little-endian; part of the disk and wire format: never reorder.
/// </summary>
internal readonly record struct StateCheck(ulong Index, ulong Digest, bool IsSplit = false, bool IsAsked = false)
{
    public const int Bytes = 24;

    private const ulong Split = 1;
    private const ulong Asked = 2;

    /// <summary>Asks for reports.</summary>
    public static StateCheck Ask { get; } = new(0, 0, IsAsked: true);

    public byte[] Encode()
    {
        var bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Index);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), Digest);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), IsAsked ? Asked : IsSplit ? Split : 0);
        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no state check.</exception>
    public static StateCheck Decode(ReadOnlyMemory<byte> bytes) => bytes.Length == Bytes
        ? new StateCheck(Number(bytes, 0), Number(bytes, 8), IsSplit: Number(bytes, 16) == Split, IsAsked: Number(bytes, 16) == Asked)
        : throw new RequestFormatException($"a state check of {bytes.Length} bytes; it has {Bytes}");

    private static ulong Number(ReadOnlyMemory<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.Span[offset..]);
}

/// <summary>
/// This node's own state at each Nth index and wherever it is asked for, reported when it is reached and held against the checks that come out of the log. Owned by
/// the apply loop.
/// </summary>
/// <param name="every">N.</param>
/// <param name="reached">Told of the state at each of them.</param>
/// <param name="logEndedAt">
/// Where the log ended when the node started. That the voters were split before is history: whoever starts a node again has decided that its state is to count.
/// </param>
internal sealed class StateChecks(ulong every, Action<StateCheck> reached, ulong logEndedAt = 0)
{
    /// <summary>A check comes out of the log soon after its index; what is older than this many was missed, and the next one will tell as well.</summary>
    private const int Kept = 64;

    private readonly Queue<StateCheck> _own = new();

    /// <summary>Checks that agreed.</summary>
    public long Agreed { get; private set; }

    /// <summary>The state that the last of them was about.</summary>
    public ulong? AgreedDigest { get; private set; }

    /// <summary>The entry at <paramref name="index"/> is applied. <paramref name="isAsked"/>: it asked for a report.</summary>
    public void Applied(ulong index, ulong digest, bool isAsked = false)
    {
        if (!isAsked && index % every != 0)
        {
            return;
        }

        var check = new StateCheck(index, digest);
        _own.Enqueue(check);
        if (_own.Count > Kept)
        {
            _own.Dequeue();
        }

        reached(check);
    }

    /// <summary>What the cluster says of an earlier index, by the entry at <paramref name="at"/>.</summary>
    /// <exception cref="StateDivergedException">This node was in another state there, or nobody knows which state is the right one.</exception>
    public void Compare(StateCheck check, ulong at)
    {
        if (check.IsAsked || (check.IsSplit && at <= logEndedAt))
        {
            return;
        }

        foreach (StateCheck own in _own)
        {
            if (own.Index == check.Index || KnownBugs.StatesOfOtherIndexesCompared)
            {
                Agreed += own.Digest == check.Digest && !check.IsSplit ? 1 : throw new StateDivergedException(own, check);
                AgreedDigest = own.Digest;
            }
        }
    }
}

/// <summary>What the voters that hold data reported of their states; on the leader. Owned by the node loop.</summary>
/// <param name="askTicks">Ticks after which reports are asked for where the log is too slow to bring them.</param>
internal sealed class StateTally(int askTicks = int.MaxValue)
{
    private const int IndexesKept = 16;

    private readonly SortedDictionary<ulong, Dictionary<ulong, ulong>> _reports = [];
    private ulong _settled;
    private ulong _toldOf;
    private int _ticks;
    private ulong _askedAbout;
    private bool _isAnswered;

    /// <summary>
    /// One tick of a leader in the state <paramref name="digest"/>. True: it is time to ask, for the state is new, or most have not answered the question about it, and nobody has said for long
    /// whether all are in it.
    /// </summary>
    /// <param name="digest">The state.</param>
    /// <param name="membership">Who may be asked.</param>
    /// <param name="hasAll">Whether a member's log is as long as the leader's: whoever gets a question with a snapshot does not answer it.</param>
    public bool Tick(ulong digest, MetaStore.Raft.Membership membership, Func<MetaStore.Raft.NodeId, bool> hasAll)
    {
        _ticks++;
        bool isOpen = digest != _askedAbout || !(_isAnswered || KnownBugs.StatesAskedForOnce);
        bool isTime = _ticks >= askTicks && isOpen && !IsAlone(membership) && CanAnswer(membership, hasAll);
        if (isTime)
        {
            _ticks = 0;
            _askedAbout = digest;
            _isAnswered = false;
        }

        return isTime;
    }

    /// <summary>The newest index at which two voters reported different states, each once; null: none that was not asked for yet.</summary>
    public ulong? TakeDifference()
    {
        ulong? newest = _reports.Where(index => index.Key > _toldOf && index.Value.Values.Distinct().Count() > 1).Select(index => (ulong?)index.Key).LastOrDefault();
        _toldOf = newest ?? _toldOf;
        return newest;
    }

    /// <summary>A voter reports. The check to propose, once most of them report the same, or so many states were reported that none can have a majority.</summary>
    public StateCheck? Add(ulong node, StateCheck report, MetaStore.Raft.Membership membership)
    {
        int voters = Holding(membership);
        if (report.Index <= _settled || IsAlone(membership))
        {
            return null;
        }

        if (!_reports.TryGetValue(report.Index, out Dictionary<ulong, ulong>? reports))
        {
            _reports.Add(report.Index, reports = []);
            if (_reports.Count > IndexesKept)
            {
                _reports.Remove(_reports.Keys.First());
            }
        }

        reports[node] = report.Digest;
        ulong[] digests = [.. membership.Voters.Where(voter => !membership.IsWitness(voter) && reports.ContainsKey(voter.Value)).Select(voter => reports[voter.Value])];
        int agreeing = digests.Count(digest => digest == report.Digest);
        bool isSplit = digests.Length > 0 && digests.CountBy(digest => digest).Max(group => group.Value) + voters - digests.Length <= voters / 2;
        if (agreeing <= voters / 2 && !isSplit)
        {
            return null;
        }

        _settled = report.Index;
        _ticks = 0;
        _isAnswered |= isSplit || report.Digest == _askedAbout; // Of another state that the members were in before, it is no answer.
        foreach (ulong index in _reports.Keys.Where(index => index <= _settled).ToArray())
        {
            _reports.Remove(index);
        }

        return isSplit ? new StateCheck(report.Index, 0, IsSplit: true) : report;
    }

    private static bool CanAnswer(MetaStore.Raft.Membership membership, Func<MetaStore.Raft.NodeId, bool> hasAll) =>
        KnownBugs.StatesAskedForOnce || membership.Voters.Count(voter => !membership.IsWitness(voter) && hasAll(voter)) > Holding(membership) / 2;

    /// <summary>Voters that are in a state: witnesses are in none.</summary>
    private static int Holding(MetaStore.Raft.Membership membership) => membership.Voters.Count(voter => !membership.IsWitness(voter));

    /// <summary>A voter that alone holds a state has nobody to differ from, unless there are learners: they go by what it says.</summary>
    private static bool IsAlone(MetaStore.Raft.Membership membership) => Holding(membership) + membership.Learners.Count < 2;
}

/// <summary>
/// This node applied the same log as the others and came out in another state: its memory, its program or its machine is at fault. It must
/// not serve what it holds. Where no state has a majority nobody can tell which one is right, and all that hold one stop.
/// </summary>
internal sealed class StateDivergedException(StateCheck own, StateCheck check) : Exception(check.IsSplit
    ? $"the states of the members have diverged, and none has a majority: at index {own.Index} the hash of this node was {own.Digest:x16}; it stops serving. Decide whose state is to "
        + "count, start that member, and set the state of the others aside with \"metastore repair --data-dir DIR --diverged\""
    : $"the state of this node has diverged: at index {own.Index} its hash was {own.Digest:x16}, and that of most voters {check.Digest:x16}; "
        + "it stops serving. \"metastore repair --data-dir DIR --diverged\" sets its state aside; started again, it gets that of the others")
{
    /// <summary>The index at which the two differ.</summary>
    public ulong Index { get; } = own.Index;
}
