namespace MetaStore.Wal;

/// <summary>What a snapshot stands for. Stored in the file's header.</summary>
/// <param name="Index">The last log entry it contains; at least 1.</param>
/// <param name="Term">The term of that entry.</param>
/// <param name="Voters">The members of the group at that entry, at most <see cref="VotersMax"/>.</param>
public sealed record SnapshotInfo(ulong Index, ulong Term, IReadOnlyList<ulong> Voters)
{
    /// <summary>The most voters a snapshot file can name.</summary>
    public const int VotersMax = 1024;

    /// <inheritdoc/>
    public bool Equals(SnapshotInfo? other)
        => other is not null && Index == other.Index && Term == other.Term && Voters.SequenceEqual(other.Voters);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Index, Term, Voters.Count);
}
