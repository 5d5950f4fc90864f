namespace MetaStore.Raft;

/// <summary>What a member is besides voter or learner.</summary>
/// <param name="Priority">
/// Who is to lead: of voters with the same log those with the higher number stand first, and a leader hands over to one. 0 stands last of all.
/// A preference only: safety never depends on it, and it keeps nobody from leading who alone can.
/// </param>
/// <param name="IsWitness">It votes and holds the log's positions and terms, but not what the entries carry. Never changes for a member.</param>
public readonly record struct MemberTraits(byte Priority, bool IsWitness = false)
{
    /// <summary>The priority of a member that was given none.</summary>
    public const byte DefaultPriority = 100;

    /// <summary>A member that holds everything, of the default priority.</summary>
    public static MemberTraits Default => new(DefaultPriority);
}

/// <summary>
/// Who belongs to a group, and as what. Always the whole truth, never a difference to something earlier: it is what a membership
/// entry of the log carries, so that whoever holds the entry knows the configuration, after a restart, behind a snapshot, or when
/// a later one was cut away. Immutable.
/// <para>
/// While <see cref="Outgoing"/> is not empty the configuration is joint (thesis, 4.3): elections, commits, reads and the quorum
/// check need a majority of <see cref="Voters"/> and a majority of <see cref="Outgoing"/>. A member may be in both.
/// </para>
/// </summary>
public sealed class Membership : IEquatable<Membership>
{
    /// <summary>Members of a group at most, all roles together.</summary>
    public const int MembersMax = 128;

    private readonly NodeId[] _voters;
    private readonly NodeId[] _outgoing;
    private readonly NodeId[] _learners;
    private readonly SortedDictionary<NodeId, MemberTraits> _traits;

    /// <summary>A configuration that is not joint.</summary>
    /// <param name="voters">Those who vote; empty only where nothing is known yet.</param>
    /// <param name="learners">Those who get the log and have no vote.</param>
    /// <param name="attributes">What the driver knows of the members; carried, never looked at. Not copied.</param>
    /// <param name="traits">Those members whose traits are not the default.</param>
    /// <exception cref="ArgumentException">A member is named twice, or is 0, or there are too many, or all voters are witnesses.</exception>
    public Membership(
        IEnumerable<NodeId> voters,
        IEnumerable<NodeId>? learners = null,
        ReadOnlyMemory<byte> attributes = default,
        IEnumerable<KeyValuePair<NodeId, MemberTraits>>? traits = null)
        : this(voters, [], learners ?? [], attributes, traits)
    {
    }

    internal Membership(
        IEnumerable<NodeId> voters,
        IEnumerable<NodeId> outgoing,
        IEnumerable<NodeId> learners,
        ReadOnlyMemory<byte> attributes,
        IEnumerable<KeyValuePair<NodeId, MemberTraits>>? traits = null)
    {
        _voters = [.. voters.Order()];
        _outgoing = [.. outgoing.Order()];
        _learners = [.. learners.Order()];
        Attributes = attributes;
        _traits = new SortedDictionary<NodeId, MemberTraits>((traits ?? []).Where(member => member.Value != MemberTraits.Default).ToDictionary());
        if (Problem() is { } problem)
        {
            throw new ArgumentException(problem);
        }
    }

    /// <summary>Nobody: a member that has not been told yet who else there is. It stands for no election.</summary>
    public static Membership Empty { get; } = new([]);

    /// <summary>Those who vote, in rising order.</summary>
    public IReadOnlyList<NodeId> Voters => _voters;

    /// <summary>The voters of the configuration that is being left, in rising order; empty where none is.</summary>
    public IReadOnlyList<NodeId> Outgoing => _outgoing;

    /// <summary>Those who get the log and have no vote, in rising order. While the configuration is joint, one of them may still vote in <see cref="Outgoing"/>.</summary>
    public IReadOnlyList<NodeId> Learners => _learners;

    /// <summary>What the driver knows of the members (names, addresses); Raft never looks at it.</summary>
    public ReadOnlyMemory<byte> Attributes { get; }

    /// <summary>The members whose traits are not the default, by rising id.</summary>
    public IReadOnlyCollection<KeyValuePair<NodeId, MemberTraits>> Traits => _traits;

    /// <summary>Whether there is a member that holds no data.</summary>
    public bool HasWitness => _traits.Values.Any(traits => traits.IsWitness);

    /// <summary>Whether two majorities are needed.</summary>
    public bool IsJoint => _outgoing.Length > 0;

    /// <summary>Everybody, each once, in rising order.</summary>
    public IEnumerable<NodeId> All => _voters.Union(_outgoing).Union(_learners).Order();

