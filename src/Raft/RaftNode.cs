namespace MetaStore.Raft;

/// <summary>
/// One member of a Raft group as a pure state machine: no clock, thread, disk or network inside, and no randomness but the seed's.
/// Everything that happens to it is a method call; everything it wants done comes back as a <see cref="Ready"/> (the design of
/// etcd-io/raft, with asynchronous storage). Not thread-safe: one loop owns it.
/// <code>
///     while (true)
///     {
///         wait for: a tick, a message, a proposal, a read, a receipt of the log, news of the state machine
///         node.Tick() / Step(message) / Propose(data) / RequestRead(context) / Advance(receipt) / AdvanceApplied(index)
///         while (node.HasReady)
///         {
///             Ready ready = node.TakeReady();
///             log.Append(ready.Append);        // asynchronously; its receipt comes back through Advance
///             network.Send(ready.Messages);    // need not wait for the append: what must, is not among them
///             stateMachine.Apply(ready.Committed);
///             ...
///         }
///     }
/// </code>
/// <para>
/// <b>Durability.</b> A message that promises something (a granted vote, a request for votes, an acknowledged append) is sealed
/// until the <see cref="WriteReceipt"/> of the write it relies on has come, and only then appears in
/// <see cref="Ready.Messages"/>. Its sender cannot hand it out early, for it never sees it. Several writes may be under way.
/// A leader's own appends go out at once, and may even be committed by a majority of followers before the leader's disk is done.
/// </para>
/// <para>
/// <b>Parts.</b> <c>TermGate</c> (which messages pass), <c>Election</c>, <c>Following</c>, <c>Leadership</c> with
/// <c>Replication</c>, <c>LeaderReads</c>, <c>LeaderLease</c> and <c>Succession</c>, <c>ForwardedReads</c>; <c>Quiescence</c> (the way out of sleep); <c>RoleSwitch</c> alone changes roles and terms;
/// <c>RaftLog</c> and <c>WriteLedger</c> hold the log and what of it is durable.
/// </para>
/// </summary>
/// <remarks>Paper: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", 2014.
/// Thesis: Ongaro, "Consensus: Bridging Theory and Practice", 2014.</remarks>
public sealed class RaftNode
{
    private readonly NodeState _state;
    private readonly Replication _replication;
    private readonly LeaderReads _leaderReads;
    private readonly LeaderLease _leaderLease;
    private readonly ForwardedReads _forwardedReads;
    private readonly Succession _succession;
    private readonly Leadership _leadership;
    private readonly RoleSwitch _roles;
    private readonly Election _election;
    private readonly Following _following;
    private readonly TermGate _gate;
    private readonly Quiescence _quiescence;
    private readonly ReadyBuilder _ready;

    /// <summary>Begins as a follower: of a new group, or where <paramref name="restart"/> says this member was.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public RaftNode(RaftOptions options, RaftRestart? restart = null)
    {
        _state = new NodeState(options, restart);
        _replication = new Replication(_state);
        _leaderReads = new LeaderReads(_state);
        _forwardedReads = new ForwardedReads(_state);
        _succession = new Succession(_state, _replication);
        _leaderLease = new LeaderLease(_state);
        _leadership = new Leadership(_state, _replication, _leaderReads, _leaderLease, _succession);
        _roles = new RoleSwitch(_state, _leadership, _forwardedReads);
        _election = new Election(_state, _roles);
        _following = new Following(_state);
        _gate = new TermGate(_state, _roles);
        _quiescence = new Quiescence(_state, _replication, _leadership, _roles);
        _ready = new ReadyBuilder(_state, _replication);
        _roles.RestartElectionTimer();
    }

    /// <summary>This member.</summary>
    public NodeId Id => _state.Id;

    /// <summary>Who leads <see cref="Term"/>, as far as this member knows.</summary>
    public NodeId Leader => _state.Leader;

    /// <summary>What this member is in its group now.</summary>
    public Role Role => _state.Role;

    /// <summary>The term this member is in; may not be durable yet.</summary>
    public Term Term => _state.Term;

    /// <summary>For whom this member voted in <see cref="Term"/>; may not be durable yet.</summary>
    public NodeId Vote => _state.Vote;

    /// <summary>Everything through here is committed.</summary>
    public LogIndex CommitIndex => _state.Log.Commit;

