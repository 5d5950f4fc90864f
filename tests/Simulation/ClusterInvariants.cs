using MetaStore.Engine.Mvcc;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>
/// The properties of the Raft paper's figure 3, and those of the store above it, over all nodes and all their lives: one leader per
/// term, log matching, leader completeness, state machine safety, and one state, revision and hash for each applied index.
/// </summary>
internal sealed class ClusterInvariants
{
    private readonly Dictionary<Term, NodeId> _leaders = [];
    private readonly Dictionary<(LogIndex Index, Term Term), (Term? Previous, EntryKind Kind, ulong Data)> _entries = [];
    private readonly Dictionary<LogIndex, (Term Term, EntryKind Kind, ulong Data)> _committed = [];
    private readonly Dictionary<LogIndex, Term> _committedIn = [];
    private readonly Dictionary<ulong, (ulong Digest, long Revision, long Compacted)> _states = [];
    private readonly Dictionary<ulong, ulong> _members = [];
    private readonly List<Membership> _memberships = [];
    private LogIndex _committedMax;
    private Term _ledMax;

    public LogIndex CommittedMax => _committedMax;

    /// <summary>The memberships that were committed, in the order in which somebody learned of them.</summary>
    public IReadOnlyList<Membership> Memberships => _memberships;

    /// <param name="node">A leader.</param>
    /// <param name="term">Of which term.</param>
    /// <param name="holdsLease">It would answer reads without asking: then nobody may ever have led a higher term.</param>
    public void Leads(NodeId node, Term term, bool holdsLease)
    {
        _ledMax = term > _ledMax ? term : _ledMax;
        if (holdsLease && term < _ledMax)
        {
            throw Broken($"{node} has its lease of term {term}, and term {_ledMax} has a leader");
        }

        if (!_leaders.TryAdd(term, node) && _leaders[term] != node)
        {
            throw Broken($"{node} and {_leaders[term]} both lead term {term}");
        }
    }

    /// <summary>
    /// Log matching: an entry of one index and term is one entry, and has one predecessor. False where it was known already. What a witness holds has
    /// no data to compare, and is no entry that nobody had before.
    /// </summary>
    public bool Appended(NodeId node, in Entry entry, Term? previous)
    {
        ulong data = DataHash(entry);
        bool isStripped = IsStripped(entry);
        if (isStripped && !_entries.ContainsKey((entry.Index, entry.Term)))
        {
            throw Broken($"{node} holds an entry without its data at {entry.Index} of term {entry.Term}, and nobody has had it with");
        }

        if (_entries.TryAdd((entry.Index, entry.Term), (previous, entry.Kind, data)))
        {
            return true;
        }

        (Term? Previous, EntryKind Kind, ulong Data) known = _entries[(entry.Index, entry.Term)];
        bool isSame = known.Kind == entry.Kind && (known.Data == data || isStripped);
        if (!isSame || (known.Previous is not null && previous is not null && known.Previous != previous))
        {
            throw Broken($"{node} holds another entry at {entry.Index} of term {entry.Term} than was seen before (previous term {previous}, was {known.Previous})");
        }

        return false;
    }

    /// <summary>A node that is in <paramref name="term"/> knows that an entry is committed. Who knows it first is the leader that committed it.</summary>
    public void Committed(NodeId node, Term term, in Entry entry)
    {
        _committedIn.TryAdd(entry.Index, term);
        ulong data = IsStripped(entry) && _committed.TryGetValue(entry.Index, out (Term Term, EntryKind Kind, ulong Data) known) ? known.Data : DataHash(entry);
        bool isNews = _committed.TryAdd(entry.Index, (entry.Term, entry.Kind, data));
        if (isNews && entry.Kind == EntryKind.Membership)
        {
            _memberships.Add(MembershipCodec.Decode(entry.Data));
        }

        if (!isNews && _committed[entry.Index] != (entry.Term, entry.Kind, data))
        {
            throw Broken($"{node} commits an entry of term {entry.Term} at {entry.Index}, where one of term {_committed[entry.Index].Term} was committed");
        }

        _committedMax = entry.Index > _committedMax ? entry.Index : _committedMax;
    }

