namespace MetaStore.Raft;

/// <summary>
/// A leader's right to answer reads without asking (thesis, 6.4.1). Each round of heartbeats has a number; a follower that answers one has
/// promised, by having heard of a leader, to vote for nobody else for the least election timeout. So from the moment a round was
/// <em>sent</em> that a majority answered, nobody else can lead for <see cref="RaftOptions.LeaseDuration"/>, which the driver has
/// made short enough for clocks that run at different rates.
/// <para>
/// The lease is lost with the office, for good in this term once leadership was to be handed over (whoever was asked to stand may do so
/// at any later time, and voters answer it), and until a new round is answered when the membership changes. A leader that is no voter any more has none: the voters need not ask
/// it, and where there is only one left, that one stands at once.
/// </para>
/// </summary>
internal sealed class LeaderLease(NodeState state)
{
    private readonly Queue<(ulong Round, long SentAt)> _sent = new();
    private readonly Dictionary<NodeId, ulong> _answered = [];
    private ulong _lastRound;
    private ulong _countsFrom;
    private long _heldFrom;
    private bool _isHeld;
    private bool _isForfeited;

    /// <summary>Whether nobody else can lead now, by the driver's clock as it was last told (<see cref="RaftNode.SetTime"/>).</summary>
    public bool IsValid => IsValidAt(state.Now);

    /// <summary>The number of the last round of heartbeats.</summary>
    public ulong LastRound => _lastRound;

    /// <summary>Rounds that wait for a majority's answer.</summary>
    public int Unanswered => _sent.Count;

    /// <summary>The same at any moment that has not passed yet.</summary>
    public bool IsValidAt(long now) => (_isHeld && !_isForfeited && now < _heldFrom + state.Options.LeaseDuration) || KnownBugs.LeaderReadsWithoutAsking;

    /// <summary>Takes office: nothing is known yet.</summary>
    public void Open()
    {
        _sent.Clear();
        _answered.Clear();
        _isHeld = false;
        _isForfeited = state.Options.LeaseDuration == 0;
        _countsFrom = _lastRound + 1;
    }

    /// <summary>Another may be elected at any time from now on, whatever was promised.</summary>
    public void Forfeit() => _isForfeited = !KnownBugs.LeaseSurvivesTransfer;

    /// <summary>Other majorities count from now on: only rounds that begin from here on vouch for anything.</summary>
    public void BeginAnew()
    {
        _sent.Clear();
        _isHeld = false;
        _countsFrom = _lastRound + 1;
    }

    /// <summary>A round of heartbeats leaves now. Returns its number.</summary>
    public ulong BeginRound()
    {
        _lastRound++;
        if (!_isForfeited && (state.Membership.IsVoter(state.Id) || KnownBugs.RemovedLeaderHasLease))
        {
            _sent.Enqueue((_lastRound, state.Now));
            Count(); // An only voter needs nobody's answer.
        }

        return _lastRound;
    }

    /// <summary>A member answered a round of this term.</summary>
    public void Confirm(NodeId from, ulong round)
    {
        if (_isForfeited || round < _countsFrom || round > _lastRound)
        {
            return;
        }

        _answered[from] = Math.Max(round, _answered.GetValueOrDefault(from));
        Count();
    }

    private void Count()
    {
        ulong vouched = state.Quorum.HeldByMajority(voter => voter == state.Id ? _lastRound : _answered.GetValueOrDefault(voter));
        while (_sent.TryPeek(out (ulong Round, long SentAt) oldest) && oldest.Round <= vouched)
        {
            // From its sending, not from its answer: that is how old the promise may be.
            _heldFrom = KnownBugs.LeaseCountsFromAnswer ? state.Now : oldest.SentAt;
            _isHeld = true;
            _sent.Dequeue();
        }
    }
}
