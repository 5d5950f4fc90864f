namespace MetaStore.Raft;

/// <summary>How an election stands.</summary>
internal enum VoteResult
{
    Pending,
    Won,
    Lost,
}

/// <summary>
/// Every decision by majority, in one place: of the voters, and, while a membership is joint, of the outgoing voters as well
/// (thesis, 4.3).
/// </summary>
internal sealed class Quorum
{
    private readonly VoterSet _incoming;
    private readonly VoterSet? _outgoing;

    public Quorum(Membership membership)
    {
        _incoming = new VoterSet(membership.Voters);
        _outgoing = membership.IsJoint ? new VoterSet(membership.Outgoing) : null;
        Voters = [.. membership.Voters.Union(membership.Outgoing).Order()];
    }

    /// <summary>Whoever has a vote, in either half, each once, in rising order.</summary>
    public IReadOnlyList<NodeId> Voters { get; }

    /// <summary>Whether one voter decides alone.</summary>
    public bool IsSingle => Voters.Count == 1;

    /// <summary>Whether those for whom <paramref name="agrees"/> holds are a majority wherever one is needed.</summary>
    public bool IsMajority(Func<NodeId, bool> agrees) => _incoming.IsMajority(agrees) && (_outgoing?.IsMajority(agrees) ?? true);

    /// <summary>Counts the votes; a voter that has not answered is not in the table. Lost in one half is lost.</summary>
    public VoteResult Count(IReadOnlyDictionary<NodeId, bool> votes)
    {
        VoteResult incoming = _incoming.Count(votes);
        VoteResult outgoing = _outgoing?.Count(votes) ?? incoming;
        if (incoming == outgoing)
        {
            return incoming;
        }

        return incoming == VoteResult.Lost || outgoing == VoteResult.Lost ? VoteResult.Lost : VoteResult.Pending;
    }

    /// <summary>The highest number (a position, a round) that a majority holds, wherever one is needed.</summary>
    public ulong HeldByMajority(Func<NodeId, ulong> match)
    {
        ulong incoming = _incoming.HeldByMajority(match);
        return Math.Min(incoming, _outgoing?.HeldByMajority(match) ?? incoming);
    }
}