    /// <summary>Whether a member votes, in either half.</summary>
    public bool IsVoter(NodeId id) => Array.BinarySearch(_voters, id) >= 0 || Array.BinarySearch(_outgoing, id) >= 0;

    /// <summary>Whether somebody belongs to the group.</summary>
    public bool Contains(NodeId id) => IsVoter(id) || Array.BinarySearch(_learners, id) >= 0;

    /// <summary>What a member is besides voter or learner; the default for a stranger.</summary>
    public MemberTraits TraitsOf(NodeId id) => _traits.GetValueOrDefault(id, MemberTraits.Default);

    /// <summary>Whether a member holds no data.</summary>
    public bool IsWitness(NodeId id) => TraitsOf(id).IsWitness;

    /// <inheritdoc/>
    public bool Equals(Membership? other) =>
        other is not null
        && _voters.AsSpan().SequenceEqual(other._voters)
        && _outgoing.AsSpan().SequenceEqual(other._outgoing)
        && _learners.AsSpan().SequenceEqual(other._learners)
        && _traits.SequenceEqual(other._traits)
        && Attributes.Span.SequenceEqual(other.Attributes.Span);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Membership);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (NodeId member in All)
        {
            hash.Add(member);
        }

        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        string text = $"voters={string.Join(',', _voters)}";
        text += IsJoint ? $" outgoing={string.Join(',', _outgoing)}" : string.Empty;
        text += _learners.Length > 0 ? $" learners={string.Join(',', _learners)}" : string.Empty;
        NodeId[] witnesses = [.. _traits.Where(member => member.Value.IsWitness).Select(member => member.Key)];
        text += witnesses.Length > 0 ? $" witnesses={string.Join(',', witnesses)}" : string.Empty;
        string[] priorities =
            [.. _traits.Where(member => member.Value.Priority != MemberTraits.DefaultPriority).Select(member => $"{member.Key}:{member.Value.Priority}")];
        return text + (priorities.Length > 0 ? $" priorities={string.Join(',', priorities)}" : string.Empty);
    }

    /// <summary>
    /// The next step from here to <paramref name="target"/>. One voter more or less is safe in one step, since every majority of
    /// the one meets every majority of the other (thesis, 4.1); anything else goes through a joint configuration.
    /// </summary>
    public Membership StepTo(Membership target)
    {
        int differences = _voters.Except(target._voters).Count() + target._voters.Except(_voters).Count();
        return differences <= 1 || _voters.Length == 0
            ? target
            : new Membership(target._voters, _voters, target._learners, target.Attributes, [.. target._traits, .. _traits.Where(IsLeavingFor(target))]);
    }

    /// <summary>The configuration that a joint one leads to.</summary>
    public Membership LeaveJoint() => new(_voters, [], _learners, Attributes, _traits.Where(member => IsStaying(member.Key)));

    /// <summary>Voters that <paramref name="target"/> leaves out keep what they are for as long as they vote.</summary>
    private Func<KeyValuePair<NodeId, MemberTraits>, bool> IsLeavingFor(Membership target) => member =>
        Array.BinarySearch(_voters, member.Key) >= 0 && !target.Contains(member.Key);

    private bool IsStaying(NodeId id) => Array.BinarySearch(_voters, id) >= 0 || Array.BinarySearch(_learners, id) >= 0;

    private string? Problem()
    {
        if (_voters.Length + _outgoing.Length + _learners.Length > MembersMax)
        {
            return $"A group has at most {MembersMax} members; here are {_voters.Length} voters, {_outgoing.Length} outgoing and {_learners.Length} learners.";
        }

        if (_voters.Length == 0 && (_outgoing.Length > 0 || _learners.Length > 0))
        {
            return "A group with members has at least one voter.";
        }

        foreach (NodeId[] list in (ReadOnlySpan<NodeId[]>)[_voters, _outgoing, _learners])
        {
            for (int i = 0; i < list.Length; i++)
            {
                if (list[i].IsNone || (i > 0 && list[i] == list[i - 1]))
                {
                    return $"Member {list[i]} is named twice, or is 0, which stands for nobody.";
                }
            }
        }

        foreach (NodeId[] half in (ReadOnlySpan<NodeId[]>)[_voters, _outgoing])
        {
            if (half.Length > 0 && Array.TrueForAll(half, IsWitness))
            {
                return $"All voters ({string.Join(',', half)}) are witnesses: nobody could lead, or hold the data.";
            }
        }

        NodeId[] strangers = [.. _traits.Keys.Where(id => !Contains(id))];
        if (strangers.Length > 0)
        {
            return $"{strangers[0]} has traits and is no member.";
        }

        NodeId[] both = [.. _voters.Intersect(_learners)];
        return both.Length > 0 ? $"Member {both[0]} is both voter and learner." : null;
    }
}
