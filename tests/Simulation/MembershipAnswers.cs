using MetaStore.Engine;
using MetaStore.Engine.Members;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>What those were told who asked for a change of the members, held against the memberships that were committed in the end.</summary>
internal sealed class MembershipAnswers
{
    private readonly List<(MemberChange Change, ulong Member, int Known)> _made = [];
    private readonly List<(MemberChange Change, MetaStoreException Refusal)> _refused = [];

    /// <summary>Learners that took a voter's place, through a joint configuration, and whoever asked was told so.</summary>
    public int Replaced => _made.Count(made => made.Change is PromoteMember { Replacing: not 0 });

    /// <param name="change">What was asked for; null: no change of the members.</param>
    /// <param name="answer">What was said.</param>
    /// <param name="known">Memberships that had been committed when it was asked for.</param>
    public void Made(MemberChange? change, MembersResponse answer, int known)
    {
        if (change is not null)
        {
            _made.Add((change, answer.MemberId, known));
            CheckContent(change, answer.Members);
        }
    }

    public void Refused(MemberChange? change, MetaStoreException refusal)
    {
        if (change is not null && refusal.Outcome == Outcome.NotApplied)
        {
            _refused.Add((change, refusal));
        }
    }

    /// <summary>
    /// What was said to be done is in a membership that was committed after it was asked for, and what was said not to be done in none, as far as it can be told from what others did: whoever was to be added has an
    /// address that nobody else has, and of whom it was said that it was removed is no member any more.
    /// </summary>
    public void Check(IReadOnlyList<Membership> committed)
    {
        MemberTable[] tables = [.. committed.Where(membership => !membership.IsJoint).Select(MemberTable.From)];
        foreach ((MemberChange change, ulong member, int known) in _made)
        {
            int from = change is RemoveMember ? 0 : known; // Who is gone already, and does not know it, takes that for the answer.
            if (!committed.Skip(from).Any(membership => !membership.IsJoint && Shows(MemberTable.From(membership), change, member)))
            {
                throw Broken($"{Describe(change)} was said to be done, of {member:x}, and no membership shows it");
            }
        }

        foreach ((MemberChange change, MetaStoreException refusal) in _refused)
        {
            bool isUntrue = change switch
            {
                AddMember add => Array.Exists(tables, table => table.Members.Any(member => member.PeerUrls.SequenceEqual(add.PeerUrls))),
                RemoveMember remove when IsSaidToBeGone(refusal) => tables[^1].Find(remove.Id) is not null,
                PromoteMember promote when IsSaidToBeGone(refusal) => tables[^1].Find(promote.Id) is not null && (promote.Replacing == 0 || tables[^1].Find(promote.Replacing) is not null),
                _ => false,
            };
            if (isUntrue)
            {
                throw Broken($"{Describe(change)} was refused ({refusal.Message}), and the members came to be {string.Join(',', tables[^1].Members.Select(member => $"{member.Id:x}"))}");
            }
        }
    }

    private static bool Shows(MemberTable table, MemberChange change, ulong member) => change switch
    {
        AddMember add => table.Find(member) is { } added && added.PeerUrls.SequenceEqual(add.PeerUrls) && added.IsWitness == add.IsWitness,
        RemoveMember remove => table.WasRemoved(remove.Id),
        UpdateMember update => table.Find(update.Id)?.Priority == update.Priority,
        PromoteMember promote => table.Find(promote.Id) is { IsLearner: false } && (promote.Replacing == 0 || table.WasRemoved(promote.Replacing)),
        _ => throw new NotSupportedException($"{change.GetType().Name} is asked for by no operator"),
    };

    /// <summary>Whoever took the place may have been removed since; it has not become a learner again, and who left has not come back.</summary>
    private static void CheckContent(MemberChange change, IReadOnlyList<Member> members)
    {
        bool isRight = change switch
        {
            RemoveMember remove => members.All(member => member.Id != remove.Id),
            PromoteMember promote => members.All(member => member.Id != promote.Replacing && (member.Id != promote.Id || !member.IsLearner)),
            _ => true,
        };
        if (!isRight)
        {
            string known = string.Join(',', members.Select(member => $"{member.Id:x}{(member.IsLearner ? " (learner)" : string.Empty)}"));
            throw Broken($"{Describe(change)} was said to be done, and the members to be {known}");
        }
    }

    private static bool IsSaidToBeGone(MetaStoreException refusal) => refusal.Message.Contains("was removed from the cluster", StringComparison.Ordinal);

    private static string Describe(MemberChange change) => change switch
    {
        AddMember add => $"the addition of {string.Join(',', add.PeerUrls)}",
        RemoveMember remove => $"the removal of {remove.Id:x}",
        PromoteMember promote => $"the promotion of {promote.Id:x} in the place of {promote.Replacing:x}",
        UpdateMember update => $"the change of {update.Id:x} to priority {update.Priority}",
        _ => change.ToString(),
    };

    private static SimulationFailure Broken(string what) => new(FailureKind.Correctness, what);
}
