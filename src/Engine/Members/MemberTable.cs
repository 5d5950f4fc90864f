using System.Runtime.CompilerServices;
using MetaStore.Raft;

namespace MetaStore.Engine.Members;

/// <summary>
/// The members with their names and addresses, and the ids that were removed: what the attributes of a Raft membership hold. Who votes, and
/// with what priority, and who is a witness, is said by the Raft membership alone, so the two cannot differ. Immutable.
/// </summary>
internal sealed class MemberTable
{
    private static readonly MemberTable s_empty = new([], [], null, default);
    private static readonly ConditionalWeakTable<Membership, MemberTable> s_read = []; // Asked for with each tick, and changed once a month.

    private readonly SortedDictionary<ulong, Member> _members;
    private readonly SortedSet<ulong> _removed;
    private readonly Member? _leaving;

    private MemberTable(SortedDictionary<ulong, Member> members, SortedSet<ulong> removed, Member? leaving, ChangeOrigin lastChange)
    {
        _members = members;
        _removed = removed;
        _leaving = leaving;
        LastChange = lastChange;
    }

    /// <summary>
    /// Who asked for the change that led here. So whoever asked learns from its own log that it was made, even where the leader that
    /// made it cannot say so any more, since it removed itself, or died.
    /// </summary>
    public ChangeOrigin LastChange { get; }

    /// <summary>By id.</summary>
    public IReadOnlyCollection<Member> Members => _members.Values;

    /// <summary>Ids that belonged to members once; none of them is ever given out again.</summary>
    public IReadOnlyCollection<ulong> Removed => [.. _removed.Where(WasRemoved)];

    public IEnumerable<Member> Voters => Members.Where(member => !member.IsLearner);

    /// <exception cref="RequestFormatException">The attributes are not of this version.</exception>
    public static MemberTable From(Membership membership) => membership.Attributes.IsEmpty ? s_empty : s_read.GetValue(membership, Read);

    /// <summary>The members of a new cluster, all voters.</summary>
    public static Membership Bootstrap(IEnumerable<Member> members) =>
        new MemberTable(new SortedDictionary<ulong, Member>(members.ToDictionary(member => member.Id)), [], null, default).ToMembership();

    public Member? Find(ulong id) => _members.GetValueOrDefault(id);

    /// <summary>Whether a member has left; not before a joint configuration that still counts its vote has been left.</summary>
    public bool WasRemoved(ulong id) => _removed.Contains(id) && !_members.ContainsKey(id);

    /// <summary>With a member added or replaced.</summary>
    public MemberTable With(Member member) => new(new SortedDictionary<ulong, Member>(_members) { [member.Id] = member }, _removed, _leaving, LastChange);

    /// <summary>Without a member, whose id is kept so that it is never used again.</summary>
    public MemberTable Without(ulong id)
    {
        var members = new SortedDictionary<ulong, Member>(_members);
        members.Remove(id);
        return new MemberTable(members, KnownBugs.RemovedMemberForgotten ? _removed : [.. _removed, id], _leaving, LastChange);
    }

    /// <summary>
    /// Without a voter that is needed, and has to be reached, until the joint configuration is left that leads there: name and addresses stay in the attributes, and whoever reads them goes by
    /// whether the Raft membership still has it.
    /// </summary>
    public MemberTable Leaving(ulong id)
    {
        MemberTable without = Without(id);
        return new MemberTable(without._members, without._removed, KnownBugs.LeavingMemberForgotten ? null : _members[id], LastChange);
    }

    /// <summary>The same, with another word on who asked for it.</summary>
    public MemberTable Because(ChangeOrigin change) => new(_members, _removed, _leaving, change);

    public Membership ToMembership() => new(
        Voters.Select(member => new NodeId(member.Id)),
        Members.Where(member => member.IsLearner).Select(member => new NodeId(member.Id)),
        MemberTableCodec.Encode(_leaving is null ? Members : [.. Members, _leaving], _removed, LastChange),
        Members.Select(member => KeyValuePair.Create(new NodeId(member.Id), new MemberTraits(member.Priority, member.IsWitness))));

    private static MemberTable Read(Membership membership)
    {
        (IReadOnlyList<Member> members, IReadOnlyList<ulong> removed, ChangeOrigin lastChange) = MemberTableCodec.Decode(membership.Attributes);
        var table = new SortedDictionary<ulong, Member>();
        foreach (Member member in members.Where(member => membership.Contains(new NodeId(member.Id))))
        {
            var id = new NodeId(member.Id);
            MemberTraits traits = membership.TraitsOf(id);
            table[member.Id] = member with { IsLearner = membership.Learners.Contains(id), Priority = traits.Priority, IsWitness = traits.IsWitness };
        }

        return new MemberTable(table, [.. removed], null, lastChange);
    }
}

/// <summary>Who asked for a change of the members: a member and its request, and which member the change was about. All 0: nobody.</summary>
internal readonly record struct ChangeOrigin(ulong Asker, ulong Request, ulong Member);
