using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Members;

/// <summary>What the leader knows of the members beside the table.</summary>
/// <param name="Leader">The leader itself.</param>
/// <param name="IsActive">Whether a member was heard of lately.</param>
/// <param name="Match">How far a member's log matches; 0 where it is not known.</param>
/// <param name="LastIndex">The last entry of the leader's log.</param>
internal readonly record struct LeaderKnowledge(ulong Leader, Func<ulong, bool> IsActive, Func<ulong, ulong> Match, ulong LastIndex)
{
    public bool IsUp(ulong id) => id == Leader || IsActive(id);
}

/// <summary>
/// What a change makes of the members, and which changes are refused: those that mean nothing, and those that would leave the cluster
/// without a majority of members that are up (etcd's strict reconfiguration check, applied to who is up now), or without enough members that
/// hold data. A witness stays one: no change makes a member with data of it, or the reverse.
/// </summary>
internal sealed class MemberRules(int learnersMax, Func<ulong> drawId)
{
    /// <summary>A learner that has this share of the leader's log may be promoted (etcd's readyPercent).</summary>
    private const double ReadyShare = 0.9;

    /// <summary>Half of what a snapshot takes at its head: the rest is for the ids of those who are removed, which is never refused for want of room.</summary>
    private const int TableBytesMax = SnapshotInfo.ConfigurationBytesMax / 2;

    /// <summary>The table that the change leads to, and the member it is about.</summary>
    /// <exception cref="MetaStoreException">The change is refused; the message says why.</exception>
    public (MemberTable Table, ulong MemberId) Apply(MemberTable table, MemberChange change, in LeaderKnowledge knowledge)
    {
        (MemberTable Table, ulong MemberId) result = change switch
        {
            AddMember add => Add(table, add),
            RemoveMember remove => (Remove(table, remove.Id, knowledge), remove.Id),
            UpdateMember update => (Update(table, update), update.Id),
            PromoteMember { Replacing: 0 } promote => (Promote(table, promote.Id, knowledge), promote.Id),
            PromoteMember replace => (Replace(table, replace, knowledge), replace.Id),
            PublishMember publish => (Publish(table, publish), publish.Id),
            _ => throw new MetaStoreException(MetaStoreError.InvalidArgument, $"{change.GetType().Name} is no change of the members that this node knows"),
        };
        if (change is not RemoveMember)
        {
            CheckFits(result.Table); // Whoever leaves makes room.
        }

        return result;
    }

    /// <summary>Whether the change would be taken now.</summary>
    public bool Takes(MemberTable table, MemberChange change, in LeaderKnowledge knowledge)
    {
        try
        {
            Apply(table, change, knowledge);
            return true;
        }
        catch (MetaStoreException)
        {
            return false;
        }
    }

    /// <summary>Whether a learner has caught up well enough to vote.</summary>
    public static bool IsReady(ulong learner, in LeaderKnowledge knowledge) =>
        knowledge.IsActive(learner) && knowledge.Match(learner) >= (ulong)(knowledge.LastIndex * ReadyShare);

