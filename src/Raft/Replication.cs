namespace MetaStore.Raft;

/// <summary>
/// The leader's side of log replication (paper, 5.3 and 5.4.2): what each peer has, what to send it next, and what is
/// committed by that. Appends go out while the leader's own disk is still busy (thesis, 10.2.1); its own copy counts when durable.
/// </summary>
internal sealed class Replication(NodeState state)
{
    private Progress[] _peers = [];

    /// <summary>The peers, in order of their ids.</summary>
    public IReadOnlyList<Progress> Peers => _peers;

    /// <summary>Something was appended or committed that peers should hear of with the next Ready.</summary>
    public bool IsFlushScheduled { get; private set; }

    /// <summary>Forgets what former terms knew of the peers.</summary>
    public void Reset()
    {
        _peers = [.. Others().Select(peer => NewProgress(peer, isNewcomer: false))];
        IsFlushScheduled = false;
    }

    /// <summary>The membership has changed: newcomers are probed from the log's end, those who are gone are forgotten.</summary>
    public void AlignWithMembership() => _peers = [.. Others().Select(peer => Find(peer) ?? NewProgress(peer, isNewcomer: true))];

    /// <summary>The progress of a peer, or null for a stranger.</summary>
    public Progress? Find(NodeId id)
    {
        foreach (Progress peer in _peers)
        {
            if (peer.Id == id)
            {
                return peer;
            }
        }

        return null;
    }

    public void ScheduleFlush() => IsFlushScheduled = true;

    /// <summary>Leadership ends: what was scheduled in its term must not be sent in the name of the next.</summary>
    public void CancelFlush() => IsFlushScheduled = false;

    /// <summary>Sends every peer what it may be sent: new entries, or the new commit index alone.</summary>
    public void Flush()
    {
        Invariant.Check(state.Role == Role.Leader, $"A {state.Role} of term {state.Term} would send its log to peers.");
        IsFlushScheduled = false;
        foreach (Progress peer in _peers)
        {
            SendEverythingPossible(peer);
            bool commitIsNews = peer.State == ProgressState.Replicate && peer.SentCommit < state.Log.Commit && peer.SentCommit.Value + 1 < peer.Next.Value;
            if (commitIsNews)
            {
                SendAppend(peer, evenIfEmpty: true);
            }
        }
    }

    /// <summary>Heartbeats to all. The commit index in them never exceeds what the peer is known to have: its log may differ behind that.</summary>
    public void BroadcastHeartbeats(ReadContext context, ulong round)
    {
        Invariant.Check(state.Role == Role.Leader, $"A {state.Role} of term {state.Term} would send heartbeats.");
        foreach (Progress peer in _peers)
        {
            state.Send(new Message
            {
                Kind = MessageKind.Heartbeat,
                From = state.Id,
                To = peer.Id,
                Term = state.Term,
                Commit = peer.Match < state.Log.Commit ? peer.Match : state.Log.Commit,
                Context = context,
                Round = round,
            });
        }
    }

    /// <summary>Whether every peer is known to have the whole log, durably.</summary>
    public bool EveryPeerHasAll() =>
        Array.TrueForAll(_peers, peer => peer.State == ProgressState.Replicate && peer.Match == state.Log.LastIndex && !peer.IsRecovering);

    /// <summary>Tells every peer that nothing will come until something happens, and where its log must end for that to be so.</summary>
    public void BroadcastQuiesce(ulong lastRound)
    {
        foreach (Progress peer in _peers)
        {
            state.Send(new Message
            {
                Kind = MessageKind.Quiesce,
                From = state.Id,
                To = peer.Id,
                Term = state.Term,
                Index = state.Log.LastIndex,
                LogTerm = state.Log.LastTerm,
                Commit = state.Log.Commit,
                Round = lastRound,
            });
        }
    }

    /// <summary>Whether a majority was heard of since the last call.</summary>
    public bool TakeQuorumActive()
    {
        bool active = state.Quorum.IsMajority(voter => voter == state.Id || Find(voter)!.RecentActive);
        foreach (Progress peer in _peers)
        {
            peer.BeginActivityPeriod(state.Log.LastIndex);
        }

        ScheduleFlushForWitnesses(); // Who keeps up no longer is waited for no longer.

        return active;
    }

    public void HandleHeartbeatReply(Message reply)
    {
        Progress peer = Find(reply.From)!; // Messages of strangers never come this far.
        peer.RecentActive = true;
        peer.IsRecovering = reply.IsRecovering;
        if (!KnownBugs.ProbeNeverResumed)
        {
            peer.Resume();
        }

        // Whatever was sent may be lost. An Append without news is refused where an earlier one is missing, and that restarts the flow.
        if (peer.Match < state.Log.LastIndex || peer.State == ProgressState.Probe || peer.IsRecovering)
        {
            SendAppend(peer, evenIfEmpty: true);
        }
    }