    /// <summary>A member that has caught up holds, durably, everything it ever acknowledged that is committed.</summary>
    /// <param name="node">The member.</param>
    /// <param name="raft">Its Raft node.</param>
    /// <param name="lost">The last entry that it had acknowledged.</param>
    /// <param name="term">The term of that. What a later term has committed in its place is another entry, which this member never acknowledged.</param>
    public void CheckRecovered(NodeId node, RaftNode raft, LogIndex lost, Term term)
    {
        LogIndex through = lost < _committedMax ? lost : _committedMax;
        while (through > LogIndex.Zero && _committed.TryGetValue(through, out (Term Term, EntryKind Kind, ulong Data) later) && later.Term > term)
        {
            through = new LogIndex(through.Value - 1);
        }

        // A snapshot is published before it takes the place of the log; that it has is what the next write says.
        var snapshot = new LogIndex(raft.FirstIndex.Value - 1);
        if (raft.DurableIndex < through && snapshot < through)
        {
            throw Broken($"{node} takes itself for recovered with a log that is durable through {raft.DurableIndex}; it had acknowledged {lost}, and {_committedMax} is committed");
        }

        for (LogIndex index = raft.FirstIndex; index <= through; index = index.Next)
        {
            if (_committed.TryGetValue(index, out (Term Term, EntryKind Kind, ulong Data) entry) && raft.TermAt(index) != entry.Term)
            {
                throw Broken($"{node} takes itself for recovered with term {raft.TermAt(index)} at {index}; term {entry.Term} is committed there");
            }
        }
    }

    /// <summary>
    /// Leader completeness: a new leader has what was committed in terms before its own. It may learn late that it was elected, when others lead and commit
    /// in a later term; those entries it need not have.
    /// </summary>
    public void CheckCompleteness(NodeId node, RaftNode raft)
    {
        LogIndex through = _committedMax;
        while (through > LogIndex.Zero && _committedIn.TryGetValue(through, out Term term) && term >= raft.Term)
        {
            through = new LogIndex(through.Value - 1);
        }

        if (raft.LastIndex < through)
        {
            throw Broken($"{node} leads term {raft.Term} with a log that ends at {raft.LastIndex}; {through} was committed before");
        }

        for (LogIndex index = raft.FirstIndex; index <= through; index = index.Next)
        {
            if (_committed.TryGetValue(index, out (Term Term, EntryKind Kind, ulong Data) entry) && raft.TermAt(index) != entry.Term)
            {
                throw Broken($"{node} leads term {raft.Term} with term {raft.TermAt(index)} at {index}; term {entry.Term} is committed there");
            }
        }
    }

    public void Applied(NodeId node, StoreView view)
    {
        ulong members = StateDigest.Add(0, MembershipCodec.Encode(view.Membership));
        if (!_members.TryAdd(view.AppliedIndex, members) && _members[view.AppliedIndex] != members)
        {
            throw Broken($"{node} knows other members at applied index {view.AppliedIndex} than were known before: {view.Membership}");
        }

        if (view.IsHollow)
        {
            return; // In no state.
        }

        (ulong Digest, long Revision, long Compacted) state = (view.Digest, view.Revision, view.CompactRevision);
        if (!_states.TryAdd(view.AppliedIndex, state) && _states[view.AppliedIndex] != state)
        {
            throw Broken($"{node} at applied index {view.AppliedIndex} is in state {state}; it was {_states[view.AppliedIndex]} before");
        }
    }

    /// <summary>As witnesses have it: whatever has a body has lost it.</summary>
    public static bool IsStripped(in Entry entry) => entry.Kind is EntryKind.Command or EntryKind.StateCheck && entry.Data.IsEmpty;

    private static ulong DataHash(in Entry entry) => StateDigest.Add((ulong)entry.Kind, entry.Data.Span);

    private static SimulationFailure Broken(string what) => new(FailureKind.Correctness, what);
}
