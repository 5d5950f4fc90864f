namespace MetaStore.Raft;

/// <summary>
/// Elections (paper, 5.2 and 5.4.1) with pre-vote (thesis, 9.6), from both sides. A vote, whether given to another
/// or to oneself, counts only once term and vote are durable; a pre-vote promises nothing and is free.
/// </summary>
internal sealed class Election(NodeState state, RoleSwitch roles)
{
    private readonly Dictionary<NodeId, bool> _votes = [];

    /// <summary>
    /// Whoever votes may stand; and whoever voted before a membership that is not known to be committed: it may be the only one that has the
    /// log which the others need (thesis, 4.2.2, figure 4.6). Its own vote counts only where it is a voter.
    /// </summary>
    private bool MayStand => (!IsWitness || KnownBugs.WitnessStands)
        && MayVote
        && (state.Membership.IsVoter(state.Id)
            || (state.Log.Memberships.CurrentIndex > state.Log.Commit && state.Log.Memberships.Previous.IsVoter(state.Id)));

    /// <summary>It has nothing to lead with, by whichever membership still names it.</summary>
    private bool IsWitness => state.Membership.IsWitness(state.Id) || state.Log.Memberships.Previous.IsWitness(state.Id);

    /// <summary>Whoever has lost what it acknowledged could elect somebody who lacks it as well.</summary>
    private bool MayVote => !state.Recovery.IsActive || KnownBugs.MendedMemberVotesAtOnce;

    /// <summary>
    /// It stands, and nobody knows: its requests leave when its own vote is on its disk. If that stands still, another try would come no further and raise the term once more; and whoever else
    /// stands would be refused for a term that it has yet to hear of, again and again.
    /// </summary>
    private bool AwaitsOwnVote => state.Role == Role.Candidate && !(state.Writes.DurableTerm == state.Term && state.Writes.DurableVote == state.Id);

    /// <summary>One tick of a node that does not lead.</summary>
    public void Tick()
    {
        state.ElectionElapsed++;

        // A voter alone has nobody to wait for: a leader that it might disturb has removed itself, and has no lease.
        bool isAlone = state.Role == Role.Follower && state.Quorum.IsSingle;
        int timeout = state.ElectionTimeout + Precedence.ExtraTicks(state.Membership, state.Id, state.Options.ElectionTicks);

        // Its own vote is one of those that a leader may count on not to be given: what an earlier life promised may last longer than this one's patience.
        bool isTime = state.ElectionElapsed >= timeout && !state.IsSilent;
        if (isTime && AwaitsOwnVote)
        {
            roles.RestartElectionTimer();
            return;
        }

        if (isTime)
        {
            ForgetLeader();
        }

        // Its vote for itself would reach nobody, and meanwhile stand in the way of whoever could win the same term. It stands as soon as its disk answers, if nobody leads by then.
        if (state.IsDiskStalled)
        {
            return;
        }

        if (isAlone || isTime)
        {
            Campaign();
            AskLeader();
        }
    }

    /// <summary>
    /// Who stands forgets its leader by that. A member that may not stand would believe in one that is long gone, or that has removed it: what it hands on would go nowhere, and those who
    /// want a member with a leader would stay with it.
    /// </summary>
    private void ForgetLeader()
    {
        if ((!MayStand || state.IsDiskStalled) && !state.Leader.IsNone)
        {
            roles.BecomeFollower(state.Term, NodeId.None);
        }
    }

    /// <summary>
    /// Whoever missed that the group went to sleep wakes it by asking for votes. A member that never does asks the leader for a sign, or, where it
    /// knows none, whoever might be it; or it would wait awake.
    /// </summary>
    private void AskLeader()
    {
        bool isTime = state.ElectionElapsed % state.Options.ElectionTicks == 0;
        if (!isTime || !state.Options.Quiesces || state.Role != Role.Follower)
        {
            return;
        }

        foreach (NodeId voter in state.Quorum.Voters)
        {
            if (voter != state.Id && (state.Leader.IsNone || voter == state.Leader))
            {
                state.Send(state.SignOfLife(voter));
            }
        }
    }

    /// <summary>Asks whether this node could win; only then is the term raised.</summary>
    public void Campaign()
    {
        if (!MayStand)
        {
            return;
        }

        roles.BecomePreCandidate();
        if (KnownBugs.CutOffNodeUnseatsTheLeader)
        {
            Stand(isTransfer: false);
            return;
        }

        _votes.Clear();
        foreach (NodeId voter in state.Quorum.Voters)
        {
            if (voter != state.Id)
            {
                state.Send(Request(MessageKind.PreVote, voter, state.Term.Next));
            }
        }

        Record(state.Id, granted: true);
    }

    /// <summary>The leader asks this node to take over: it stands without asking first whether it could win (thesis, 3.10).</summary>
    public void HandleTimeoutNow()
    {
        if (MayStand && state.Role == Role.Follower && !state.IsDiskStalled)
        {
            Stand(isTransfer: true);
        }
    }

