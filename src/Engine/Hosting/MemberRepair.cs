using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// Repairs the directory of a stopped member (<see cref="DirectoryRepair"/>), where it has peers to mend itself from. Started again it is a recovering
/// member: it takes no part in elections until it has caught up with a leader.
/// </summary>
public static class MemberRepair
{
    /// <summary>Examines a directory, and changes nothing.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The data directory.</param>
    /// <param name="isDiverged">The member stopped because its state differs from that of the others.</param>
    /// <param name="hasPeers">
    /// Whoever asks knows that the cluster has other members that hold the data. It matters where nothing that can be read of the directory says so: what is left of
    /// the log may end before the cluster grew.
    /// </param>
    /// <exception cref="RepairRefusedException">It cannot be repaired; the message says why, and what can be done.</exception>
    /// <exception cref="WalVersionException">A file is of another version.</exception>
    /// <exception cref="WalIdentityException">A file is of another cluster or node.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static DirectoryRepair Examine(IDisk disk, string directory, bool isDiverged, bool hasPeers = false)
    {
        DirectoryRepair repair = DirectoryRepair.Examine(disk, directory, isDiverged);
        if (!repair.IsNeeded || repair.IsOnlyMisnamed)
        {
            return repair;
        }

        if (hasPeers)
        {
            return repair;
        }

        if (NewestMembership(repair) is null)
        {
            throw new RepairRefusedException(
                "what can be read of the directory does not say who the members of the cluster are. If it has peers that hold the data, repair it with --has-peers; "
                + "a store of one node is restored from a copy");
        }

        return IsAlone(repair)
            ? throw new RepairRefusedException(
                "as far as its directory can be read, this member is the only voter of its cluster: there are no peers to mend it from. Restore the directory from a copy; "
                + "if the cluster has grown since, repair it with --has-peers")
            : repair;
    }

    /// <summary>
    /// A member without peers that was repaired all the same could not start again, whatever is put back. Where its directory is whole now, it counts as restored
    /// from a copy. False: nothing was changed.
    /// </summary>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public static bool TryRelease(DirectoryRepair repair)
    {
        bool isRestored = !repair.IsNeeded && repair.IsRecovering && IsAlone(repair);
        if (isRestored)
        {
            repair.EndRecovery();
        }

        return isRestored;
    }

    private static bool IsAlone(DirectoryRepair repair) =>
        NewestMembership(repair) is { IsJoint: false, Voters: [var only] } && only.Value == repair.Report.Named!.Identity.NodeId;

    /// <summary>The newest that can still be read; null where none can. It may not be the one that counts today.</summary>
    private static Membership? NewestMembership(DirectoryRepair repair)
    {
        LogEntry? entry = repair.ReadableEntries(NodeCore.Group.Value).Where(candidate => candidate.Kind == (byte)EntryKind.Membership)
            .Select(candidate => (LogEntry?)candidate).LastOrDefault();
        if (entry is { } newest)
        {
            return MembershipCodec.Decode(newest.Data);
        }

        SnapshotReport? snapshot = repair.Report.Snapshots.Where(candidate => !candidate.Info.Configuration.IsEmpty).MaxBy(candidate => candidate.Info.Index);
        return snapshot is null ? null : MembershipCodec.Decode(snapshot.Info.Configuration);
    }
}
