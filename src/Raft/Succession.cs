namespace MetaStore.Raft;

/// <summary>
/// When a leader hands over by itself: to a voter of higher priority that has kept up with it for a while. One step at a time up the priorities,
/// never down, so that two members cannot hand leadership to and fro. A hand-over counts as failed from its beginning, and each makes the next
/// wait twice as long: if it succeeds this member leads no more, and where it leads again soon after, the other was no better leader.
/// </summary>
internal sealed class Succession(NodeState state, Replication replication)
{
    /// <summary>Election timeouts for which the successor must have kept up, where no hand-over has failed lately.</summary>
    private const int SteadyTimeouts = 2;

    /// <summary>The wait is doubled so often at most.</summary>
    private const int FailuresMax = 5;

    /// <summary>Election timeouts without a hand-over after which former ones are forgotten; longer than the longest wait.</summary>
    private const int ForgottenTimeouts = 2 * (SteadyTimeouts << FailuresMax);

    private int _failures;
    private int _ticksSinceAttempt;
    private NodeId _candidate;
    private int _steadyTicks;
    private LogIndex _lastIndexBefore;

    /// <summary>Whether there is somebody to hand over to, now or after a while.</summary>
    public bool HasCandidate => !_candidate.IsNone;

    /// <summary>One tick, in whatever role.</summary>
    public void Tick()
    {
        if (++_ticksSinceAttempt > ForgottenTimeouts * state.Options.ElectionTicks)
        {
            _failures = 0;
        }

        bool mayJudge = state.Role == Role.Leader && state.Membership.Traits.Count > 0;
        NodeId best = mayJudge ? Best() : NodeId.None;
        _steadyTicks = best == _candidate && !best.IsNone ? _steadyTicks + 1 : 0;
        _candidate = best;
        _lastIndexBefore = state.Log.LastIndex;
    }

    /// <summary>
    /// Whether leadership is to be handed now to the member that was just heard of. A sign of life is waited for: to ask one that died a moment
    /// ago costs an election timeout without proposals.
    /// </summary>
    public bool TakeDue(NodeId heardOf)
    {
        bool isDue = heardOf == _candidate && !heardOf.IsNone && _steadyTicks >= (SteadyTimeouts << _failures) * state.Options.ElectionTicks;
        if (isDue)
        {
            _failures = Math.Min(_failures + 1, FailuresMax);
            _ticksSinceAttempt = 0;
            _steadyTicks = 0;
        }

        return isDue;
    }

    /// <summary>Of those before this member that have all it had a tick ago, the one of the highest priority; none where there is none.</summary>
    private NodeId Best()
    {
        Progress? best = null;
        foreach (Progress peer in replication.Peers)
        {
            bool mayLead = state.Membership.Voters.Contains(peer.Id) && Precedence.IsBefore(state.Membership, peer.Id, state.Id);
            bool keepsUp = peer is { State: ProgressState.Replicate, IsActive: true, IsRecovering: false } && peer.Match >= _lastIndexBefore;
            if (mayLead && keepsUp && (best is null || Precedence.IsBefore(state.Membership, peer.Id, best.Id)))
            {
                best = peer;
            }
        }

        return best?.Id ?? NodeId.None;
    }
}