    /// <summary>
    /// The leader begins another term, to be rid of what hangs over this one: it asks for the election itself, so a live leader is no reason to
    /// ignore it.
    /// </summary>
    public void StandAgain()
    {
        if (MayStand)
        {
            roles.BecomeFollower(state.Term, NodeId.None);
            Stand(isTransfer: true);
        }
    }

    /// <summary>Answers a request whose term is the node's own, or, of a pre-vote, a higher one. <see cref="TermGate"/> saw to the rest.</summary>
    public void HandleRequest(Message request)
    {
        // Whoever asks may be a voter by a membership that has not come this far, and this node too: neither is a reason to refuse.
        bool isPreVote = request.Kind == MessageKind.PreVote;
        if (KnownBugs.LearnerRefusesToVote && !state.Membership.IsVoter(state.Id))
        {
            return;
        }

        // That it refuses would say that another has its vote, and the candidate would not wait for the others: it has none to give.
        if (!isPreVote && !MayVote)
        {
            return;
        }

        bool isFree = state.Vote == request.From
            || (state.Vote.IsNone && state.Leader.IsNone)
            || (isPreVote && request.Term > state.Term);
        bool isUpToDate = state.Log.IsUpToDate(request.Index, request.LogTerm) || KnownBugs.VoteGrantedToStaleLog;
        bool isPromised = state.IsSilent && !request.IsTransfer && !KnownBugs.HigherTermEndsThePromise && !KnownBugs.CutOffNodeUnseatsTheLeader;
        bool granted = isFree && isUpToDate && MayVote && !isPromised;
        if (isPreVote)
        {
            // Granted in the term asked for, refused in our own, so that one who is behind learns of it.
            state.Send(Reply(request, MessageKind.PreVoteReply, granted ? request.Term : state.Term, granted));
            return;
        }

        Message reply = Reply(request, MessageKind.VoteReply, state.Term, granted);
        if (!granted)
        {
            state.Send(reply);
            return;
        }

        state.Vote = request.From;
        roles.RestartElectionTimer();
        if (KnownBugs.VoteAnsweredBeforeDurable)
        {
            state.Send(reply);
            return;
        }

        state.SendWhenDurable(reply);
    }

    public void HandlePreVoteReply(Message reply)
    {
        // A grant names the term we would go to; one that names another belongs to another campaign.
        bool isForThis = reply.Reject || reply.Term == state.Term.Next;
        if (state.Role == Role.PreCandidate && isForThis)
        {
            Record(reply.From, !reply.Reject);
        }
    }

    public void HandleVoteReply(Message reply)
    {
        if (state.Role == Role.Candidate)
        {
            Record(reply.From, !reply.Reject);
        }
    }

    /// <summary>Term and vote reached the disk: if they are those of the election under way, the own vote counts from now on.</summary>
    public void HandleHardStateDurable()
    {
        if (state.Role == Role.Candidate && !AwaitsOwnVote)
        {
            Record(state.Id, granted: true);
        }
    }

    private void Record(NodeId voter, bool granted)
    {
        bool isNew = _votes.TryAdd(voter, granted); // The first answer counts; a doubled message changes nothing.
        switch (state.Quorum.Count(_votes))
        {
            case VoteResult.Won when state.Role == Role.PreCandidate:
                StandIfItsVoteCanLeave();
                break;
            case VoteResult.Won when state.Writes.DurableVote == state.Id && state.Writes.DurableTerm == state.Term:
                roles.BecomeLeader();
                break;
            case VoteResult.Lost:
                roles.BecomeFollower(state.Term, NodeId.None);
                roles.StandAgainSoon();
                break;
            case VoteResult.Pending when isNew && !granted && state.Role == Role.Candidate:
                // Most likely two have stood at once, and who has not answered yet may never do so: this is no time to wait for a whole timeout.
                roles.StandAgainSoon();
                break;
            default:
                break;
        }
    }

    private void StandIfItsVoteCanLeave()
    {
        if (!state.IsDiskStalled)
        {
            Stand(isTransfer: false);
        }
    }

    private void Stand(bool isTransfer)
    {
        roles.BecomeCandidate();
        _votes.Clear();
        foreach (NodeId voter in state.Quorum.Voters)
        {
            if (voter != state.Id)
            {
                // Sealed: were the request to leave before our term and vote are durable, we could crash, forget that we stood,
                // and count the answers for another election of the same term, with another log.
                state.SendWhenDurable(Request(MessageKind.Vote, voter, state.Term) with { IsTransfer = isTransfer });
            }
        }
    }

    private Message Request(MessageKind kind, NodeId to, Term term) => new()
    {
        Kind = kind,
        From = state.Id,
        To = to,
        Term = term,
        Index = state.Log.LastIndex,
        LogTerm = state.Log.LastTerm,
    };

    private Message Reply(Message request, MessageKind kind, Term term, bool granted) => new()
    {
        Kind = kind,
        From = state.Id,
        To = request.From,
        Term = term,
        Reject = !granted,
    };
}
