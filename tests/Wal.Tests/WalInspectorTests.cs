using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class WalInspectorTests
{
    [Fact]
    public void A_sound_directory_is_told_in_figures_and_left_alone()
    {
        FaultyDisk disk = Filled();
        disk.ResetCounters();
        WalReport report = WalInspector.Inspect(disk, TestLog.Directory);
        Assert.Equal(0, disk.Operations);
        Assert.True(report.IsSound);
        Assert.Empty(report.Findings);
        Assert.Equal(TestLog.Identity, report.Identity);
        Assert.Equal(TestLog.Segments(disk), report.Segments.Select(segment => segment.File));
        Assert.Equal(60, report.Segments.SelectMany(segment => segment.Groups).Where(range => range.FirstIndex is not null).Sum(range => (long)(range.LastIndex! - range.FirstIndex! + 1)));
        GroupReport group = Assert.Single(report.Groups);
        Assert.Equal((1ul, 60ul), (group.FirstIndex!.Value, group.LastIndex!.Value));
        Assert.Equal(5000u, Assert.Single(report.Snapshots).PayloadBytes);
    }

    [Fact]
    public void Damage_is_a_finding_never_an_exception()
    {
        FaultyDisk disk = Filled();
        disk.FlipBit(TestLog.Segment(2), 500, 3);
        disk.FlipBit("/data/snap/" + disk.ListFiles("/data/snap")[0], 300, 3);
        WalReport report = WalInspector.Inspect(disk, TestLog.Directory);
        Assert.False(report.IsSound);
        Assert.Equal(2, report.Findings.Count(finding => finding.IsDamage));
        Assert.Contains(report.Findings, finding => finding.File == TestLog.Segment(2) && finding.Offset > 0);
        Assert.Equal(2, report.Segments.Count); // read up to the damage
        Assert.False(Assert.Single(report.Snapshots).IsSound);
    }

    [Fact]
    public void Of_a_damaged_promise_of_silence_everybody_says_when_it_may_go()
    {
        FaultyDisk disk = Filled();
        SilenceFile.Write(disk, "/data", TimeSpan.FromSeconds(1));
        Assert.True(WalInspector.Inspect(disk, TestLog.Directory).IsSound);

        disk.FlipBit("/data/silence", 16, 3);

        WalFinding finding = Assert.Single(WalInspector.Inspect(disk, TestLog.Directory).Findings);
        Assert.Equal((true, "/data/silence"), (finding.IsDamage, finding.File));
        Assert.Contains("Remove the file once", finding.Cause, StringComparison.Ordinal);
        Assert.Contains("Remove the file once", Assert.Throws<CorruptionException>(() => SilenceFile.Read(disk, "/data")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_damage_anywhere_never_throws()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            FaultyDisk disk = Filled();
            var random = new Random(seed);
            for (int i = 0; i < 3; i++)
            {
                string directory = random.Next(3) == 0 ? "/data/snap" : TestLog.WalDirectory;
                string path = Path.Combine(directory, disk.ListFiles(directory)[random.Next(disk.ListFiles(directory).Count)]);
                byte[] bytes = disk.ReadAllBytes(path);
                random.NextBytes(bytes.AsSpan(random.Next(bytes.Length)));
                disk.WriteAllBytes(path, bytes.AsSpan(0, random.Next(bytes.Length)));
            }

            WalInspector.Inspect(disk, TestLog.Directory);
        }
    }

    [Fact]
    public void An_empty_or_missing_directory_is_a_finding()
    {
        WalReport report = WalInspector.Inspect(TestLog.Disk(), "/nowhere");
        Assert.NotEmpty(report.Findings);
    }

    [Fact]
    public void Snapshots_that_the_log_counts_on_and_that_are_gone_are_damage()
    {
        FaultyDisk disk = Filled();
        using (WriteAheadLog log = TestLog.Open(disk, out _))
        {
            log.Write([new LogWrite { GroupId = 1, WriteId = 61, Mark = new LogSnapshotMark(5, 1) }]);
        }

        Assert.True(WalInspector.Inspect(disk, TestLog.Directory).IsSound);
        disk.Delete("/data/snap/" + Assert.Single(disk.ListFiles("/data/snap")));
        WalReport report = WalInspector.Inspect(disk, TestLog.Directory);
        Assert.False(report.IsSound);
        Assert.Equal("the log begins behind index 5, and the newest snapshot is of index 0", Assert.Single(report.Findings).Cause);
    }

    [Theory]
    [InlineData(true, "the log is gone, and there is a snapshot of index 5")]
    [InlineData(false, "the log is gone, and the directory has been that of node 0000000000000003")]
    public void A_log_that_is_gone_is_damage(bool withSnapshot, string expected)
    {
        FaultyDisk disk = Filled();
        DirectoryIdentity.ReadOrCreate(disk, TestLog.Directory, TestLog.Identity, () => 9);
        foreach (string segment in TestLog.Segments(disk))
        {
            disk.Delete(segment);
        }

        if (!withSnapshot)
        {
            disk.Delete("/data/snap/" + Assert.Single(disk.ListFiles("/data/snap")));
        }

        WalReport report = WalInspector.Inspect(disk, TestLog.Directory);
        Assert.False(report.IsSound);
        Assert.Equal(expected, Assert.Single(report.Findings, finding => finding.IsDamage).Cause);
        Assert.Equal(9ul, report.Named!.DirectoryId);
        Assert.Equal(TestLog.Identity, report.Identity);
    }

    [Fact]
    public void A_name_of_another_directory_is_damage()
    {
        FaultyDisk disk = Filled();
        DirectoryIdentity.ReadOrCreate(disk, TestLog.Directory, TestLog.Identity with { NodeId = 8 }, () => 9);
        Assert.Contains("another node", Assert.Single(WalInspector.Inspect(disk, TestLog.Directory).Findings, finding => finding.IsDamage).Cause);
    }

    [Fact]
    public void A_torn_end_is_a_note_that_does_not_claim_to_know_who_was_told()
    {
        FaultyDisk disk = Filled();
        string last = TestLog.Segments(disk)[^1];
        byte[] torn = disk.ReadAllBytes(last);
        torn.AsSpan(TestLog.EndOfLog(torn), 64).Fill(0x5a);
        disk.WriteAllBytes(last, torn);
        WalReport report = WalInspector.Inspect(disk, TestLog.Directory);
        Assert.True(report.IsSound);
        Assert.Contains("docs/FORMAT.md, Limits", Assert.Single(report.Findings).Cause);
        Assert.DoesNotContain("never acknowledged", report.Findings[0].Cause);
        WalCut cut = TestLog.Reopen(disk).Cut!;
        Assert.Contains("docs/FORMAT.md, Limits", cut.ToString());
        Assert.DoesNotContain("never acknowledged", cut.ToString());
    }

    [Fact]
    public void A_judge_that_refuses_finds_and_leaves_a_torn_end()
    {
        FaultyDisk disk = Filled();
        string last = TestLog.Segments(disk)[^1];
        byte[] torn = disk.ReadAllBytes(last);
        torn.AsSpan(TestLog.EndOfLog(torn), 64).Fill(0x5a);
        disk.WriteAllBytes(last, torn);
        Assert.Throws<CorruptionException>(() => WriteAheadLog.Open(
            disk, TestLog.Directory, TestLog.Identity, TestLog.Small, _ => throw new CorruptionException("/data", 0, "does not fit"), out _));
        Assert.Equal(torn, disk.ReadAllBytes(last));
    }

    private static FaultyDisk Filled()
    {
        FaultyDisk disk = TestLog.Disk();
        using (WriteAheadLog log = TestLog.Open(disk, out _))
        {
            for (ulong index = 1; index <= 60; index++)
            {
                log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
            }
        }

        var store = new SnapshotStore(disk, TestLog.Directory, TestLog.Identity);
        using SnapshotWriter writer = store.Create(1, new SnapshotInfo(5, 1, new byte[] { 1, 2 }));
        writer.Write(new byte[5000]);
        writer.Complete();
        return disk;
    }
}
