using MetaStore.Raft;

namespace MetaStore.Engine.Members;

/// <summary>
/// A request that this leader would refuse, by a membership that it takes for the newest. It is refused once a round of reads that began after that has shown that nobody else led; where the
/// round comes to nothing, the request is judged anew. Owned by the node loop.
/// </summary>
/// <param name="readOrigin">Names this life's rounds.</param>
/// <param name="patienceTicks">Ticks after which a round counts as lost.</param>
internal sealed class UnprovenRefusal<T>(ulong readOrigin, int patienceTicks)
    where T : class
{
    private MetaStoreException? _refusal;
    private ReadContext _round;
    private ulong _rounds;
    private int _ticksLeft;

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => Request is null;

    /// <summary>What would be refused.</summary>
    public T? Request { get; private set; }

    /// <summary>Begins the round; there is no other. False: none can begin, and nothing has happened.</summary>
    public bool TryProve(T request, MetaStoreException refusal, RaftNode raft)
    {
        Invariant.Check(IsEmpty, "two requests are refused at a time");
        var round = new ReadContext(readOrigin, ++_rounds);
        if (!raft.RequestRead(round))
        {
            return false;
        }

        (Request, _refusal, _round, _ticksLeft) = (request, refusal, round, patienceTicks);
        return true;
    }

    /// <summary>A round is answered: what is refused by that, if it is the one.</summary>
    public (T Request, MetaStoreException Refusal)? Confirm(ReadContext round) =>
        round == _round && Clear() is { } request ? (request, _refusal!) : null;

    /// <summary>A round comes to nothing: the request that is to be judged anew, if it is the one.</summary>
    public T? Abort(ReadContext round) => round == _round ? Clear() : null;

    /// <summary>The request that is to be judged anew, its round having been lost; null for none.</summary>
    public T? Tick() => Request is not null && --_ticksLeft <= 0 ? Clear() : null;

    /// <summary>Forgets it: the request, if there was one.</summary>
    public T? Clear()
    {
        T? request = Request;
        Request = null;
        _round = ReadContext.None;
        return request;
    }
}
