namespace MetaStore.Raft.Tests.Cluster;

/// <summary>A safety property of Raft does not hold; the text says which, with the values.</summary>
internal sealed class SafetyViolation(string message) : Exception(message);

/// <summary>
/// Watches a whole cluster from outside, knowing what no member can know: every commit of every member, all disks at once
/// (paper, figure 3). Call <see cref="Check"/> after every step.
/// </summary>
internal sealed class ClusterChecker(IReadOnlyList<Member> members)
{
    private readonly Dictionary<Term, NodeId> _leaders = [];
    private readonly Dictionary<NodeId, (RaftNode Life, LogIndex Commit)> _seen = [];
    private readonly List<Committed> _committed = [];
    private readonly Dictionary<ReadContext, LogIndex> _readFloors = [];
    private readonly Dictionary<LogIndex, ulong> _digests = [];
    private readonly HashSet<(LogIndex Index, Term Term)> _onDataDisks = [];
    private readonly HashSet<(LogIndex Index, Term Term)> _ofWitnesses = [];

    /// <summary>The highest position that any member has known to be committed.</summary>
    public LogIndex Commit => new((ulong)_committed.Count);

    /// <summary>The membership that all begin with; null: all of them are voters.</summary>
    public Membership? Initial { get; set; }

    /// <summary>Whether leaders have leases, by one clock for all.</summary>
    public bool HasLeases { get; init; }

    /// <summary>That clock.</summary>
    public long Now { get; set; }

    /// <summary>How often a leader was seen to have a lease while another member stood for election.</summary>
    public int LeasesContested { get; private set; }

    /// <summary>Reads whose answer was checked.</summary>
    public int ReadsAnswered { get; private set; }

