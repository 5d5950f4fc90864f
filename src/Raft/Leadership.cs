namespace MetaStore.Raft;

/// <summary>
/// What a leader does beside replication: heartbeats, the quorum check, the reads of everybody, proposals. Works on a node
/// whose role is leader; <see cref="RoleSwitch"/> opens and closes a term of office.
/// </summary>
internal sealed class Leadership(NodeState state, Replication replication, LeaderReads reads)
{
    private int _heartbeatElapsed;

    /// <summary>
    /// Takes office. The empty entry of the new term commits everything before it, which the leader may not do by counting
    /// replicas of older terms (paper, 5.4.2 and 8).
    /// </summary>
    public void Open()
    {
        _heartbeatElapsed = 0;
        replication.Reset();
        state.Log.Append(new Entry(state.Term, state.Log.LastIndex.Next, EntryKind.Empty, default));
        replication.ScheduleFlush();
    }

    /// <summary>Leaves office.</summary>
    public void Close()
    {
        reads.AbortAll();
        replication.CancelFlush();
    }

    /// <summary>One tick of a leader. False: no majority was heard of for an election timeout, and the leader must step down (thesis, 6.2).</summary>
    public bool Tick()
    {
        state.ElectionElapsed++;
        if (state.ElectionElapsed >= state.Options.ElectionTicks)
        {
            state.ElectionElapsed = 0;
            if (!replication.TakeQuorumActive())
            {
                return false;
            }
        }

        _heartbeatElapsed++;
        if (_heartbeatElapsed >= state.Options.HeartbeatTicks)
        {
            BroadcastHeartbeats();
        }

        return true;
    }

    /// <summary>Appends commands, all or none.</summary>
    public ProposeResult Propose(IReadOnlyList<Entry> commands)
    {
        // A lone proposal is let in whatever its size: refused now, it would be refused for ever.
        long uncommitted = state.Log.UncommittedBytes;
        if (uncommitted > 0 && uncommitted + EntrySize.Of(commands) > state.Options.UncommittedBytesMax)
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

    /// <summary>Takes a read of this node or of a peer.</summary>
    public void Read(NodeId from, ReadContext context)
    {
        reads.Add(from, context);
        StartReadRound();
    }

    public void HandleHeartbeatReply(Message reply)
    {
        replication.HandleHeartbeatReply(reply);
        if (reads.Confirm(reply.From, reply.Context))
        {
            StartReadRound();
        }
    }

    public void HandleAppendReply(Message reply)
    {
        if (replication.HandleAppendReply(reply))
        {
            StartReadRound(); // Reads may have waited for the first commit of this term.
        }
    }

    /// <summary>The leader's own log reached the disk.</summary>
    public void HandleOwnAppendDurable()
    {
        if (replication.TryCommit())
        {
            StartReadRound();
        }
    }

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
        replication.BroadcastHeartbeats(reads.Round);
    }
}
