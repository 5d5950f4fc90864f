namespace MetaStore.Raft;

/// <summary>
/// The memberships in a log. The newest one counts from the moment it is in the log, committed or not (paper, 6), so one that is cut
/// away takes its configuration with it, and the one before counts again. Those that can no longer be needed for that are forgotten.
/// </summary>
internal sealed class MembershipHistory(LogIndex index, Membership membership)
{
    private readonly List<(LogIndex Index, Membership Membership)> _entries = new() { (index, membership) };

    /// <summary>The one that counts.</summary>
    public Membership Current => _entries[^1].Membership;

    /// <summary>The one before; the same where there is none.</summary>
    public Membership Previous => _entries[^Math.Min(2, _entries.Count)].Membership;

    /// <summary>Where the log has it; committed once the commit index is here.</summary>
    public LogIndex CurrentIndex => _entries[^1].Index;

    /// <summary>The log got another, at its end. What is committed through <paramref name="commit"/> cannot be cut away any more.</summary>
    public void Add(LogIndex index, Membership membership, LogIndex commit)
    {
        Invariant.Check(index > CurrentIndex, $"Membership at {index} behind the one at {CurrentIndex}.");
        while (_entries.Count > 1 && _entries[1].Index <= commit)
        {
            _entries.RemoveAt(0);
        }

        _entries.Add((index, membership));
    }

    /// <summary>The log no longer holds what it held from <paramref name="index"/> on.</summary>
    public void CutFrom(LogIndex index)
    {
        while (_entries.Count > 1 && _entries[^1].Index >= index)
        {
            _entries.RemoveAt(_entries.Count - 1);
            if (KnownBugs.CutTakesBackOneMembership)
            {
                return;
            }
        }
    }

    /// <summary>The log begins behind a leader's snapshot, which has <paramref name="membership"/>; newer ones stay where the log behind it stays.</summary>
    public void Restore(LogIndex index, Membership membership)
    {
        _entries.RemoveAll(entry => entry.Index <= index);
        _entries.Insert(0, (index, membership));
    }

    /// <summary>Only for the known bug of that name.</summary>
    public void ForgetJoint() => _entries[^1] = (CurrentIndex, Current.LeaveJoint());

    /// <summary>The one that counted at a position; null where it is forgotten.</summary>
    public Membership? At(LogIndex index)
    {
        for (int i = _entries.Count - 1; i >= 0; i--)
        {
            if (_entries[i].Index <= index)
            {
                return _entries[i].Membership;
            }
        }

        return null;
    }
}