    public static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new SafetyViolation(message);
        }
    }

    public void Check()
    {
        foreach (Member member in members.Where(member => !member.IsWitness))
        {
            RememberDisk(member);
        }

        foreach (Member member in members)
        {
            if (member.IsUp)
            {
                CheckCommits(member);
                CheckLeader(member);
                CheckDigest(member);
                CheckWitness(member);
            }
        }

        if (HasLeases)
        {
            CheckLeases();
        }
    }

    /// <summary>Only the leader of a term speaks for it: what anybody else tells others to append or to believe is not the leader's log.</summary>
    public void Sent(Message message)
    {
        if (message.Kind is MessageKind.Append or MessageKind.Heartbeat or MessageKind.SnapshotChunk)
        {
            Require(
                _leaders.TryGetValue(message.Term, out NodeId leader) && leader == message.From,
                $"{message.From} sends {message.Kind} in term {message.Term}, which it does not lead");
        }
    }

    /// <summary>A read begins now: its answer must show everything committed so far.</summary>
    public void ReadStarted(ReadContext context) => _readFloors[context] = Commit;

    public void ReadAnswered(ReadState read)
    {
        Require(_readFloors.Remove(read.Context, out LogIndex floor), $"answer to read {read.Context}, which nobody asked");
        Require(read.Index >= floor, $"stale read {read.Context}: index {read.Index}, but {floor} was committed when it was asked");
        ReadsAnswered++;
    }

    public void ReadAborted(ReadContext context) =>
        Require(_readFloors.Remove(context), $"abort of read {context}, which nobody asked");

    /// <summary>Log matching: where two logs agree on a term at a position, they agree on everything before it.</summary>
    public void CheckLogMatching()
    {
        foreach (Member left in members.Where(member => member.IsUp))
        {
            foreach (Member right in members.Where(member => member.IsUp && member.Id.Value > left.Id.Value))
            {
                CheckLogMatching(left.Node, right.Node);
            }
        }
    }

    /// <summary>With no write under way, what a node holds in memory is what is on its disk.</summary>
    public static void CheckDisk(Member member)
    {
        RaftNode node = member.Node;
        if (member.Disk.UnderWay > 0 || node.HasReady)
        {
            return;
        }

        Require(member.Disk.HardState.Term == node.Term, $"member {member.Id} is in term {node.Term}, its disk in {member.Disk.HardState.Term}");
        ulong from = Math.Max(node.FirstIndex.Value, member.Disk.Mark.Index.Value + 1);
        for (ulong index = from; index <= node.LastIndex.Value; index++)
        {
            Term? onDisk = member.Disk.TermAt(new LogIndex(index));
            Require(onDisk == node.TermAt(new LogIndex(index)), $"member {member.Id} has term {node.TermAt(new LogIndex(index))} at {index}, its disk {onDisk}");
        }

        Require(node.DurableIndex == node.LastIndex, $"member {member.Id} believes {node.DurableIndex} of {node.LastIndex} durable with no write under way");
    }

    private bool IsWitness(NodeId id) => members.Any(member => member.Id == id && member.IsWitness);

    private void CheckLogMatching(RaftNode left, RaftNode right)
    {
        ulong from = Math.Max(left.FirstIndex.Value, right.FirstIndex.Value);
        ulong through = Math.Min(left.LastIndex.Value, right.LastIndex.Value);
        bool mustMatch = false;
        for (ulong index = through; index >= from && index > 0; index--)
        {
            Entry one = left.EntryAt(new LogIndex(index))!.Value;
            Entry other = right.EntryAt(new LogIndex(index))!.Value;
            bool same = one.Term == other.Term;
            Require(same || !mustMatch, $"members {left.Id} and {right.Id} agree behind {index}, but not there: terms {one.Term} and {other.Term}");
            Require(!same || one.Kind == other.Kind, $"members {left.Id} and {right.Id} have kinds {one.Kind} and {other.Kind} at {index} in term {one.Term}");
            bool bothHaveData = !IsWitness(left.Id) && !IsWitness(right.Id);
            Require(!same || !bothHaveData || one.Data.Span.SequenceEqual(other.Data.Span), $"members {left.Id} and {right.Id} have different data at {index} in term {one.Term}");
            mustMatch |= same;
        }
    }

    private void CheckCommits(Member member)
    {
        RaftNode node = member.Node;
        LogIndex from = _seen.TryGetValue(member.Id, out (RaftNode Life, LogIndex Commit) seen) && ReferenceEquals(seen.Life, node) ? seen.Commit : LogIndex.Zero;
        Require(node.CommitIndex >= from, $"member {member.Id}: commit index fell from {from} to {node.CommitIndex}");
        for (ulong index = Math.Max(from.Value + 1, node.FirstIndex.Value); index <= node.CommitIndex.Value; index++)
        {
            CheckCommitted(member, node.EntryAt(new LogIndex(index))!.Value);
        }

        _seen[member.Id] = (node, node.CommitIndex);
    }

    private void CheckCommitted(Member member, Entry entry)
    {
        if (entry.Index <= Commit)
        {
            Committed known = _committed[(int)entry.Index.Value - 1];
            bool sameData = member.IsWitness || known.Entry.Data.Span.SequenceEqual(entry.Data.Span);
            bool same = known.Entry.Term == entry.Term && known.Entry.Kind == entry.Kind && sameData;
            Require(same, $"committed entry {entry.Index} changed: term {known.Entry.Term} before, {entry.Term} at member {member.Id}");
            return;
        }

        Require(entry.Index == Commit.Next, $"member {member.Id} committed {entry.Index} while everybody else was at {Commit}");
        HashSet<NodeId> holders = [.. members.Where(other => HoldsOnDisk(other, entry)).Select(other => other.Id)];
        Require(
            MembershipsOf(member.Node).Any(membership => HaveMajority(holders, membership)),
            $"entry {entry.Index} of term {entry.Term} committed by member {member.Id} ({member.Node.Membership}) with the disks of {string.Join(',', holders.Order())} holding it");
        Require(!member.IsWitness, $"witness {member.Id} was the first to know that {entry.Index} is committed");
        Require(members.Any(other => !other.IsWitness && holders.Contains(other.Id)), $"entry {entry.Index} of term {entry.Term} is committed, and its data is on no disk");
        _committed.Add(new Committed(entry, member.Node.Term));
    }

    /// <summary>The membership that counted at a commit: the newest, or the joint one that was left because of it.</summary>
    private IEnumerable<Membership> MembershipsOf(RaftNode node)
    {
        // Before any entry names one, all begin with the same; nobody may have a view of its own.
        if (node.MembershipIndex > LogIndex.Zero || node.SnapshotIndex > LogIndex.Zero || node.Membership.Equals(Initial ?? new Membership(members.Select(member => member.Id))))
        {
            yield return node.Membership;
        }

        if (node.MembershipIndex > LogIndex.Zero && node.MembershipAt(new LogIndex(node.MembershipIndex.Value - 1)) is { IsJoint: true } joint)
        {
            yield return joint;
        }
    }

    private static bool HaveMajority(HashSet<NodeId> holders, Membership membership) =>
        holders.Count(membership.Voters.Contains) > membership.Voters.Count / 2
        && (!membership.IsJoint || holders.Count(membership.Outgoing.Contains) > membership.Outgoing.Count / 2);

    /// <summary>What was lost by damage may still be counted: until it is made good, nobody is elected by the member that lost it.</summary>
    private static bool HoldsOnDisk(Member member, Entry entry) => member.Disk.HasHeld(entry);

    private void CheckLeader(Member member)
    {
        RaftNode node = member.Node;
        if (node.Role != Role.Leader)
        {
            return;
        }

        if (_leaders.TryGetValue(node.Term, out NodeId known))
        {
            Require(known == node.Id, $"members {known} and {node.Id} both lead term {node.Term}");
            return;
        }

        _leaders[node.Term] = node.Id;
        foreach (Committed committed in _committed)
        {
            bool concerns = committed.InTerm < node.Term && committed.Entry.Index >= node.FirstIndex;
            Require(!concerns || node.TermAt(committed.Entry.Index) == committed.Entry.Term, $"leader {node.Id} of term {node.Term} lacks entry {committed.Entry.Index}, committed in term {committed.InTerm}");
        }
    }

    /// <summary>Beside a leader that has a lease nobody leads a later term.</summary>
    private void CheckLeases()
    {
        foreach (Member holder in members.Where(member => member.IsUp && member.Node.HoldsLeaseAt(Now)))
        {
            foreach (Member other in members.Where(member => member.IsUp && member != holder))
            {
                bool leadsLater = other.Node.Role == Role.Leader && other.Node.Term > holder.Node.Term;
                Require(!leadsLater, $"{holder.Id} has a lease in term {holder.Node.Term}, and {other.Id} leads term {other.Node.Term}");
                LeasesContested += other.Node.Role is Role.Candidate or Role.PreCandidate ? 1 : 0;
            }
        }
    }

    /// <summary>A witness leads nobody, holds nothing that commands carry, and nothing at all that no disk with data has had before.</summary>
    private void CheckWitness(Member member)
    {
        RaftNode node = member.Node;
        if (!member.IsWitness)
        {
            return;
        }

        Require(node.Role == Role.Follower, $"witness {node.Id} is {node.Role}");
        for (LogIndex index = node.LastIndex; index >= node.FirstIndex && index > LogIndex.Zero; index = new LogIndex(index.Value - 1))
        {
            Entry entry = node.EntryAt(index)!.Value;
            if (!_ofWitnesses.Add((index, entry.Term)))
            {
                break; // Seen, and so is everything before it.
            }

            Require(entry.Kind == EntryKind.Membership || entry.Data.IsEmpty, $"witness {node.Id} holds {entry.Data.Length} bytes of {entry.Kind} {index}");
            Require(_onDataDisks.Contains((index, entry.Term)), $"witness {node.Id} holds entry {index} of term {entry.Term}, which no disk with data ever held");
        }
    }

    private void RememberDisk(Member member)
    {
        IReadOnlyList<Entry> entries = member.Disk.Entries;
        for (int i = entries.Count - 1; i >= 0 && _onDataDisks.Add((entries[i].Index, entries[i].Term)); i--)
        {
            // Until one that is known: those before it are, too.
        }
    }

    private void CheckDigest(Member member)
    {
        if (member.IsWitness)
        {
            return; // It applies nothing.
        }

        LogIndex applied = member.Machine.Applied;
        if (!_digests.TryAdd(applied, member.Machine.Digest))
        {
            Require(_digests[applied] == member.Machine.Digest, $"member {member.Id} has another state at {applied} than others had");
        }
    }

    private sealed record Committed(Entry Entry, Term InTerm);
}
