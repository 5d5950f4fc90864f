namespace MetaStore.Raft;

/// <summary>How the leader sends to a peer; see <see cref="Progress"/>.</summary>
internal enum ProgressState
{
    /// <summary>The leader does not know where the peer's log stops matching: one Append per answer or heartbeat.</summary>
    Probe,

    /// <summary>The logs match: Appends are sent ahead of their answers, within the window.</summary>
    Replicate,

    /// <summary>The peer needs entries that were compacted away: nothing is sent until it has a snapshot.</summary>
    Snapshot,
}

/// <summary>
/// What the leader knows of one peer's log. Invariant: Match &lt; Next.
/// <code>
///               positive AppendReply
///      +--------+ ----------------------> +-----------+
///   +->| Probe  |                         | Replicate |
///   |  +--------+ &lt;---------------------- +-----------+
///   |      |  refused AppendReply, unreachable   ^  |
///   |      | needs compacted entries             |  | needs compacted entries
///   |      v                                     |  |
///   |  +----------+   AppendReply at or behind   |  |
///   +--| Snapshot | -----------------------------+  |
///      +----------+ &lt;-------------------------------+
///     transfer reported ended
/// </code>
/// </summary>
internal sealed class Progress(NodeId id, RaftOptions options)
{
    private bool _wasActive;
    private ReadContext _recovery;
    private LogIndex _toKeepUp;

    public NodeId Id { get; } = id;

    public ProgressState State { get; private set; }

    /// <summary>The peer's log is known to match, durably, through here.</summary>
    public LogIndex Match { get; private set; }

    /// <summary>The next entry to send.</summary>
    public LogIndex Next { get; private set; }

    /// <summary>While in <see cref="ProgressState.Snapshot"/>: the peer will have at least this.</summary>
    public LogIndex PendingSnapshot { get; private set; }

    /// <summary>Heard from since the last quorum check.</summary>
    public bool RecentActive { get; set; }

    /// <summary>The peer has lost a part of its log and has not caught up: it gives no vote.</summary>
    public bool IsRecovering { get; set; }

    /// <summary>Heard from since the quorum check before the last one.</summary>
    public bool IsActive => RecentActive || _wasActive;

    /// <summary>
    /// The peer lives, and has all that the leader had when the time since the last quorum check began, or the one before: its copy is worth waiting
    /// for. A peer whose disk stands still, or that has far to catch up, answers heartbeats as well and does not count.
    /// </summary>
    public bool KeepsUp { get; private set; }

    /// <summary>The commit index the peer was last told in an Append.</summary>
    public LogIndex SentCommit { get; private set; }

    /// <summary>The Appends on their way while replicating.</summary>
    public Inflights Inflights { get; } = new(options.InflightMessagesMax, options.InflightBytesMax);

    /// <summary>Sending waits for an answer: of a probe, or for room in the window. A heartbeat's answer ends the wait once.</summary>
    public bool IsWaiting { get; private set; }

    public bool IsPaused => State == ProgressState.Snapshot || IsWaiting;

    /// <summary>Begins the time until the next quorum check; the leader's log ends at <paramref name="lastIndex"/>.</summary>
    public void BeginActivityPeriod(LogIndex lastIndex)
    {
        _wasActive = RecentActive;
        KeepsUp = RecentActive && Match >= _toKeepUp;
        _toKeepUp = lastIndex;
        RecentActive = false;
    }

    /// <summary>Begins anew, as for every peer when a leader takes office, whose log ends at <paramref name="lastIndex"/>.</summary>
    public void Reset(LogIndex next, LogIndex lastIndex)
    {
        Match = LogIndex.Zero;
        KeepsUp = false;
        _toKeepUp = lastIndex;
        RecentActive = false;
        SentCommit = LogIndex.Zero;
        Enter(ProgressState.Probe, next);
    }

    public void BecomeProbe()
    {
        LogIndex next = Match.Next;
        if (State == ProgressState.Snapshot && PendingSnapshot >= next)
        {
            next = PendingSnapshot.Next;
        }

        Enter(ProgressState.Probe, next);
    }

    public void BecomeReplicate() => Enter(ProgressState.Replicate, Match.Next);

