using MetaStore.Raft;

namespace MetaStore.Engine;

/// <summary>
/// Who belongs to the cluster, and who leads it. The embedded node and the remote client both implement it; any member may be asked,
/// one that does not lead hands the request to the leader. Failures are those of <see cref="IMetaStore"/>.
/// </summary>
public interface IMetaStoreCluster
{
    /// <summary>The members.</summary>
    /// <param name="linearizable">False: as the answering node knows them, which may be old.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    ValueTask<MembersResponse> MembersAsync(bool linearizable = true, CancellationToken cancellationToken = default);

    /// <summary>
    /// Changes the members; answered when the change is committed and the answering node has applied it. Changes go one at a time, and
    /// one that would leave the cluster without a majority of members that are up is refused (<see cref="MetaStoreError.UnhealthyCluster"/>).
    /// </summary>
    ValueTask<MembersResponse> ChangeMembersAsync(MemberChange change, CancellationToken cancellationToken = default);

    /// <summary>Hands leadership to another voter (Raft thesis, 3.10); answered when the answering node follows it.</summary>
    /// <param name="target">The voter's id.</param>
    /// <param name="cancellationToken">Ends the wait; the hand-over may still take place.</param>
    ValueTask<MembersResponse> MoveLeaderAsync(ulong target, CancellationToken cancellationToken = default);
}

/// <summary>A member of the cluster.</summary>
/// <param name="Id">Its id; never used again after the member is removed.</param>
/// <param name="Name">Its name; empty until it has first started.</param>
/// <param name="PeerUrls">Where its peers reach it.</param>
/// <param name="ClientUrls">Where clients reach it; empty until it has first started.</param>
/// <param name="IsLearner">Whether it gets the log but has no vote.</param>
/// <param name="PromoteWhenReady">Whether the leader makes the learner a voter as soon as it has caught up.</param>
/// <param name="DirectoryId">Names the data directory that it first started on; 0 until it has. On another one it is not the same member.</param>
/// <param name="Priority">
/// Who is to lead: voters of a higher number stand for election first, and a leader hands over to one. 0 stands last of all. A preference:
/// whoever alone can lead does.
/// </param>
/// <param name="IsWitness">Whether it votes without holding data: it makes majorities, serves nothing and never leads.</param>
public sealed record Member(
    ulong Id,
    string Name,
    IReadOnlyList<string> PeerUrls,
    IReadOnlyList<string> ClientUrls,
    bool IsLearner = false,
    bool PromoteWhenReady = false,
    ulong DirectoryId = 0,
    byte Priority = MemberTraits.DefaultPriority,
    bool IsWitness = false)
{
    /// <inheritdoc/>
    public bool Equals(Member? other) =>
        other is not null
        && Id == other.Id
        && Name == other.Name
        && PeerUrls.SequenceEqual(other.PeerUrls)
        && ClientUrls.SequenceEqual(other.ClientUrls)
        && IsLearner == other.IsLearner
        && PromoteWhenReady == other.PromoteWhenReady
        && DirectoryId == other.DirectoryId
        && Priority == other.Priority
        && IsWitness == other.IsWitness;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Id, Name, IsLearner);
}

/// <summary>A change of the members.</summary>
public abstract record MemberChange;

/// <summary>
/// Adds a member, which is then started with the state "existing". It gets a new id, which the answer names. Every member begins without a
/// vote, so that one that never starts, or has far to catch up, takes no majority away; the leader gives it one as soon as it has caught up.
/// </summary>
/// <param name="PeerUrls">Where its peers will reach it; used by no other member.</param>
/// <param name="IsLearner">It stays without a vote until somebody promotes it.</param>
/// <param name="IsWitness">
/// It will vote without holding data, and stays a witness for as long as it is a member. Refused (<see cref="MetaStoreError.TooManyWitnesses"/>)
/// where the voters would have more witnesses than members with data.
/// </param>
/// <param name="Priority">Who is to lead; see <see cref="Member"/>. Of a witness it means nothing.</param>
public sealed record AddMember(
    IReadOnlyList<string> PeerUrls, bool IsLearner = false, bool IsWitness = false, byte Priority = MemberTraits.DefaultPriority) : MemberChange;

/// <summary>Removes a member, the leader itself included.</summary>
/// <param name="Id">The member.</param>
public sealed record RemoveMember(ulong Id) : MemberChange;

/// <summary>Changes where a member's peers reach it, or its priority, or both, and nothing else.</summary>
/// <param name="Id">The member.</param>
/// <param name="PeerUrls">The new addresses; none, where a priority is given: as they are.</param>
/// <param name="Priority">Who is to lead; see <see cref="Member"/>. Null: as it is.</param>
public sealed record UpdateMember(ulong Id, IReadOnlyList<string> PeerUrls, byte? Priority = null) : MemberChange;

/// <summary>
/// Makes a voter of a learner that has caught up with the leader; in the place of another voter, if one is named. That goes through a joint configuration (thesis, 4.3), so that the number of
/// voters stays what it is: with one promoted and the other removed after, four would vote for a while where three did, and two of them down at that moment would be too many.
/// </summary>
/// <param name="Id">The learner.</param>
/// <param name="Replacing">The voter that is removed by the same change, the leader itself included; 0: nobody is.</param>
public sealed record PromoteMember(ulong Id, ulong Replacing = 0) : MemberChange;

/// <summary>What a started member tells of itself.</summary>
/// <param name="Id">The member.</param>
/// <param name="Name">Its name.</param>
/// <param name="ClientUrls">Where clients reach it.</param>
/// <param name="DirectoryId">Names its data directory.</param>
internal sealed record PublishMember(ulong Id, string Name, IReadOnlyList<string> ClientUrls, ulong DirectoryId) : MemberChange;

/// <summary>Answer to whatever concerns the members.</summary>
public sealed record MembersResponse : StoreResponse
{
    /// <summary>The members, by id.</summary>
    public IReadOnlyList<Member> Members { get; init; } = [];

    /// <summary>The member that was added or changed; 0 where none was.</summary>
    public ulong MemberId { get; init; }
}
