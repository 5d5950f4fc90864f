using MetaStore.Server.Output;
using MetaStore.Server.Serving;
using MetaStore.Wal;

namespace MetaStore.Server.Inspection;

/// <summary>What "wal verify" has to say about a data directory.</summary>
internal sealed record DirectoryReport(ReadOnlyMemory<byte> Text, int ExitCode)
{
    /// <exception cref="RefusalException">The directory cannot be read.</exception>
    public static DirectoryReport Make(IDisk disk, string directory)
    {
        CheckReadable(disk, directory);
        WalReport report = WalInspector.Inspect(disk, directory);
        var text = new ByteText();
        text.Line($"{directory}: {(report.Identity is { } identity ? $"data of {identity}" : "whose data it is cannot be told")}");
        if (report.Named is { } named)
        {
            text.Line($"  name     directory.id  directory {named.DirectoryId:x16}");
        }

        foreach (SegmentReport segment in report.Segments)
        {
            text.Line($"  segment  {Path.GetFileName(segment.File)}  {segment.Bytes} bytes, {segment.Records} records{string.Concat(segment.Groups.Select(Describe))}");
        }

        foreach (GroupReport group in report.Groups)
        {
            string entries = group.FirstIndex is null ? "no entries" : $"entries {group.FirstIndex} to {group.LastIndex}";
            text.Line(
                $"  group {group.GroupId}  {entries}, term {group.HardState.Term}, vote {group.HardState.Vote:x16}, commit {group.HardState.Commit}, "
                + $"snapshot mark {group.Mark.Index}");
        }

        foreach (SnapshotReport snapshot in report.Snapshots)
        {
            text.Line(
                $"  snapshot {Path.GetFileName(snapshot.File)}  index {snapshot.Info.Index}, term {snapshot.Info.Term}, {snapshot.Bytes} bytes, {(snapshot.IsSound ? "sound" : "DAMAGED")}");
        }

        foreach (WalFinding finding in report.Findings)
        {
            text.Line($"  {(finding.IsDamage ? "DAMAGE" : "note")}  {finding.File} at offset {finding.Offset}: {finding.Cause}");
        }

        text.Line(report.IsSound ? "sound" : "damaged");
        return new DirectoryReport(text.Bytes, report.IsSound ? Server.ExitCode.Success : Server.ExitCode.Failed);
    }

    /// <summary>Apart from damage: a wrong path or a missing right says nothing about the data.</summary>
    /// <exception cref="RefusalException">The directory cannot be read, or is no data directory.</exception>
    public static void CheckReadable(IDisk disk, string directory)
    {
        string wal = Path.Combine(directory, "wal");
        string snapshots = Path.Combine(directory, "snap");
        if (!Directory.Exists(wal) && !Directory.Exists(snapshots) && !File.Exists(Path.Combine(directory, "directory.id")))
        {
            throw new RefusalException(Server.ExitCode.Usage, $"{directory} is not a data directory: there is no {wal}.");
        }

        try
        {
            foreach (string part in new[] { wal, snapshots }.Where(Directory.Exists))
            {
                foreach (string name in disk.ListFiles(part))
                {
                    disk.Open(Path.Combine(part, name), readOnly: true).Dispose();
                }
            }
        }
        catch (DiskException e)
        {
            throw new RefusalException(Server.ExitCode.Usage, StartFailure.Describe(e), e);
        }
    }

    private static string Describe(EntryRange range) =>
        range.FirstIndex is null ? $", group {range.GroupId}" : $", group {range.GroupId} entries {range.FirstIndex} to {range.LastIndex}";
}
