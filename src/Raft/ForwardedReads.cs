namespace MetaStore.Raft;

/// <summary>
/// Reads that this follower asked the leader for. Only an answer that names one of them is taken. They are given up when the
/// leader changes, and when no answer came for an election timeout (a message was lost): the driver asks again under a new context.
/// </summary>
internal sealed class ForwardedReads(NodeState state)
{
    private readonly Dictionary<ReadContext, ulong> _deadlines = [];
    private ulong _now;

    public int Count => _deadlines.Count;

    public void Forward(ReadContext context)
    {
        _deadlines[context] = _now + (ulong)state.Options.ElectionTicks;
        state.Send(new Message { Kind = MessageKind.ReadIndex, From = state.Id, To = state.Leader, Context = context });
    }

    public void Handle(Message reply)
    {
        if (!_deadlines.Remove(reply.Context))
        {
            return;
        }

        if (reply.Reject)
        {
            state.Outbox.AbortRead(reply.Context);
        }
        else
        {
            state.Outbox.AnswerRead(reply.Context, reply.Index);
        }
    }

    public void Tick()
    {
        _now++;
        if (_deadlines.Count > 0)
        {
            Abort(context => _deadlines[context] <= _now);
        }
    }

    public void AbortAll() => Abort(_ => true);

    /// <summary>In order of the contexts: that of a dictionary is nobody's promise, and a run must be repeatable.</summary>
    private void Abort(Func<ReadContext, bool> which)
    {
        List<ReadContext> aborted = [.. _deadlines.Keys.Where(which).OrderBy(context => context.Origin).ThenBy(context => context.Sequence)];
        foreach (ReadContext context in aborted)
        {
            _deadlines.Remove(context);
            state.Outbox.AbortRead(context);
        }
    }
}
