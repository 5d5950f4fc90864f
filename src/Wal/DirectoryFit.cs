namespace MetaStore.Wal;

/// <summary>
/// What the parts of a data directory must be to each other. A node that starts and <see cref="WalInspector"/> ask here, so that neither calls sound
/// what the other refuses.
/// </summary>
public static class DirectoryFit
{
    /// <summary>
    /// What is wrong with a directory that holds no log, or null where it is merely new. A snapshot is never without a log beside it, nor is the
    /// directory's name, which is written after the log was made. Starting from what is left would drop what was acknowledged behind
    /// the snapshot, and the node's vote.
    /// </summary>
    /// <param name="newestSnapshot">Index of the group's newest snapshot; null for none.</param>
    /// <param name="named">What the directory says of itself; null where it says nothing.</param>
    public static string? LostLogComplaint(ulong? newestSnapshot, DirectoryIdentity? named)
    {
        if (newestSnapshot is { } index)
        {
            return $"the log is gone, and there is a snapshot of index {index}";
        }

        return named is null ? null : $"the log is gone, and the directory has been that of node {named.Identity.NodeId:x16}";
    }

    /// <summary>What is wrong with a log whose entries up to <paramref name="mark"/> are to be in a snapshot, or null where they are.</summary>
    /// <param name="mark">The log's snapshot mark.</param>
    /// <param name="newestSnapshot">Index of the group's newest snapshot; null for none.</param>
    public static string? LostSnapshotComplaint(LogSnapshotMark mark, ulong? newestSnapshot) =>
        mark.Index > (newestSnapshot ?? 0) && !KnownBugs.StateBehindTheMarkAccepted
            ? $"the log begins behind index {mark.Index}, and the newest snapshot is of index {newestSnapshot ?? 0}"
            : null;
}
