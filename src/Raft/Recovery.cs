namespace MetaStore.Raft;

/// <summary>
/// A member that has lost a part of what it had acknowledged. It follows a leader and mends its log from it, and until it has caught up it
/// votes for nobody and does not stand.
/// <para>
/// It has caught up when a leader has told it, in answer to a question of this very life, where its log ends, and this member's
/// log matches that log through there, durably. Each entry that this member ever acknowledged and that is or can become committed is in
/// that part of that leader's log: if the leader sent it itself, then before it answered; if a former leader did, then by leader completeness,
/// for since the loss nobody was elected by this member's vote. (This rests on the term, which must not be lost: docs/ARCHITECTURE.md has the whole argument.)
/// A later leader's log may be another, so with each term the question is asked anew.
/// </para>
/// </summary>
internal sealed class Recovery(NodeState state, bool isActive)
{
    private Term _term;
    private LogIndex? _target;
    private LogIndex _matched;

    /// <summary>Whether this member has not caught up yet.</summary>
    public bool IsActive { get; private set; } = isActive;

    /// <summary>Names the questions of this life: an answer to one of an earlier life may be older than the loss.</summary>
    private ReadContext Name => new(state.Options.ReadOrigin, 1);

    /// <summary>A sign of life of the leader: the time to ask it, as long as it has not answered.</summary>
    public void HandleHeartbeat(NodeId leader)
    {
        if (!IsActive)
        {
            return;
        }

        BeginTerm();
        if (_target is null)
        {
            state.Send(new Message
            {
                Kind = MessageKind.Recover,
                From = state.Id,
                To = leader,
                Term = state.Term,
                Index = state.Log.LastIndex,
                Context = Name,
            });
        }
    }

    /// <summary>The leader of the node's term says where its log ends.</summary>
    public void HandleReply(Message reply)
    {
        if (!IsActive || reply.Context != Name)
        {
            return;
        }

        BeginTerm();
        _target ??= reply.Index;
        TryEnd();
    }

    /// <summary>The log matches that of the leader of the node's term through <paramref name="index"/>.</summary>
    public void Matched(LogIndex index)
    {
        if (IsActive)
        {
            BeginTerm();
            _matched = index > _matched ? index : _matched;
            TryEnd();
        }
    }

    /// <summary>Ends the recovery where everything is durable that it waited for.</summary>
    public void TryEnd()
    {
        bool hasCaughtUp = _term == state.Term && _target is { } target && _matched >= target && state.Writes.DurableIndex >= target;
        if (IsActive && hasCaughtUp)
        {
            IsActive = false;
        }
    }

    private void BeginTerm()
    {
        if (_term != state.Term)
        {
            _term = state.Term;
            _target = null;
            _matched = LogIndex.Zero;
        }
    }
}