    /// <summary>The last entry, durable or not.</summary>
    public LogIndex LastIndex => _state.Log.LastIndex;

    /// <summary>The first entry still held; one behind <see cref="LastIndex"/> where none is.</summary>
    public LogIndex FirstIndex => _state.Log.FirstIndex;

    /// <summary>The newest snapshot the log knows of; 0 for none.</summary>
    public LogIndex SnapshotIndex => _state.Log.SnapshotIndex;

    /// <summary>The log as it is now is known to be on this member's stable storage through here.</summary>
    public LogIndex DurableIndex => _state.Writes.DurableIndex;

    /// <summary>Bytes of entries that are not committed yet; 0 at rest.</summary>
    public long UncommittedBytes => _state.Log.UncommittedBytes;

    /// <summary>The newest membership in the log, committed or not: the one that counts. The same object until it changes.</summary>
    public Membership Membership => _state.Membership;

    /// <summary>Where the log has <see cref="Membership"/>; it is committed once <see cref="CommitIndex"/> is here.</summary>
    public LogIndex MembershipIndex => _state.Log.Memberships.CurrentIndex;

    /// <summary>
    /// Whether this node leads, and the membership that it goes by can only be changed by itself: it is committed, and not joint, and so is an entry of this term. Before that a change
    /// of a former leader's may yet be taken back.
    /// </summary>
    public bool IsMembershipSettled => _state.Role == Role.Leader && _leadership.IsMembershipSettled;

    /// <summary>
    /// Whether this member, which had lost a part of its log (<see cref="RaftRestart.IsRecovering"/>), has still to catch up. Once false it stays
    /// so, and the driver makes that durable whenever it likes: to forget it is safe.
    /// </summary>
    public bool IsRecovering => _state.Recovery.IsActive;

    /// <summary>Whom leadership is being handed to; none where it is not.</summary>
    public NodeId Transferee => _leadership.Transferee;

    /// <summary>
    /// Whether the group sleeps, as far as this member knows (CockroachDB's quiescence, TiKV's hibernation): the leader sends no heartbeats and
    /// followers hold no elections, for <see cref="Tick"/> does nothing. Whatever else happens to this member wakes it, but for a message that says nothing new. It changes nothing
    /// of what is promised: a vote is refused under a leader that was alive when the group fell asleep, the lease ends when it ends, and
    /// a read then asks a majority, which wakes it.
    /// </summary>
    public bool IsQuiescent => _state.IsQuiescent;

    /// <summary>Whether <see cref="TakeReady"/> would bring anything.</summary>
    public bool HasReady => _ready.HasWork;

    /// <summary>The membership that counted at a position; null where it is forgotten. For the tests, whose snapshots are of any moment.</summary>
    internal Membership? MembershipAt(LogIndex index) => _state.Log.Memberships.At(index);

    /// <summary>What the tests see of the leader's view of its peers.</summary>
    internal IEnumerable<Progress> Peers => _state.Role == Role.Leader ? _replication.Peers : [];

    /// <summary>Reads of this member that have not been answered or given up.</summary>
    internal int PendingReads => _leaderReads.Count + _forwardedReads.Count;

    /// <summary>Whether this member would answer reads at that moment, by its own clock, without asking anybody.</summary>
    public bool HoldsLeaseAt(long now) => _state.Role == Role.Leader && _leaderLease.IsValidAt(now);

    /// <summary>
    /// Takes everything that is to be done. Nothing is handed out twice; several may be outstanding. Committed entries come in
    /// order without a gap, and may be applied before they are durable here: a majority has them.
    /// </summary>
    public Ready TakeReady() => _ready.Build();

    /// <summary>
    /// Tells the time, by a clock that never goes back and runs on while the machine is suspended. Only the leader's lease looks at it. The
    /// time must be read after everything that is handed in next has happened: a read that began after it could be answered by a lease
    /// that has ended since.
    /// </summary>
    public void SetTime(long now) => _state.Now = Math.Max(now, _state.Now);

