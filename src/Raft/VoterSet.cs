namespace MetaStore.Raft;

/// <summary>How an election stands.</summary>
internal enum VoteResult
{
    Pending,
    Won,
    Lost,
}

/// <summary>
/// The voters of a group, and every decision by majority in one place: a joint configuration (thesis, 4.3) would ask two of
/// these and combine the answers; nothing else need know.
/// </summary>
internal sealed class VoterSet
{
    private readonly NodeId[] _members;

    public VoterSet(IReadOnlyList<NodeId> members)
    {
        _members = [.. members.Distinct().Order()];
    }

    /// <summary>The voters, in rising order.</summary>
    public IReadOnlyList<NodeId> Members => _members;

    /// <summary>The smallest number of voters that any other such number has a voter in common with.</summary>
    public int Majority => (_members.Length / 2) + 1;

    public bool IsSingle => _members.Length == 1;

    public bool Contains(NodeId id) => Array.BinarySearch(_members, id) >= 0;

    /// <summary>Whether those for whom <paramref name="agrees"/> holds are a majority.</summary>
    public bool IsMajority(Func<NodeId, bool> agrees)
    {
        int count = 0;
        foreach (NodeId member in _members)
        {
            if (agrees(member))
            {
                count++;
            }
        }

        return count >= Majority;
    }

    /// <summary>Counts the votes; a voter that has not answered is not in the table.</summary>
    public VoteResult Count(IReadOnlyDictionary<NodeId, bool> votes)
    {
        int granted = 0;
        int refused = 0;
        foreach (NodeId member in _members)
        {
            if (votes.TryGetValue(member, out bool vote))
            {
                granted += vote ? 1 : 0;
                refused += vote ? 0 : 1;
            }
        }

        if (granted >= Majority)
        {
            return VoteResult.Won;
        }

        return _members.Length - refused < Majority ? VoteResult.Lost : VoteResult.Pending;
    }

    /// <summary>
    /// The highest position that a majority holds: with the positions sorted, the one that still has a majority at or above it.
    /// <paramref name="matches"/> has one position per voter, in any order, and is sorted in place.
    /// </summary>
    public LogIndex HeldByMajority(Span<ulong> matches)
    {
        Invariant.Check(matches.Length == _members.Length, $"{matches.Length} positions for {_members.Length} voters.");
        matches.Sort();
        return new LogIndex(matches[matches.Length - Majority]);
    }
}
