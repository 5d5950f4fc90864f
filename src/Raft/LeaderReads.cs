namespace MetaStore.Raft;

/// <summary>
/// Reads that wait for the leader to prove that it still leads (thesis, 6.4; ReadIndex in etcd). All reads that wait when a round
/// of heartbeats starts share that round: it carries a context of its own, never used twice, so that no late or doubled answer
/// to an earlier round can vouch for a later read. One round is under way at a time; regular heartbeats repeat its context.
/// </summary>
internal sealed class LeaderReads(NodeState state)
{
    private readonly HashSet<NodeId> _confirmedBy = [];
    private List<Request> _waiting = [];
    private List<Request> _inRound = [];
    private LogIndex _roundIndex;
    private ulong _lastRound;

    /// <summary>The context that heartbeats carry; none where no round is under way.</summary>
    public ReadContext Round { get; private set; }

    /// <summary>Reads that have not been answered.</summary>
    public int Count => _waiting.Count + _inRound.Count;

    /// <summary>Adds a read of this node or of a peer.</summary>
    public void Add(NodeId from, ReadContext context) => _waiting.Add(new Request(from, context));

    /// <summary>Answers a read at once: the caller knows that nobody else can lead.</summary>
    public void AnswerNow(NodeId from, ReadContext context) => Answer(new Request(from, context), state.Log.Commit);

    /// <summary>
    /// Starts a round if reads wait and none is under way. True: heartbeats must leave now. The read index is the commit index
    /// at the start, which is why a leader that has committed nothing of its own term may not start one: it does not
    /// know yet what is committed (thesis, 6.4, step 1).
    /// </summary>
    public bool TryStartRound()
    {
        bool knowsCommit = state.Log.TermAt(state.Log.Commit) == state.Term || KnownBugs.ReadBeforeOwnTermCommit;
        if (_waiting.Count == 0 || !Round.Equals(ReadContext.None) || !knowsCommit)
        {
            return false;
        }

        (_inRound, _waiting) = (_waiting, _inRound);
        _roundIndex = state.Log.Commit;
        Round = new ReadContext(state.Options.ReadOrigin, KnownBugs.ReadRoundsShareTheirName ? 1 : ++_lastRound);
        _confirmedBy.Clear();
        return !TryFinish(state.Id);
    }

    /// <summary>A peer answered a heartbeat that carried <paramref name="context"/>. True: the round is over and another may start.</summary>
    public bool Confirm(NodeId peer, ReadContext context) =>
        !Round.Equals(ReadContext.None) && context == Round && TryFinish(peer);

    /// <summary>
    /// Other majorities count from now on, and one may be there already: a leader that is left as the only voter is answered by nobody any more. True: the round is over
    /// and another may start.
    /// </summary>
    public bool Recount() => !Round.Equals(ReadContext.None) && TryFinish(state.Id);

    /// <summary>The node leads no longer: nothing can be confirmed any more.</summary>
    public void AbortAll()
    {
        _waiting.AddRange(_inRound);
        foreach (Request request in _waiting)
        {
            Refuse(request.From, request.Context);
        }

        _waiting.Clear();
        _inRound.Clear();
        Round = ReadContext.None;
    }

    /// <summary>Tells whoever asked that the read must be asked again.</summary>
    public void Refuse(NodeId from, ReadContext context)
    {
        if (from == state.Id)
        {
            state.Outbox.AbortRead(context);
            return;
        }

        state.Send(new Message
        {
            Kind = MessageKind.ReadIndexReply,
            From = state.Id,
            To = from,
            Term = state.Term,
            Context = context,
            Reject = true,
        });
    }

    private bool TryFinish(NodeId confirmedBy)
    {
        _confirmedBy.Add(confirmedBy);
        if (!state.Quorum.IsMajority(_confirmedBy.Contains))
        {
            return false;
        }

        foreach (Request request in _inRound)
        {
            Answer(request, _roundIndex);
        }

        _inRound.Clear();
        Round = ReadContext.None;
        return true;
    }

    private void Answer(Request request, LogIndex index)
    {
        if (request.From == state.Id)
        {
            state.Outbox.AnswerRead(request.Context, index);
            return;
        }

        state.Send(new Message
        {
            Kind = MessageKind.ReadIndexReply,
            From = state.Id,
            To = request.From,
            Term = state.Term,
            Context = request.Context,
            Index = index,
        });
    }

    private readonly record struct Request(NodeId From, ReadContext Context);
}
