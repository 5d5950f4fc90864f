namespace MetaStore.Raft;

/// <summary>How a leader stands after a tick.</summary>
internal enum OfficeState
{
    /// <summary>It goes on.</summary>
    Held,

    /// <summary>
    /// It must step down: no majority was heard of for an election timeout (thesis, 6.2), or its own disk has taken nothing for that long: it
    /// would hold an office that others could fill better, and could not be elected itself.
    /// </summary>
    Lost,

    /// <summary>
    /// It led on after a hand-over that failed, and whoever was asked may still stand in the next term; so there is no lease in this one. It is to
    /// take the next term itself: whoever stands in that later finds the votes given.
    /// </summary>
    ToRenew,
}

/// <summary>
/// What a leader does beside replication: heartbeats, the quorum check, the reads of everybody, proposals. Works on a node
/// whose role is leader; <see cref="RoleSwitch"/> opens and closes a term of office.
/// </summary>
internal sealed class Leadership(NodeState state, Replication replication, LeaderReads reads, LeaderLease lease, Succession succession)
{
    private int _heartbeatElapsed;
    private int _transferElapsed;
    private bool _wasBusy;

    /// <summary>Whom leadership is being handed to; none where it is not.</summary>
    public NodeId Transferee { get; private set; }

    /// <summary>
    /// The committed membership gives this node no vote (any more): it led only to see that through (thesis, 4.2.2), and ends.
    /// </summary>
    public bool MustResign =>
        !state.Membership.IsVoter(state.Id) && state.Log.Memberships.CurrentIndex <= state.Log.Commit && !KnownBugs.RemovedLeaderStays;

    /// <inheritdoc cref="RaftNode.IsMembershipSettled"/>
    public bool IsMembershipSettled =>
        state.Log.Memberships.CurrentIndex <= state.Log.Commit && HasCommittedInTerm && !state.Membership.IsJoint;

    /// <summary>
    /// Takes office. The empty entry of the new term commits everything before it, which the leader may not do by counting
    /// replicas of older terms (paper, 5.4.2 and 8).
    /// </summary>
    public void Open()
    {
        _heartbeatElapsed = 0;
        Transferee = NodeId.None;
        replication.Reset();
        lease.Open();
        _wasBusy = true;
        state.Log.Append(new Entry(state.Term, state.Log.LastIndex.Next, EntryKind.Empty, default));
        replication.ScheduleFlush();
    }

    /// <summary>Leaves office.</summary>
    public void Close()
    {
        reads.AbortAll();
        replication.CancelFlush();
        Transferee = NodeId.None;
    }

    /// <summary>One tick of a leader, and what it is to do then.</summary>
    public OfficeState Tick()
    {
        if (state.IsDiskStalled && !state.Quorum.IsSingle && !KnownBugs.LeaderIgnoresItsStalledDisk)
        {
            return OfficeState.Lost;
        }

        state.ElectionElapsed++;
        if (state.ElectionElapsed >= state.Options.ElectionTicks)
        {
            state.ElectionElapsed = 0;
            if (!replication.TakeQuorumActive())
            {
                return OfficeState.Lost;
            }

            if (TryQuiesce())
            {
                return OfficeState.Held;
            }
        }

        bool wasRefused = !Transferee.IsNone && ++_transferElapsed >= state.Options.ElectionTicks;
        if (wasRefused)
        {
            Transferee = NodeId.None; // It did not answer in time: this node goes on.
        }

        _heartbeatElapsed++;
        if (_heartbeatElapsed >= state.Options.HeartbeatTicks)
        {
            BroadcastHeartbeats();
        }

        return wasRefused && state.Options.Silence > 0 ? OfficeState.ToRenew : OfficeState.Held;
    }

    /// <summary>The group wakes: heartbeats leave with the next tick, and its peers have a whole quorum period to be heard of.</summary>
    public void Wake()
    {
        state.ElectionElapsed = 0;
        _heartbeatElapsed = state.Options.HeartbeatTicks;
        _wasBusy = true;
    }

    /// <summary>Appends commands, all or none.</summary>
    public ProposeResult Propose(IReadOnlyList<Entry> commands, bool isUrgent = false)
    {
        _wasBusy = true;
        if (!Transferee.IsNone)
        {
            return ProposeResult.Transferring;
        }

        // A lone proposal is let in whatever its size: refused now, it would be refused for ever.
        long uncommitted = state.Log.UncommittedBytes;
        if (!isUrgent && uncommitted > 0 && uncommitted + EntrySize.Of(commands) > state.Options.UncommittedBytesMax)
        {
            return ProposeResult.Overloaded;
        }

        for (int i = 0; i < commands.Count; i++)
        {
            state.Log.Append(new Entry(state.Term, state.Log.LastIndex.Next, commands[i].Kind, commands[i].Data));
        }

        // Proposals that arrive before the next Ready travel in one Append.
        replication.ScheduleFlush();
        return ProposeResult.Accepted;
    }

