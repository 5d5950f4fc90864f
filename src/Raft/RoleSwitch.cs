namespace MetaStore.Raft;

/// <summary>The only place where term, vote, role and leader change (paper, figure 4; thesis, 9.6 for the pre-candidate).</summary>
internal sealed class RoleSwitch(NodeState state, Leadership leadership, ForwardedReads forwarded)
{
    private readonly SplitMix _random = new(state.Options.Seed ^ (state.Id.Value * 0xD6E8FEB86659FD93));

    /// <summary>Follows <paramref name="leader"/>, or waits for one. A new term begins without a vote.</summary>
    public void BecomeFollower(Term term, NodeId leader)
    {
        Invariant.Check(term >= state.Term, $"Term {state.Term} would fall to {term}.");
        LeaveRole();
        if (term > state.Term)
        {
            state.Term = term;
            state.Vote = NodeId.None;
        }

        Enter(Role.Follower, leader);
    }

    /// <summary>Asks first whether an election could be won: term and vote stay as they are.</summary>
    public void BecomePreCandidate()
    {
        Invariant.Check(state.Role != Role.Leader, $"The leader of term {state.Term} would stand against itself.");
        LeaveRole();
        Enter(Role.PreCandidate, NodeId.None);
    }

    /// <summary>Stands for election in the next term, and votes for itself.</summary>
    public void BecomeCandidate()
    {
        Invariant.Check(state.Role != Role.Leader, $"The leader of term {state.Term} would stand against itself.");
        LeaveRole();
        state.Term = state.Term.Next;
        state.Vote = state.Id;
        Enter(Role.Candidate, NodeId.None);
    }

    /// <summary>Has won the election.</summary>
    public void BecomeLeader()
    {
        Invariant.Check(state.Role == Role.Candidate, $"A {state.Role} would become leader of term {state.Term} without an election.");
        Invariant.Check(state.Writes.DurableTerm == state.Term, $"Leader of term {state.Term} with term {state.Writes.DurableTerm} on disk.");
        LeaveRole();
        Enter(Role.Leader, state.Id);
        leadership.Open();
    }

    /// <summary>
    /// Waits anew, for a time drawn from [ElectionTicks, 3/2 × ElectionTicks), so that not all stand at once (paper, 5.2).
    /// </summary>
    public void RestartElectionTimer()
    {
        state.ElectionElapsed = 0;
        state.ElectionTimeout = state.Options.ElectionTicks + _random.Next(Math.Max(1, state.Options.ElectionTicks / 2));
    }

    /// <summary>
    /// This node has asked whether it could win, or has lost an election, or was refused a vote in one: it asks again after a time drawn from [1/4, 3/4) of ElectionTicks, since nobody is known to lead. An election that is under way
    /// has a whole timeout, for votes wait for disks.
    /// </summary>
    public void StandAgainSoon()
    {
        state.ElectionElapsed = 0;
        state.ElectionTimeout = Math.Max(1, state.Options.ElectionTicks / 4) + _random.Next(Math.Max(1, state.Options.ElectionTicks / 2));
    }

    private void LeaveRole()
    {
        if (state.Role == Role.Leader)
        {
            state.Role = Role.Follower;
            leadership.Close();
        }

        forwarded.AbortAll();
    }

    private void Enter(Role role, NodeId leader)
    {
        state.Role = role;
        state.Leader = leader;
        state.IsQuiescent = false;
        if (!leader.IsNone && leader != state.Id)
        {
            state.PromiseSilence(state.Options.ElectionTicks);
        }

        if (role == Role.PreCandidate)
        {
            StandAgainSoon();
        }
        else
        {
            RestartElectionTimer();
        }
    }
}