    public void BecomeSnapshot(LogIndex atLeast)
    {
        Enter(ProgressState.Snapshot, Next);
        PendingSnapshot = atLeast;
    }

    /// <summary>The snapshot in transfer reaches through <paramref name="index"/>.</summary>
    public void RaisePendingSnapshot(LogIndex index)
    {
        if (State == ProgressState.Snapshot && index > PendingSnapshot)
        {
            PendingSnapshot = index;
        }
    }

    /// <summary>The transfer failed: the peer has no more than it had.</summary>
    public void AbandonSnapshot() => PendingSnapshot = LogIndex.Zero;

    /// <summary>The peer has everything through <paramref name="index"/>. False: it was known.</summary>
    public bool Acknowledge(LogIndex index)
    {
        if (index <= Match)
        {
            return false;
        }

        Match = index;
        KeepsUp |= Match >= _toKeepUp;
        if (Next <= Match)
        {
            Next = Match.Next;
        }

        IsWaiting = false;
        Inflights.FreeThrough(index);
        return true;
    }

    /// <summary>
    /// The peer has lost a part of its log, which ends at <paramref name="last"/> now: nothing it acknowledged before counts any more. False: this life of
    /// it, which <paramref name="name"/> names, has said so before.
    /// </summary>
    public bool BeginRecovery(ReadContext name, LogIndex last)
    {
        if (name == _recovery)
        {
            return false;
        }

        _recovery = name;
        IsRecovering = true;
        Match = LogIndex.Zero;
        Enter(ProgressState.Probe, last.Next < Next ? last.Next : Next);
        return true;
    }

    /// <summary>
    /// As <see cref="Reject"/>, of a peer that has lost a part of its log. A late acknowledgement from before the loss may have said that it has more: then
    /// it refuses what follows on <see cref="Match"/> itself, which is tried once more, with nothing else under way, before it is believed. A refusal of any
    /// other place is judged as ever: were each taken for a loss, those that come late would have the same entries sent again and again, and each of
    /// them would be answered.
    /// </summary>
    public bool RejectRecovering(LogIndex rejected, LogIndex hint)
    {
        if (rejected == Match && State == ProgressState.Replicate)
        {
            BecomeProbe();
            return true;
        }

        if (rejected != Match || State != ProgressState.Probe || Next != Match.Next)
        {
            return Reject(rejected, hint);
        }

        Match = LogIndex.Zero;
        Enter(ProgressState.Probe, new LogIndex(Math.Max(1, Math.Min(rejected.Value, hint.Value + 1))));
        return true;
    }

    /// <summary>
    /// The peer refused an Append behind <paramref name="rejected"/>; its log cannot match beyond <paramref name="hint"/>.
    /// False: the refusal is old, or a doubled message, and says nothing about now.
    /// </summary>
    public bool Reject(LogIndex rejected, LogIndex hint)
    {
        if (State == ProgressState.Replicate)
        {
            if (rejected <= Match)
            {
                return false;
            }

            BecomeProbe();
            return true;
        }

        // While probing only one Append is out; any other position is that of a former one.
        if (State == ProgressState.Snapshot || rejected.Value != Next.Value - 1)
        {
            return false;
        }

        ulong next = Math.Max(Math.Min(rejected.Value, hint.Value + 1), Match.Value + 1);
        Next = new LogIndex(next);
        IsWaiting = false;
        return true;
    }

    /// <summary>An Append with entries through <paramref name="last"/> leaves, <paramref name="bytes"/> long; 0 where it has none.</summary>
    public void Sent(LogIndex last, long bytes, LogIndex commit)
    {
        SentCommit = commit;
        if (State == ProgressState.Probe)
        {
            IsWaiting = true;
            return;
        }

        if (bytes > 0)
        {
            Inflights.Add(last, bytes);
            Next = last.Next;
        }

        IsWaiting = Inflights.IsFull;
    }

    /// <summary>The peer lives: one more Append may be tried.</summary>
    public void Resume() => IsWaiting = false;

    /// <summary>Waits for the next sign of life before anything is sent.</summary>
    public void Wait() => IsWaiting = true;

    private void Enter(ProgressState state, LogIndex next)
    {
        State = state;
        Next = next;
        PendingSnapshot = LogIndex.Zero;
        IsWaiting = false;
        Inflights.Clear();
    }
}
