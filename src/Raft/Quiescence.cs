namespace MetaStore.Raft;

/// <summary>
/// How a group that sleeps (<see cref="RaftNode.IsQuiescent"/>) wakes. How it falls asleep is <c>Leadership</c>'s and <c>Following</c>'s business.
/// </summary>
internal sealed class Quiescence(NodeState state, Replication replication, Leadership leadership, RoleSwitch roles)
{
    /// <summary>Ticks since the leader's node was heard of, as the driver last said in this sleep; 0 until it has.</summary>
    public int LeaderSilentTicks { get; set; }

    /// <summary>Time passes again: for a follower as if heartbeats had come until the leader's node fell silent.</summary>
    public void Wake()
    {
        if (!state.IsQuiescent)
        {
            return;
        }

        state.IsQuiescent = false;
        if (state.Role == Role.Leader)
        {
            leadership.Wake();
        }
        else
        {
            roles.RestartElectionTimer();
            state.ElectionElapsed = Math.Min(LeaderSilentTicks, state.Options.ElectionTicks);
            state.PromiseSilence(state.Options.ElectionTicks - state.ElectionElapsed);

            // It has counted: whoever falls asleep again may be woken before the driver has looked, and what it promised since stands.
            LeaderSilentTicks = KnownBugs.SilenceOfAnEarlierSleep ? LeaderSilentTicks : 0;
        }
    }

    /// <summary>
    /// Wakes by a message, unless it says nothing that was not known when the group fell asleep. Such a one may still be on its way then:
    /// the answer to the last heartbeat, or, where messages overtake each other, that heartbeat itself. Woken by those, no group with a
    /// long way between its members would ever sleep, for each sleep would end in a burst of heartbeats, and their answers come late again.
    /// </summary>
    public void WakeBy(Message message)
    {
        bool isOld = message.Term == state.Term && (state.Role == Role.Leader ? IsOldAnswer(message) : message.From == state.Leader && IsOldWord(message));
        if (!isOld)
        {
            Wake();
        }
    }

    private bool IsOldAnswer(Message message) => message.Kind switch
    {
        // A follower that asks to be woken answers no round.
        MessageKind.HeartbeatReply => message.Round > 0,
        MessageKind.AppendReply => !message.Reject && replication.Find(message.From) is { } peer && message.Index <= peer.Match,
        _ => false,
    };

    private bool IsOldWord(Message message) => message.Kind switch
    {
        MessageKind.Heartbeat => message.Round <= state.QuiescentRound,
        MessageKind.Append => message.Index.Value + (ulong)message.Entries.Count <= state.Log.LastIndex.Value && message.Commit <= state.Log.Commit,
        _ => false,
    };
}
