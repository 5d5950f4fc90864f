namespace MetaStore.Raft;

/// <summary>Gathers what waits to be done into one <see cref="Ready"/>, and opens the write that it asks for.</summary>
internal sealed class ReadyBuilder(NodeState state, Replication replication)
{
    /// <summary>Whether <see cref="Build"/> would bring anything.</summary>
    public bool HasWork =>
        NeedsWrite
        || !state.Outbox.IsEmpty
        || state.Writes.HasUnassigned
        || state.Log.HasCommitted
        || replication.IsFlushScheduled;

    private bool NeedsWrite =>
        state.Writes.HandedIndex < state.Log.LastIndex
        || state.Writes.PendingMark is not null
        || HardStateChanged;

    private bool HardStateChanged => state.Writes.HandedTerm != state.Term || state.Writes.HandedVote != state.Vote;

    public Ready Build()
    {
        if (replication.IsFlushScheduled)
        {
            replication.Flush();
        }

        PendingAppend? append = NeedsWrite ? OpenWrite() : null;
        int sealedCount = state.Writes.AssignSealed(state.Term, state.Outbox.Messages);
        return new Ready
        {
            Append = append,
            Messages = state.Outbox.TakeMessages(),
            MessagesAfterAppend = new SealedMessages(sealedCount),
            Committed = state.Log.TakeCommitted(state.Options.CommittedBytesMax),
            Reads = state.Outbox.TakeReads(),
            AbortedReads = state.Outbox.TakeAbortedReads(),
            SnapshotsToSend = state.Outbox.TakeSnapshotsToSend(),
            SnapshotTraffic = state.Outbox.TakeSnapshotTraffic(),
        };
    }

    private PendingAppend OpenWrite()
    {
        // Commit rides along, but never asks for a write of its own: it is only a hint (see HardState).
        var hardState = new HardState(state.Term, state.Vote, state.Log.Commit);
        SnapshotMetadata? mark = state.Writes.PendingMark;
        Entry[] entries = state.Log.Range(state.Writes.HandedIndex.Next, state.Log.LastIndex);
        return new PendingAppend
        {
            WriteId = state.Writes.Open(state.Log.LastIndex, hardState),
            Snapshot = mark,
            Entries = entries,
            HardState = hardState,
        };
    }
}