    /// <exception cref="MetaStoreException">An address is none.</exception>
    public static void CheckUrls(IReadOnlyList<string> urls)
    {
        bool areSound = urls.Count > 0 && urls.Distinct().Count() == urls.Count && urls.All(IsUrl);
        if (!areSound)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"given member URLs are invalid: \"{string.Join(",", urls)}\"; they look like http://10.0.0.1:2380, each once");
        }
    }

    /// <summary>The members are in one entry of the log, and at the head of each snapshot; what does not fit there would end every node that comes upon it.</summary>
    private static void CheckFits(MemberTable table)
    {
        if (table.Members.Count > Membership.MembersMax)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"the cluster would have {table.Members.Count} members; it has at most {Membership.MembersMax}: remove one first");
        }

        int bytes = MembershipCodec.Encode(table.ToMembership()).Length;
        if (bytes > TableBytesMax)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"names and addresses of the members would take {bytes} bytes, and may take {TableBytesMax}: give fewer or shorter addresses");
        }
    }

    private static bool IsUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? url)
        && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)
        && url.Host.Length > 0
        && url.PathAndQuery == "/"
        && url.UserInfo.Length == 0;

    private (MemberTable Table, ulong MemberId) Add(MemberTable table, AddMember add)
    {
        CheckUrls(add.PeerUrls);
        CheckUrlsAreFree(table, 0, add.PeerUrls);
        if (add.IsLearner && table.Members.Count(member => member is { IsLearner: true, PromoteWhenReady: false }) >= learnersMax)
        {
            throw new MetaStoreException(MetaStoreError.TooManyLearners, $"too many learner members in cluster; at most {learnersMax}, promote or remove one first");
        }

        if (add.IsWitness)
        {
            // Refused now rather than when it has caught up and asks for its vote.
            CheckWitnesses([.. table.Members, new Member(0, string.Empty, add.PeerUrls, [], IsWitness: true)]);
        }

        ulong id = drawId();
        while (id == 0 || table.Find(id) is not null || table.WasRemoved(id))
        {
            id = drawId();
        }

        byte priority = add.IsWitness ? MemberTraits.DefaultPriority : add.Priority;
        var member = new Member(
            id, string.Empty, add.PeerUrls, [], IsLearner: true, PromoteWhenReady: !add.IsLearner, Priority: priority, IsWitness: add.IsWitness);
        return (table.With(member), id);
    }

    private static MemberTable Remove(MemberTable table, ulong id, in LeaderKnowledge knowledge)
    {
        Member member = Get(table, id);
        if (!member.IsLearner)
        {
            List<Member> rest = [.. table.Voters.Where(voter => voter.Id != id)];
            if (rest.Count == 0)
            {
                throw new MetaStoreException(MetaStoreError.NotEnoughStarted, $"member {id:x} is the last voter; a cluster cannot be without one");
            }

            CheckWitnesses(rest);
            CheckMajorityIsUp(rest, knowledge);
        }

        return table.Without(id);
    }

    private static MemberTable Update(MemberTable table, UpdateMember update)
    {
        Member member = Get(table, update.Id);
        if (update.Priority is not null && member.IsWitness)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, $"member {update.Id:x} is a witness: it never leads, so it has no priority");
        }

        IReadOnlyList<string> urls = update is { Priority: not null, PeerUrls.Count: 0 } ? member.PeerUrls : update.PeerUrls;
        CheckUrls(urls);
        CheckUrlsAreFree(table, update.Id, urls);
        return table.With(member with
        {
            PeerUrls = urls,
            Priority = update.Priority ?? member.Priority,
            IsLearner = member.IsLearner && !KnownBugs.UpdateMakesLearnerVoter,
        });
    }

    private static MemberTable Promote(MemberTable table, ulong id, in LeaderKnowledge knowledge)
    {
        CheckPromotable(table, id, knowledge);
        Member promoted = Promoted(Get(table, id));
        CheckWitnesses([.. table.Voters, promoted]);
        CheckMajorityIsUp([.. table.Voters, promoted], knowledge);
        return table.With(promoted);
    }

    private static Member Promoted(Member learner) => learner with { IsLearner = false, PromoteWhenReady = false };

    private static void CheckPromotable(MemberTable table, ulong id, in LeaderKnowledge knowledge)
    {
        Member member = Get(table, id);
        if (!member.IsLearner)
        {
            throw new MetaStoreException(MetaStoreError.MemberNotLearner, "can only promote a learner member");
        }

        if (!IsReady(id, knowledge) && !KnownBugs.LearnerPromotedUnseen)
        {
            throw new MetaStoreException(
                MetaStoreError.LearnerNotReady,
                $"can only promote a learner member which is in sync with leader; it has {knowledge.Match(id)} of {knowledge.LastIndex} entries");
        }

        if (member.DirectoryId == 0 && !KnownBugs.LearnerPromotedBeforeItIsNamed)
        {
            // Until that is known, the member's loss of its data could not be told from a restart, and it could vote twice in one term.
            throw new MetaStoreException(
                MetaStoreError.LearnerNotReady,
                "can only promote a learner member which is in sync with leader; it has not published yet on which data directory it runs");
        }
    }

    /// <summary>Both halves of the joint configuration that this goes through need a majority that is up: the voters as they are, and as they will be.</summary>
    private static MemberTable Replace(MemberTable table, PromoteMember replace, in LeaderKnowledge knowledge)
    {
        if (Get(table, replace.Replacing).IsLearner)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"member {replace.Replacing:x} is a learner and has no vote that another could take; remove it, or name a voter");
        }

        CheckPromotable(table, replace.Id, knowledge);
        CheckMajorityIsUp(table.Voters, knowledge);
        MemberTable replaced = table.With(Promoted(Get(table, replace.Id))).Leaving(replace.Replacing);
        CheckWitnesses([.. replaced.Voters]);
        CheckMajorityIsUp(replaced.Voters, knowledge);
        int named = table.Voters.Count() + replaced.Members.Count;
        return named <= Membership.MembersMax
            ? replaced
            : throw new MetaStoreException(
                MetaStoreError.InvalidArgument,
                $"for a while {named} members would be named, voters of before and after, and {Membership.MembersMax} may be: promote {replace.Id:x}, and remove {replace.Replacing:x} then");
    }

    private static MemberTable Publish(MemberTable table, PublishMember publish)
    {
        Member member = Get(table, publish.Id);
        if (member.DirectoryId != 0 && member.DirectoryId != publish.DirectoryId)
        {
            throw new MetaStoreException(
                MetaStoreError.InvalidArgument, $"member {publish.Id:x} ran on data directory {member.DirectoryId:x}, and comes with {publish.DirectoryId:x}");
        }

        return table.With(member with { Name = publish.Name, ClientUrls = publish.ClientUrls, DirectoryId = publish.DirectoryId });
    }

    private static Member Get(MemberTable table, ulong id) => table.Find(id) ?? throw new MetaStoreException(
        MetaStoreError.MemberNotFound, table.WasRemoved(id) ? $"member not found: {id:x} was removed from the cluster" : $"member not found: {id:x}");

    private static void CheckUrlsAreFree(MemberTable table, ulong except, IReadOnlyList<string> urls)
    {
        Member? owner = table.Members.FirstOrDefault(member => member.Id != except && member.PeerUrls.Intersect(urls).Any());
        if (owner is not null)
        {
            throw new MetaStoreException(MetaStoreError.PeerUrlsExist, $"Peer URLs already exists: member {owner.Id:x} has {string.Join(",", owner.PeerUrls)}");
        }
    }

    /// <summary>
    /// Witnesses are half of the voters at most: so any majority has a member with data in it, and none can be made of witnesses alone.
    /// </summary>
    private static void CheckWitnesses(IReadOnlyCollection<Member> voters)
    {
        int witnesses = voters.Count(member => member.IsWitness);
        if (2 * witnesses > voters.Count)
        {
            throw new MetaStoreException(
                MetaStoreError.TooManyWitnesses,
                $"{witnesses} of {voters.Count} voters would be witnesses, and at most half may be: a majority must have a member with data; remove a witness or add a member first");
        }
    }

    /// <summary>Of the voters that there will be, a majority must be up now.</summary>
    private static void CheckMajorityIsUp(IEnumerable<Member> voters, in LeaderKnowledge knowledge)
    {
        List<Member> present = [.. voters];
        LeaderKnowledge leader = knowledge;
        int started = present.Count(member => member.Name.Length > 0);
        int up = present.Count(member => leader.IsUp(member.Id));
        int majority = (present.Count / 2) + 1;
        if (started < majority)
        {
            throw new MetaStoreException(
                MetaStoreError.NotEnoughStarted,
                $"re-configuration failed due to not enough started members: {started} of {present.Count} have started, and {majority} are needed");
        }

        if (up < majority)
        {
            throw new MetaStoreException(
                MetaStoreError.UnhealthyCluster, $"unhealthy cluster: {up} of {present.Count} voters are up, and the change needs {majority}");
        }
    }
}