    /// <summary>Time passes; see <see cref="RaftOptions"/> for what a tick is.</summary>
    public void Tick()
    {
        if (_state.IsQuiescent)
        {
            return;
        }

        _state.PassSilence();
        _state.Writes.Tick();
        _forwardedReads.Tick();
        _succession.Tick();
        if (_state.Role != Role.Leader)
        {
            _election.Tick();
            return;
        }

        switch (_leadership.Tick())
        {
            case OfficeState.Lost:
                // It may still be heard, though it hears nobody: then a successor need not wait for its own election timeout.
                _leadership.Resign();
                _roles.BecomeFollower(_state.Term, NodeId.None);
                break;
            case OfficeState.ToRenew:
                _election.StandAgain();
                break;
            default:
                break;
        }
    }

    /// <summary>Ends <see cref="IsQuiescent"/>. The driver calls it when it has not heard of the leader's node for an election timeout.</summary>
    public void Wake() => _quiescence.Wake();

    /// <summary>
    /// Says when the leader's node was last heard of, before anything else is handed in while <see cref="IsQuiescent"/>: should that wake a
    /// follower, its election timer goes on as if the leader's heartbeats had come until then.
    /// </summary>
    /// <param name="ticks">
    /// Ticks since the last message, of whatever group, of the leader's node. Never more than have passed: the leader may count on a follower's
    /// patience (<see cref="RaftOptions.Silence"/>).
    /// </param>
    public void SetLeaderSilence(int ticks) => _quiescence.LeaderSilentTicks = ticks;

    /// <summary>
    /// Asks for another membership; only the leader can begin that. It counts as soon as it is in the log (paper, 6), and is done
    /// when it comes out of <see cref="Ready.Committed"/> as a <see cref="EntryKind.Membership"/> entry that is not joint. Changes of
    /// one voter go in one step, others by way of a joint membership, which a leader leaves by itself (thesis, 4.1 and 4.3).
    /// </summary>
    /// <param name="target">The membership to come to; not joint, and with a voter. Nobody in it becomes a witness or ceases to be one.</param>
    public MembershipResult ChangeMembership(Membership target)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (target.IsJoint || target.Voters.Count == 0)
        {
            throw new ArgumentException($"A membership to come to is not joint and has a voter; this one is {target}.", nameof(target));
        }

        NodeId[] changed = [.. target.All.Where(id => Membership.Contains(id) && Membership.IsWitness(id) != target.IsWitness(id))];
        if (changed.Length > 0)
        {
            throw new ArgumentException($"{changed[0]} would become a witness or cease to be one; it must be removed, and another member added.", nameof(target));
        }

