namespace MetaStore.Raft;

/// <summary>
/// The rules about terms that every message passes before its own handler sees it (paper, 5.1; thesis, 4.2.3 and 9.6).
/// <code>
///   message term   kind                            what happens
///   higher         Vote, PreVote, leader alive     ignored: a node that was cut off must not unseat a leader that works
///                                                  (unless the leader itself asked for the election: a transfer)
///   higher         PreVote                         passes; our term stays
///   higher         PreVoteReply, granted           passes; it names the term we asked for
///   higher         any other                       we follow in that term; passes
///   equal          any                             passes
///   lower          Append, Heartbeat, Quiesce,     answered by an empty HeartbeatReply in our term: a leader that cannot reach
///                  SnapshotChunk                   us since we are ahead steps down, and the next election includes us. (A
///                                                  refusal would mislead the sender if it leads our term by now.)
///   lower          PreVote                         refused in our term
///   lower          any other                       ignored
///   none           Propose, ReadIndex              pass; they belong to no term
///   any            the driver's own kinds          ignored: they are the driver's
/// </code>
/// </summary>
internal sealed class TermGate(NodeState state, RoleSwitch roles)
{
    /// <summary>True: the message is for the handler of its kind.</summary>
    public bool Admit(Message message)
    {
        if (message.Kind is MessageKind.Propose or MessageKind.ReadIndex)
        {
            return true;
        }

        if (message.Kind is MessageKind.Forward or MessageKind.ForwardReply or MessageKind.StateReport or MessageKind.NodeBeat)
        {
            return false;
        }

        if (message.Term > state.Term)
        {
            return AdmitHigher(message);
        }

        if (message.Term < state.Term)
        {
            AnswerLower(message);
            return false;
        }

        if (IsFromLeader(message.Kind))
        {
            Follow(message.From);
        }

        return true;
    }

    private static bool IsFromLeader(MessageKind kind) =>
        kind is MessageKind.Append or MessageKind.Heartbeat or MessageKind.SnapshotChunk or MessageKind.Quiesce;

    private bool AdmitHigher(Message message)
    {
        bool isRequest = message.Kind is MessageKind.Vote or MessageKind.PreVote;
        if (isRequest && state.HasLiveLeader && !message.IsTransfer && !KnownBugs.CutOffNodeUnseatsTheLeader)
        {
            return false;
        }

        bool isHypothetical = message.Kind == MessageKind.PreVote || (message.Kind == MessageKind.PreVoteReply && !message.Reject);
        if (!isHypothetical)
        {
            roles.BecomeFollower(message.Term, IsFromLeader(message.Kind) ? message.From : NodeId.None);
        }

        return true;
    }

    private void Follow(NodeId leader)
    {
        Invariant.Check(state.Role != Role.Leader, $"Node {leader} leads term {state.Term}, and so does this node {state.Id}.");
        Invariant.Check(state.Leader.IsNone || state.Leader == leader, $"Nodes {state.Leader} and {leader} both lead term {state.Term}.");
        if (state.Role != Role.Follower || state.Leader != leader)
        {
            roles.BecomeFollower(state.Term, leader);
        }
        else
        {
            state.ElectionElapsed = 0;
            state.PromiseSilence(state.Options.ElectionTicks);
        }
    }

    private void AnswerLower(Message message)
    {
        if (IsFromLeader(message.Kind))
        {
            state.Send(state.SignOfLife(message.From));
        }
        else if (message.Kind == MessageKind.PreVote)
        {
            state.Send(new Message { Kind = MessageKind.PreVoteReply, From = state.Id, To = message.From, Term = state.Term, Reject = true });
        }
    }
}