    /// <summary>
    /// A peer has lost a part of its log. It is told where this log ends: once it has all that durably, its vote counts again. What it
    /// acknowledged before may be counted once more, should a late message say so; that costs nothing but a refused Append, for as long as it has not caught
    /// up nobody is elected by its vote.
    /// </summary>
    public void HandleRecover(Message question)
    {
        Progress peer = Find(question.From)!; // Messages of strangers never come this far.
        peer.RecentActive = true;
        state.Send(new Message
        {
            Kind = MessageKind.RecoverReply,
            From = state.Id,
            To = peer.Id,
            Term = state.Term,
            Index = state.Log.LastIndex,
            Context = question.Context,
        });
        if (peer.BeginRecovery(question.Context, question.Index))
        {
            SendAppend(peer, evenIfEmpty: true);
        }
    }

    /// <summary>True: the commit index rose.</summary>
    public bool HandleAppendReply(Message reply)
    {
        Progress peer = Find(reply.From)!; // Messages of strangers never come this far.
        peer.RecentActive = true;
        peer.IsRecovering |= reply.IsRecovering; // An answer may be late: that it has caught up, heartbeats tell.
        if (reply.Reject)
        {
            LogIndex hint = reply.HintTerm > Term.Zero ? state.Log.LastNotAbove(reply.HintIndex, reply.HintTerm) : reply.HintIndex;
            bool isNewsOfPeer = reply.IsRecovering ? peer.RejectRecovering(reply.Index, hint) : peer.Reject(reply.Index, hint);
            if (isNewsOfPeer)
            {
                SendAppend(peer, evenIfEmpty: true);
            }

            return false;
        }

        if (reply.Index > state.Log.LastIndex)
        {
            return false; // Nobody can have been sent that in this term.
        }

        bool isNews = peer.Acknowledge(reply.Index);
        bool probeSucceeded = peer.State == ProgressState.Probe && reply.Index == peer.Match;
        bool snapshotSucceeded = peer.State == ProgressState.Snapshot && state.Log.TermAt(peer.Match) is not null;
        if (probeSucceeded || snapshotSucceeded)
        {
            peer.BecomeReplicate();
        }
        else if (!isNews)
        {
            return false;
        }

        bool committed = TryCommit();
        SendEverythingPossible(peer);
        return committed;
    }

    /// <summary>
    /// Commits what a majority holds durably. Only an entry of the current term may be committed by counting; those before it are
    /// committed with it. An older entry on a majority can still be replaced (paper, figure 8).
    /// </summary>
    public bool TryCommit()
    {
        ScheduleFlushForWitnesses(); // What has come to a voter's disk meanwhile, this one or another, may be sent to them.
        var held = new LogIndex(state.Quorum.HeldByMajority(voter => MatchOf(voter).Value));
        bool mayCount = state.Log.Matches(held, state.Term) || KnownBugs.OlderTermCommitsByCount;
        if (!mayCount || !state.Log.CommitThrough(held))
        {
            return false;
        }

        ScheduleFlush();
        return true;
    }

    /// <summary>The transport lost what was sent last: find out anew where the peer stands, not ahead of its answers.</summary>
    public void ReportUnreachable(NodeId id)
    {
        if (Find(id) is { State: ProgressState.Replicate } peer)
        {
            peer.BecomeProbe();
        }
    }

    /// <summary>A transfer has ended. The peer is probed after its next sign of life: at the snapshot's end, or where it was.</summary>
    public void ReportSnapshot(NodeId id, bool succeeded)
    {
        if (Find(id) is not { State: ProgressState.Snapshot } peer)
        {
            return;
        }

        if (!succeeded)
        {
            peer.AbandonSnapshot();
        }

        peer.BecomeProbe();
        peer.Wait();
    }

    /// <summary>The voter that has most of the log and may stand; none where there is none but this node.</summary>
    public NodeId BestVoter()
    {
        Progress? best = null;
        foreach (Progress peer in _peers)
        {
            bool mayStand = state.Membership.Voters.Contains(peer.Id) && !state.Membership.IsWitness(peer.Id) && !peer.IsRecovering;
            if (mayStand && (best is null || peer.Match > best.Match))
            {
                best = peer;
            }
        }

        return best?.Id ?? NodeId.None;
    }

