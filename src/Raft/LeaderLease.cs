namespace MetaStore.Raft;

/// <summary>
/// A leader's right to answer reads without asking (thesis, 6.4.1). Each round of heartbeats has a number; a follower that answers one
/// promises, by how long it will help nobody else to office (<see cref="RaftOptions.Silence"/>), that none can be elected with its vote for so long. The promise was made after the round
/// was <em>sent</em>, and counts from then. For as long as a majority has promised, by this member's clock, which may run slowly, nobody else can lead.
/// <para>
/// The lease is lost with the office, for good in this term once leadership was to be handed over (whoever was asked to stand may do so
/// at any later time, and voters answer it), and until a new round is answered when the membership changes. A leader that is no voter any more has none: the voters need not ask
/// it, and where there is only one left, that one stands at once.
/// </para>
/// </summary>
internal sealed class LeaderLease(NodeState state)
{
    /// <summary>An answer to an older round than so many promises nothing: the rounds that reads begin follow each other as fast as they are answered.</summary>
    private const int RoundsKept = 256;

    /// <summary>Microseconds that a promise counts for at most: an hour.</summary>
    private const ulong SilenceMax = 3_600_000_000;

    private readonly long[] _sentAt = new long[RoundsKept];
    private readonly Dictionary<NodeId, ulong> _promisedUntil = [];
    private ulong _lastRound;
    private ulong _countsFrom;
    private long _heldUntil;
    private bool _isForfeited;

    /// <summary>Whether nobody else can lead now, by the driver's clock as it was last told (<see cref="RaftNode.SetTime"/>).</summary>
    public bool IsValid => IsValidAt(state.Now);

    /// <summary>The number of the last round of heartbeats.</summary>
    public ulong LastRound => _lastRound;

    /// <summary>The same at any moment that has not passed yet.</summary>
    public bool IsValidAt(long now) => (!_isForfeited && now < _heldUntil) || KnownBugs.LeaderReadsWithoutAsking;

    /// <summary>Takes office: nothing is known yet.</summary>
    public void Open()
    {
        _isForfeited = state.Options.Silence == 0;
        BeginAnew();
    }

    /// <summary>Another may be elected at any time from now on, whatever was promised.</summary>
    public void Forfeit() => _isForfeited = !KnownBugs.LeaseSurvivesTransfer;

    /// <summary>Other majorities count from now on: only rounds that begin from here on vouch for anything.</summary>
    public void BeginAnew()
    {
        _promisedUntil.Clear();
        _heldUntil = 0;
        _countsFrom = _lastRound + 1;
    }

    /// <summary>A round of heartbeats leaves now. Returns its number.</summary>
    public ulong BeginRound()
    {
        _lastRound++;
        _sentAt[_lastRound % RoundsKept] = state.Now;
        Promise(state.Id, _lastRound, (ulong)state.Options.Silence); // An only voter needs nobody's answer.
        return _lastRound;
    }

    /// <summary>A member answered a round of this term, and keeps silence for so many microseconds.</summary>
    public void Confirm(NodeId from, ulong round, ulong silence)
    {
        bool isKnown = round >= _countsFrom && round <= _lastRound && _lastRound - round < RoundsKept;
        if (isKnown)
        {
            Promise(from, round, silence);
        }
    }

    private void Promise(NodeId from, ulong round, ulong silence)
    {
        silence = KnownBugs.LeaderTakesOthersForItself ? (ulong)state.Options.Silence : silence;

        // From its sending, not from its answer: that is how old the promise may be.
        long since = KnownBugs.LeaseCountsFromAnswer ? state.Now : _sentAt[round % RoundsKept];
        ulong until = (ulong)since + (ulong)(Math.Min(silence, SilenceMax) * state.Options.ClockUnits);
        _promisedUntil[from] = silence == 0 ? 0 : Math.Max(until, _promisedUntil.GetValueOrDefault(from));
        bool mayHold = state.Membership.IsVoter(state.Id) || KnownBugs.RemovedLeaderHasLease;
        _heldUntil = mayHold ? (long)state.Quorum.HeldByMajority(voter => _promisedUntil.GetValueOrDefault(voter)) : 0;
    }
}
