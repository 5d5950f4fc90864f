namespace MetaStore.Raft;

/// <summary>
/// What a follower does with a leader's messages (paper, 5.3 and 7). <see cref="TermGate"/> made sure that the sender leads the
/// node's own term.
/// </summary>
internal sealed class Following(NodeState state)
{
    public void HandleAppend(Message append)
    {
        if (append.Index < state.Log.Commit && !KnownBugs.OldAppendCutsTheLog)
        {
            // Old, and perhaps before all we still hold. What is committed matches by definition: say how far.
            Acknowledge(append.From, state.Log.Commit);
            return;
        }

        if (!state.Log.Matches(append.Index, append.LogTerm))
        {
            Refuse(append);
            return;
        }

        state.Log.Merge(append.Entries);
        var lastNew = new LogIndex(append.Index.Value + (ulong)append.Entries.Count);

        // Behind the last new entry our log may differ from the leader's (paper, figure 2, AppendEntries, step 5).
        state.Log.CommitThrough(append.Commit < lastNew ? append.Commit : lastNew);
        Acknowledge(append.From, lastNew);
    }

    public void HandleHeartbeat(Message heartbeat)
    {
        // The leader names no more than we acknowledged in its term, and a log never loses that. If it has, the disk was tampered
        // with, and CommitThrough stops the node.
        // A recovering member does not hold what the leader may still count on: it learns of commits with the entries alone.
        if (!state.Recovery.IsActive)
        {
            state.Log.CommitThrough(heartbeat.Commit);
        }

        state.Recovery.HandleHeartbeat(heartbeat.From);
        state.Send(state.SignOfLife(heartbeat.From) with
        {
            Context = heartbeat.Context,
            Round = heartbeat.Round,
            Silence = (ulong)state.Options.Silence,
        });
    }

    /// <summary>
    /// The leader has nothing more to say. A follower that stands exactly where it says goes to sleep without a word; any other answers, and
    /// the answer wakes the leader, who sends what is missing. So does one that <paramref name="hasBusiness"/> of its own.
    /// </summary>
    public void HandleQuiesce(Message quiesce, bool hasBusiness)
    {
        bool isEqual = state.Log.LastIndex == quiesce.Index && state.Log.LastTerm == quiesce.LogTerm && quiesce.Commit == quiesce.Index;
        if (!state.Options.Quiesces || !isEqual || hasBusiness || state.Recovery.IsActive || state.Writes.DurableIndex != state.Log.LastIndex)
        {
            state.Send(state.SignOfLife(quiesce.From));
            return;
        }

        state.Log.CommitThrough(quiesce.Commit);
        state.IsQuiescent = true;
        state.QuiescentRound = quiesce.Round;
    }

    public void HandleSnapshotChunk(Message chunk)
    {
        if (chunk.Index <= state.Log.Commit)
        {
            Acknowledge(chunk.From, state.Log.Commit); // Not needed (any more): lets the leader go on with entries.
            return;
        }

        bool holdsData = state.Membership.Contains(state.Id) && !state.Membership.IsWitness(state.Id);
        if (chunk.SnapshotLength == 0 && holdsData)
        {
            return; // An empty snapshot is a witness's: it would take the data's place.
        }

        state.Outbox.PassOnSnapshotTraffic(chunk);
    }

    /// <summary>Promises the leader everything through <paramref name="index"/>, once it is durable.</summary>
    public void Acknowledge(NodeId leader, LogIndex index)
    {
        state.SendWhenDurable(new Message
        {
            Kind = MessageKind.AppendReply,
            From = state.Id,
            To = leader,
            Term = state.Term,
            IsRecovering = state.Recovery.IsActive,
            Index = index,
        });
        state.Recovery.Matched(index);
    }

    private void Refuse(Message append)
    {
        LogIndex hint = state.Log.LastNotAbove(append.Index, append.LogTerm);
        state.Send(new Message
        {
            Kind = MessageKind.AppendReply,
            From = state.Id,
            To = append.From,
            Term = state.Term,
            Reject = true,
            IsRecovering = state.Recovery.IsActive,
            Index = append.Index,
            HintIndex = hint,
            HintTerm = state.Log.TermAt(hint) ?? Term.Zero,
        });
    }
}