        Wake();
        return _state.Role == Role.Leader ? _leadership.ChangeMembership(target) : MembershipResult.NotLeader;
    }

    /// <summary>
    /// Hands leadership to another voter (thesis, 3.10), which takes about a round trip. Until it has happened, or an election
    /// timeout has passed, this leader takes no proposals. Where the other does not take over in time, a leader that has a lease begins
    /// another term, for there can be none in this one any more.
    /// </summary>
    /// <returns>False: this member does not lead, or <paramref name="to"/> is no other voter, or a witness, or may not stand before it has caught up; nothing was done.</returns>
    public bool TransferLeadership(NodeId to)
    {
        Wake();
        return _state.Role == Role.Leader && _leadership.Transfer(to);
    }

    /// <summary>How far a peer's log is known to match the leader's; null where this member does not lead or the peer is a stranger.</summary>
    public LogIndex? MatchOf(NodeId peer) => _state.Role == Role.Leader ? _replication.Find(peer)?.Match : null;

    /// <summary>Whether the leader has heard of a peer since its last quorum check, or in the check before, and the peer may vote, as far as that is known.</summary>
    public bool IsActive(NodeId peer) => _state.Role == Role.Leader && _replication.Find(peer) is { IsActive: true, IsRecovering: false };

    /// <summary>A message arrived. Those of strangers, not for this member, or malformed are ignored.</summary>
    public void Step(Message message)
    {
        ArgumentNullException.ThrowIfNull(message);

        // The sender need not be a member by the membership that this node knows: its own may be older, or newer.
        bool isForUs = message.To == _state.Id && message.From != _state.Id && !message.From.IsNone;
        if (!isForUs || !MessageCheck.IsWellFormed(message))
        {
            return;
        }

        _quiescence.WakeBy(message);
        if (_gate.Admit(message))
        {
            Dispatch(message);
            ResignIfRemoved();
        }
    }

    /// <summary>
    /// Proposes a command. The leader appends it; a follower hands it to the leader it knows, and it may be lost on the way.
    /// Accepted does not mean committed.
    /// </summary>
    public ProposeResult Propose(ReadOnlyMemory<byte> data)
    {
        Wake();
        Entry[] commands = [new Entry(Term.Zero, LogIndex.Zero, EntryKind.Command, data)];
        if (_state.Role == Role.Leader)
        {
            return _leadership.Propose(commands);
        }

        if (_state.Leader.IsNone)
        {
            return ProposeResult.NoLeader;
        }

        _state.Send(new Message { Kind = MessageKind.Propose, From = _state.Id, To = _state.Leader, Entries = commands });
        return ProposeResult.Accepted;
    }

    /// <summary>
    /// Proposes a command of the leader's own, which is taken however much is uncommitted: for what must not wait behind load. The driver keeps few and small
    /// ones under way. False: this member does not lead, or hands leadership over; nothing was done.
    /// </summary>
    public bool ProposeUrgent(ReadOnlyMemory<byte> data)
    {
        Wake();
        return _state.Role == Role.Leader && _leadership.Propose([new Entry(Term.Zero, LogIndex.Zero, EntryKind.Command, data)], isUrgent: true) == ProposeResult.Accepted;
    }

    /// <summary>Appends a <see cref="EntryKind.StateCheck"/>. False: this member does not lead, or takes nothing now; nothing was done.</summary>
    public bool ProposeStateCheck(ReadOnlyMemory<byte> data)
    {
        Wake();
        return _state.Role == Role.Leader && _leadership.Propose([new Entry(Term.Zero, LogIndex.Zero, EntryKind.StateCheck, data)]) == ProposeResult.Accepted;
    }

    /// <summary>
    /// Asks for a position in the log such that a state machine that has applied it serves a linearizable read (thesis, 6.4;
    /// known as ReadIndex in etcd). The answer is a <see cref="ReadState"/> in <see cref="Ready.Reads"/>, or the context in
    /// <see cref="Ready.AbortedReads"/>; every read gets one of the two.
    /// </summary>
    /// <param name="context">Names the read; never used before by this member, in this life or another.</param>
    /// <returns>False: no leader is known, and nothing was done.</returns>
    public bool RequestRead(ReadContext context)
    {
        Wake();
        if (_state.Role == Role.Leader)
        {
            _leadership.Read(_state.Id, context);
            return true;
        }

        if (_state.Leader.IsNone)
        {
            return false;
        }

        _forwardedReads.Forward(context);
        return true;
    }

    /// <summary>The append of that write id, and all before it, are on stable storage.</summary>
    public void Advance(WriteReceipt receipt)
    {
        _state.Writes.Close(receipt.WriteId, _state.Term, _state.Outbox.Messages);
        _election.HandleHardStateDurable();
        _state.Recovery.TryEnd();
        if (_state.Role == Role.Leader)
        {
            _leadership.HandleOwnAppendDurable();
            ResignIfRemoved();
        }
    }

    /// <summary>The state machine has applied everything through <paramref name="index"/>.</summary>
    public void AdvanceApplied(LogIndex index) => _state.Log.AdvanceApplied(index);

    /// <summary>
    /// A snapshot of this member's own state machine is durable: the log before it is no longer needed (paper, 7). The next
    /// Ready asks the log to record it. A snapshot that is not newer than <see cref="SnapshotIndex"/> is ignored.
    /// </summary>
    /// <param name="snapshot">What it covers; applied (<see cref="AdvanceApplied"/>) before.</param>
    /// <param name="keepFrom">The first entry to keep in memory for slow followers; null: as <see cref="RaftOptions.CompactionTailEntries"/> says.</param>
    /// <param name="catchUpBytes">
    /// For a peer that is active and further behind than that: what it needs next is kept as well, where all of it is no more than so many bytes.
    /// Beyond that it needs a snapshot anyhow.
    /// </param>
    public void Compact(SnapshotMetadata snapshot, LogIndex? keepFrom = null, long catchUpBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        if (snapshot.Index <= _state.Log.SnapshotIndex)
        {
            return;
        }

        ulong tail = (ulong)_state.Options.CompactionTailEntries;
        ulong tailFrom = snapshot.Index.Value >= tail ? snapshot.Index.Value - tail + 1 : 0;
        ulong neededFrom = _state.Role == Role.Leader ? _replication.NeededFrom(catchUpBytes).Value : tailFrom;
        _state.Log.Compact(snapshot, keepFrom ?? new LogIndex(Math.Min(tailFrom, neededFrom)));
    }

    /// <summary>
    /// Bounds the memory that the log takes between two snapshots. Where more than <paramref name="bytesMax"/> of entries are held, those are let go that are applied and durable and
    /// that no active peer needs. Whoever needs one of them afterwards needs a snapshot that reaches to the entry before <see cref="FirstIndex"/>, and so may a peer that comes back.
    /// </summary>
    /// <param name="bytesMax">Bytes of entries, as they are sent.</param>
    /// <param name="catchUpBytes">As of <see cref="Compact"/>.</param>
    public void Trim(long bytesMax, long catchUpBytes)
    {
        if (_state.Log.HeldBytes <= bytesMax)
        {
            return;
        }

        LogIndex through = _state.Log.Applied < _state.Writes.DurableIndex ? _state.Log.Applied : _state.Writes.DurableIndex;
        if (_state.Role == Role.Leader)
        {
            ulong needed = _replication.NeededFrom(catchUpBytes).Value;
            through = new LogIndex(Math.Min(through.Value, needed - 1));
        }

        _state.Log.Trim(through, bytesMax - (bytesMax / 4)); // By a good piece at a time: each one ends the sharing of what was just sent.
    }

    /// <summary>
    /// A leader's snapshot was received whole and stored durably: it replaces the log, or its beginning where the two agree. The
    /// state machine is loaded from it in the same turn of the driver's loop, before any entry taken later is applied.
    /// The leader is told once the log has recorded it.
    /// </summary>
    /// <returns>False: this member has committed that far by itself, nothing was done, and the state machine must stay as it is.</returns>
    public bool RestoreSnapshot(SnapshotMetadata snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        if (snapshot.Index <= _state.Log.Commit)
        {
            return false;
        }

        _state.Log.Restore(snapshot);
        if (_state.Role == Role.Follower && !_state.Leader.IsNone)
        {
            _following.Acknowledge(_state.Leader, snapshot.Index);
        }

        return true;
    }

    /// <summary>
    /// Wraps a piece of a snapshot for a peer, in the current term. Null: it is of no use (any more), because this member does not lead, the peer is no member, or it has by
    /// now all that the snapshot holds.
    /// </summary>
    /// <param name="to">The peer that <see cref="Ready.SnapshotsToSend"/> named.</param>
    /// <param name="snapshot">The snapshot the piece is of; committed.</param>
    /// <param name="offset">Where the piece begins, in bytes.</param>
    /// <param name="length">The whole snapshot's size in bytes; 0 for a witness.</param>
    /// <param name="chunk">The bytes; not copied.</param>
    public Message? MakeSnapshotChunk(NodeId to, SnapshotMetadata snapshot, ulong offset, ulong length, ReadOnlyMemory<byte> chunk)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        if (_state.Role != Role.Leader || _replication.Find(to) is not { } peer || peer.Match >= snapshot.Index)
        {
            return null;
        }

        Invariant.Check(snapshot.Index <= _state.Log.Commit, $"Snapshot of {snapshot.Index} to be sent, but only {_state.Log.Commit} is committed.");
        peer.RaisePendingSnapshot(snapshot.Index);
        return new Message
        {
            Kind = MessageKind.SnapshotChunk,
            From = _state.Id,
            To = to,
            Term = _state.Term,
            Index = snapshot.Index,
            LogTerm = snapshot.Term,
            Membership = MembershipCodec.Encode(snapshot.Membership),
            ChunkOffset = offset,
            SnapshotLength = length,
            Chunk = chunk,
        };
    }

    /// <summary>Wraps the answer to a piece of a snapshot, in the current term. Null: <paramref name="to"/> does not lead (any more).</summary>
    /// <param name="to">The leader that sent the piece.</param>
    /// <param name="snapshotIndex">The snapshot's index.</param>
    /// <param name="bytesHeld">Bytes held from the beginning without a gap.</param>
    /// <param name="reject">The transfer must begin again.</param>
    public Message? MakeSnapshotChunkReply(NodeId to, LogIndex snapshotIndex, ulong bytesHeld, bool reject)
    {
        if (to.IsNone || to != _state.Leader || to == _state.Id)
        {
            return null;
        }

        return new Message
        {
            Kind = MessageKind.SnapshotChunkReply,
            From = _state.Id,
            To = to,
            Term = _state.Term,
            Index = snapshotIndex,
            ChunkOffset = bytesHeld,
            Reject = reject,
        };
    }

    /// <summary>The transport could not deliver to <paramref name="peer"/>: what was sent ahead is probably lost.</summary>
    public void ReportUnreachable(NodeId peer)
    {
        if (_state.Role == Role.Leader)
        {
            _replication.ReportUnreachable(peer);
        }
    }

    /// <summary>
    /// The transfer to <paramref name="peer"/> has ended: loaded there, or given up. Given up, the peer is named in
    /// <see cref="Ready.SnapshotsToSend"/> again once it is heard of.
    /// </summary>
    public void ReportSnapshot(NodeId peer, bool succeeded)
    {
        if (_state.Role == Role.Leader)
        {
            _replication.ReportSnapshot(peer, succeeded);
        }
    }

    /// <summary>The entry at a position, or null where it is not held.</summary>
    public Entry? EntryAt(LogIndex index) => _state.Log.EntryAt(index);

    /// <summary>The term at a position, or null where the log cannot tell: compacted away, or not there yet. Position 0 is of term 0.</summary>
    public Term? TermAt(LogIndex index) => _state.Log.TermAt(index);

    /// <summary>Stands for election now, as if the timer had run out: for tests, and for a driver that need not wait.</summary>
    public void Campaign()
    {
        Wake();
        if (_state.Role != Role.Leader)
        {
            _election.Campaign();
        }
    }

    private void ResignIfRemoved()
    {
        if (_state.Role == Role.Leader && _leadership.MustResign)
        {
            _leadership.Resign();
            _roles.BecomeFollower(_state.Term, NodeId.None);
        }
    }

    private void Dispatch(Message message)
    {
        switch (message.Kind)
        {
            case MessageKind.PreVote or MessageKind.Vote:
                _election.HandleRequest(message);
                break;
            case MessageKind.PreVoteReply:
                _election.HandlePreVoteReply(message);
                break;
            case MessageKind.VoteReply:
                _election.HandleVoteReply(message);
                break;
            case MessageKind.Append:
                _following.HandleAppend(message);
                break;
            case MessageKind.Heartbeat:
                _following.HandleHeartbeat(message);
                break;
            case MessageKind.Quiesce:
                _following.HandleQuiesce(message, hasBusiness: _forwardedReads.Count > 0);
                break;
            case MessageKind.SnapshotChunk:
                _following.HandleSnapshotChunk(message);
                break;
            case MessageKind.TimeoutNow:
                _election.HandleTimeoutNow();
                break;
            case MessageKind.ReadIndexReply:
                _forwardedReads.Handle(message);
                break;
            case MessageKind.RecoverReply:
                _state.Recovery.HandleReply(message);
                break;
            case MessageKind.ReadIndex when _state.Role != Role.Leader:
                _leaderReads.Refuse(message.From, message.Context);
                break;
            default:
                DispatchToLeader(message);
                break;
        }
    }

    private void DispatchToLeader(Message message)
    {
        // Of somebody who is no member (any more) a leader takes nothing.
        if (_state.Role != Role.Leader || _replication.Find(message.From) is null)
        {
            return;
        }

        switch (message.Kind)
        {
            case MessageKind.AppendReply:
                _leadership.HandleAppendReply(message);
                break;
            case MessageKind.HeartbeatReply:
                _leadership.HandleHeartbeatReply(message);
                break;
            case MessageKind.Recover:
                _replication.HandleRecover(message);
                break;
            case MessageKind.ReadIndex:
                _leadership.Read(message.From, message.Context);
                break;
            case MessageKind.Propose:
                _leadership.Propose(message.Entries);
                break;
            case MessageKind.SnapshotChunkReply:
                _replication.Find(message.From)!.RecentActive = true;
                _state.Outbox.PassOnSnapshotTraffic(message);
                break;
            default:
                break; // A kind of another version: nothing we could do with it.
        }
    }
}
