using System.CommandLine;
using MetaStore.Engine.Hosting;
using MetaStore.Server.Inspection;
using MetaStore.Server.Output;
using MetaStore.Server.Serving;
using MetaStore.Wal;

namespace MetaStore.Server.CommandLine;

/// <summary>"metastore repair": makes a stopped member with a damaged directory one that can start, and that its peers mend.</summary>
internal static class RepairCommand
{
    public static Command Create(ProgramIo io)
    {
        var directory = new Option<string>("--data-dir") { Description = "the member's data directory", Required = true };
        var diverged = new Option<bool>("--diverged") { Description = "the member stopped because its state differs from that of the others: set all of it aside" };
        var peers = new Option<bool>("--has-peers") { Description = "the cluster has other members that hold the data, though nothing that can be read of the directory says so; start it with --initial-cluster-state existing then" };
        var command = new Command(
            "repair",
            "prepare the damaged data directory of a stopped member: what is sound stays, the rest is moved aside, and the member, started again, gets from its peers "
            + "what it lacks and votes for nobody until it has. Changes nothing where nothing is damaged. Exit code: 0 ready to start, 4 only remove and add is safe, 5 in use")
        {
            directory, diverged, peers,
        };
        command.SetAction(async (result, cancel) =>
        {
            ByteText text = Run(new NativeDisk(), result.GetValue(directory)!, result.GetValue(diverged), result.GetValue(peers));
            await io.Output.WriteAsync(text.Bytes, cancel);
            return ExitCode.Success;
        });
        return command;
    }

    private static ByteText Run(NativeDisk disk, string directory, bool isDiverged, bool hasPeers)
    {
        DirectoryReport.CheckReadable(disk, directory);
        try
        {
            DirectoryRepair repair = MemberRepair.Examine(disk, directory, isDiverged, hasPeers);
            return repair.IsNeeded ? Repair(repair, directory) : Sound(repair, directory);
        }
        catch (RepairRefusedException refused)
        {
            throw new RefusalException(ExitCode.DamagedData, refused.Message, refused);
        }
        catch (Exception error) when (error is DiskException or WalVersionException or WalIdentityException)
        {
            throw StartFailure.ToRefusal(error, directory);
        }
    }

    private static ByteText Sound(DirectoryRepair repair, string directory)
    {
        var text = new ByteText();
        string what = MemberRepair.TryRelease(repair) ? "the member has no peers, and its directory is whole: it counts as restored from a copy. Start it"
            : repair.IsRecovering ? "nothing was changed; the member is recovering: start it"
            : "nothing was changed; a member that does not start all the same is repaired with --diverged";
        text.Line($"{directory}: nothing is damaged, {what}");
        return text;
    }

    private static ByteText Repair(DirectoryRepair repair, string directory)
    {
        var text = new ByteText();
        foreach (WalFinding finding in repair.Report.Findings.Where(finding => finding.IsDamage))
        {
            text.Line($"damaged: {finding.File} at offset {finding.Offset}: {finding.Cause}");
        }

        bool isWhole = repair.IsOnlyMisnamed;
        repair.Execute(new WalOptions());
        if (isWhole)
        {
            text.Line($"moved to {repair.Aside}: {string.Join(' ', repair.Moved)}");
            text.Line($"{directory}: the rest is whole. Start the member as ever");
            return text;
        }

        foreach (KeptGroup group in repair.Groups)
        {
            string snapshot = group.Snapshot is { } mark ? $"the snapshot of index {mark.Index}" : "no snapshot";
            string entries = group.Entries.Count > 0 ? $"entries {group.Entries[0].Index} to {group.Entries[^1].Index}" : "no entries";
            text.Line($"kept: group {group.GroupId}, {snapshot}, {entries}");
        }

        text.Line($"moved to {repair.Aside}: {string.Join(' ', repair.Moved)}");
        text.Line($"{directory}: repaired. Start the member: it gets from its peers what it lacks, and votes for nobody until it has");
        return text;
    }
}