    /// <summary>
    /// Begins to change the membership to <paramref name="target"/>: at once, or by way of a joint one, which is left as soon as it
    /// is committed.
    /// </summary>
    public MembershipResult ChangeMembership(Membership target)
    {
        // A change begins only when the one before is committed, or two majorities could miss each other; and only once an entry
        // of this term is, since a former leader may have begun one that this node does not know of (Ongaro's note on the
        // single-server change, raft-dev 2015).
        if (!IsMembershipSettled && !KnownBugs.MembershipChangesOverlap)
        {
            return MembershipResult.InProgress;
        }

        if (!Transferee.IsNone)
        {
            return MembershipResult.Transferring;
        }

        AppendMembership(state.Membership.StepTo(target));
        return MembershipResult.Accepted;
    }

    /// <summary>Begins to hand leadership over (thesis, 3.10): no proposals from now on; once the other has the whole log it stands at once.</summary>
    public bool Transfer(NodeId to)
    {
        bool canLead = to != state.Id && state.Membership.Voters.Contains(to) && !state.Membership.IsWitness(to);
        if (!canLead || replication.Find(to) is not { IsRecovering: false } peer)
        {
            return false;
        }

        Transferee = to;
        _transferElapsed = 0;
        _wasBusy = true;
        lease.Forfeit();
        if (peer.Match == state.Log.LastIndex)
        {
            SendTimeoutNow(to);
        }
        else
        {
            replication.ScheduleFlush();
        }

        return true;
    }

    /// <summary>The last acts of a leader that is no voter any more, or has lost its majority: what is committed is told, and the best of the voters stands at once.</summary>
    public void Resign()
    {
        replication.Flush();
        lease.Forfeit();
        NodeId successor = replication.BestVoter();
        if (!successor.IsNone)
        {
            SendTimeoutNow(successor);
        }
    }

    /// <summary>Takes a read of this node or of a peer.</summary>
    public void Read(NodeId from, ReadContext context)
    {
        _wasBusy = true;
        if (lease.IsValid && HasCommittedInTerm)
        {
            reads.AnswerNow(from, context);
            return;
        }

        reads.Add(from, context);
        StartReadRound();
    }

    public void HandleHeartbeatReply(Message reply)
    {
        replication.HandleHeartbeatReply(reply);
        lease.Confirm(reply.From, reply.Round, reply.Silence);
        if (reads.Confirm(reply.From, reply.Context))
        {
            StartReadRound();
        }

        if (IsMembershipSettled && Transferee.IsNone && succession.TakeDue(reply.From))
        {
            Transfer(reply.From);
        }
    }

    public void HandleAppendReply(Message reply)
    {
        if (replication.HandleAppendReply(reply))
        {
            AfterCommit();
        }

        if (reply.From == Transferee && replication.Find(Transferee)!.Match == state.Log.LastIndex)
        {
            SendTimeoutNow(Transferee);
        }
    }

    /// <summary>The leader's own log reached the disk.</summary>
    public void HandleOwnAppendDurable()
    {
        if (replication.TryCommit())
        {
            AfterCommit();
        }
    }

    /// <summary>
    /// Puts the group to sleep at a quorum check that a majority passed, where nothing has happened since the check before and nothing is
    /// left to be told: each peer has the whole log, and all of it is committed, durable here and handed out. A peer that does not hear of it
    /// asks for votes in time, and that wakes everybody.
    /// </summary>
    private bool TryQuiesce()
    {
        bool wasIdle = !_wasBusy;
        _wasBusy = false;
        bool isSettled = HasCommittedInTerm
            && state.Log.Commit == state.Log.LastIndex
            && !state.Log.HasCommitted
            && state.Writes.DurableIndex == state.Log.LastIndex
            && !state.Membership.IsJoint
            && Transferee.IsNone
            && !succession.HasCandidate
            && reads.Count == 0
            && replication.EveryPeerHasAll();
        if (!state.Options.Quiesces || !wasIdle || !isSettled)
        {
            return false;
        }

        replication.BroadcastQuiesce(lease.LastRound);
        state.IsQuiescent = true;
        return true;
    }

    private bool HasCommittedInTerm => state.Log.TermAt(state.Log.Commit) == state.Term;

    private void AfterCommit()
    {
        bool isLeaving = KnownBugs.JointLeftAgainAndAgain && state.Log.Memberships.Previous.IsJoint;
        if (isLeaving || (state.Membership.IsJoint && state.Log.Memberships.CurrentIndex <= state.Log.Commit))
        {
            AppendMembership(state.Membership.LeaveJoint());
        }

        StartReadRound(); // Reads may have waited for the first commit of this term.
    }

    private void AppendMembership(Membership membership)
    {
        byte[] data = MembershipCodec.Encode(membership);
        _wasBusy = true;
        state.Log.Append(new Entry(state.Term, state.Log.LastIndex.Next, EntryKind.Membership, data));
        replication.AlignWithMembership();
        lease.BeginAnew();
        replication.ScheduleFlush();
        if (!Transferee.IsNone && !state.Membership.Voters.Contains(Transferee))
        {
            Transferee = NodeId.None;
        }

        if (reads.Recount())
        {
            StartReadRound();
        }
    }

    private void SendTimeoutNow(NodeId to) =>
        state.Send(new Message { Kind = MessageKind.TimeoutNow, From = state.Id, To = to, Term = state.Term });

    private void StartReadRound()
    {
        if (reads.TryStartRound())
        {
            BroadcastHeartbeats();
        }
    }

    private void BroadcastHeartbeats()
    {
        _heartbeatElapsed = 0;
        replication.BroadcastHeartbeats(reads.Round, lease.BeginRound());
    }
}
