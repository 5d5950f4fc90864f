namespace MetaStore.Wal;

/// <summary>What a snapshot stands for. Stored in the file's header.</summary>
/// <param name="Index">The last log entry it contains; at least 1.</param>
/// <param name="Term">The term of that entry.</param>
/// <param name="Configuration">Who belongs to the group at that entry, at most <see cref="ConfigurationBytesMax"/>; only kept here, never looked at.</param>
public sealed record SnapshotInfo(ulong Index, ulong Term, ReadOnlyMemory<byte> Configuration)
{
    /// <summary>The most bytes of configuration that a snapshot file can hold.</summary>
    public const int ConfigurationBytesMax = 1 << 20;

    /// <inheritdoc/>
    public bool Equals(SnapshotInfo? other)
        => other is not null && Index == other.Index && Term == other.Term && Configuration.Span.SequenceEqual(other.Configuration.Span);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Index, Term, Configuration.Length);
}
