namespace MetaStore.Raft;

/// <summary>A set of voters and what its majority says. A joint membership has two of them; see <see cref="Quorum"/>.</summary>
internal sealed class VoterSet
{
    private readonly NodeId[] _members;
    private readonly ulong[] _matches;

    public VoterSet(IReadOnlyList<NodeId> members)
    {
        _members = [.. members.Distinct().Order()];
        _matches = new ulong[_members.Length];
    }

    /// <summary>The voters, in rising order.</summary>
    public IReadOnlyList<NodeId> Members => _members;

    /// <summary>The smallest number of voters that any other such number has a voter in common with.</summary>
    public int Majority => (_members.Length / 2) + 1;

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
    /// The highest number that a majority holds: with the numbers sorted, the one that still has a majority at or above it.
    /// 0 for an empty set, of which nobody holds anything.
    /// </summary>
    public ulong HeldByMajority(Func<NodeId, ulong> match)
    {
        if (_members.Length == 0)
        {
            return 0;
        }

        for (int i = 0; i < _members.Length; i++)
        {
            _matches[i] = match(_members[i]);
        }

        Array.Sort(_matches);
        return _matches[_members.Length - Majority];
    }
}