    /// <summary>
    /// The first entry that an active peer still needs, of those that need no more than so many bytes of the log; behind the log's end where there
    /// is none. A peer that is sent a snapshot needs what comes after it.
    /// </summary>
    public LogIndex NeededFrom(long bytesMax)
    {
        LogIndex needed = state.Log.LastIndex.Next;
        foreach (Progress peer in _peers.Where(peer => peer.IsActive))
        {
            LogIndex held = peer.Match > peer.PendingSnapshot ? peer.Match : peer.PendingSnapshot;
            bool isWithin = held.Next >= state.Log.FirstIndex && held <= state.Log.LastIndex && state.Log.BytesBehind(held) <= bytesMax;
            needed = isWithin && held.Next < needed ? held.Next : needed;
        }

        return needed;
    }

    private IEnumerable<NodeId> Others() => state.Membership.All.Where(member => member != state.Id);

    private Progress NewProgress(NodeId id, bool isNewcomer)
    {
        var progress = new Progress(id, state.Options);

        // A newcomer is sent the last entry, the membership that lets it in, and so found out about at once. It had no chance yet to be
        // heard of: it must not fail the next quorum check.
        LogIndex last = state.Log.LastIndex;
        LogIndex next = isNewcomer ? last : last.Next;
        progress.Reset(KnownBugs.NewcomerBeginsAtZero && isNewcomer ? LogIndex.Zero : next, last);

        progress.RecentActive = isNewcomer;
        return progress;
    }

    private LogIndex MatchOf(NodeId voter) => voter == state.Id ? OwnMatch() : Find(voter)!.Match;

    private LogIndex OwnMatch() => KnownBugs.OwnAppendCountsBeforeDurable ? state.Log.LastIndex : state.Writes.DurableIndex;

    private void SendEverythingPossible(Progress peer)
    {
        while (SendAppend(peer, evenIfEmpty: false))
        {
            // Until nothing is left or the window is full.
        }
    }

    /// <summary>Sends the next Append to a peer if it may be sent one. True: entries left.</summary>
    private bool SendAppend(Progress peer, bool evenIfEmpty)
    {
        if (peer.IsPaused)
        {
            return false;
        }

        var previous = new LogIndex(peer.Next.Value - 1);
        Term? previousTerm = state.Log.TermAt(previous);
        if (previousTerm is null && !(KnownBugs.MissingEntryHasTermZero && evenIfEmpty))
        {
            AskForSnapshot(peer);
            return false;
        }

        bool windowIsFull = (peer.State == ProgressState.Replicate && peer.Inflights.IsFull) || previousTerm is null;
        Entry[] entries = windowIsFull ? [] : EntriesFor(peer);
        if (entries.Length == 0 && !evenIfEmpty)
        {
            return false;
        }

        state.Send(new Message
        {
            Kind = MessageKind.Append,
            From = state.Id,
            To = peer.Id,
            Term = state.Term,
            Index = previous,
            LogTerm = previousTerm ?? Term.Zero,
            Commit = state.Log.Commit,
            Entries = entries,
        });
        peer.Sent(new LogIndex(previous.Value + (ulong)entries.Length), EntrySize.Of(entries), state.Log.Commit);
        return entries.Length > 0;
    }

    /// <summary>A witness gets no more than <see cref="WitnessShare"/> says, and nothing of what commands carry.</summary>
    private Entry[] EntriesFor(Progress peer)
    {
        Entry[] entries = state.Log.Slice(peer.Next, state.Options.AppendBytesMax);
        if (!state.Membership.IsWitness(peer.Id))
        {
            return entries;
        }

        LogIndex limit = WitnessShare.Limit(state.Membership, MatchOf, voter => voter == state.Id || Find(voter)!.KeepsUp);
        return WitnessShare.Of(entries, KnownBugs.WitnessAheadOfAllDisks ? state.Log.LastIndex : limit);
    }

    private void ScheduleFlushForWitnesses()
    {
        if (state.Membership.HasWitness)
        {
            ScheduleFlush();
        }
    }

    private void AskForSnapshot(Progress peer)
    {
        // A dead peer would keep a snapshot alive for nothing: wait until it is heard of.
        if (!peer.RecentActive)
        {
            return;
        }

        // No snapshot that ends before the entries held would do. What comes behind is held from here on, for as long as the peer lives.
        var heldFrom = new LogIndex(state.Log.FirstIndex.Value - 1);
        peer.BecomeSnapshot(heldFrom > state.Log.SnapshotIndex ? heldFrom : state.Log.SnapshotIndex);
        state.Outbox.AskForSnapshot(peer.Id);
    }
}
