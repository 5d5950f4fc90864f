namespace MetaStore.Engine;

/// <summary>Why a member is not listened to.</summary>
public enum MemberRefusal
{
    /// <summary>It was removed from the cluster.</summary>
    Removed,

    /// <summary>It comes with another data directory than it had: what it had promised is lost.</summary>
    DirectoryReplaced,
}

/// <summary>Whom a transport lets in: what it was last told by <see cref="IPeerTransport.SetMembers"/>. Immutable.</summary>
public sealed class MemberDirectory
{
    private readonly Member[] _members;
    private readonly HashSet<ulong> _removed;

    /// <summary>The members, with their directories, and the ids of those that were removed.</summary>
    public MemberDirectory(IEnumerable<Member> members, IEnumerable<ulong> removed)
    {
        _members = [.. members];
        _removed = [.. removed];
    }

    /// <summary>Before anything was told.</summary>
    public static MemberDirectory Nobody { get; } = new([], []);

    /// <summary>The members.</summary>
    public IReadOnlyList<Member> Members => _members;

    /// <summary>Why a peer of that id, on a data directory of that name, is to be refused; null where it is not.</summary>
    public MemberRefusal? Judge(ulong id, ulong directoryId)
    {
        if (_removed.Contains(id))
        {
            return MemberRefusal.Removed;
        }

        ulong known = DirectoryOf(id);
        return known != 0 && known != directoryId && !KnownBugs.WipedMemberMayVote ? MemberRefusal.DirectoryReplaced : null;
    }

    /// <summary>The data directory that a member is known to run on; 0 where none is known.</summary>
    public ulong DirectoryOf(ulong id)
    {
        foreach (Member member in _members)
        {
            if (member.Id == id)
            {
                return member.DirectoryId;
            }
        }

        return 0;
    }
}
