using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>What a repair keeps, what it moves aside, and that no crash in the middle of it makes a directory that hides what was lost.</summary>
public sealed class DirectoryRepairTests
{
    private const int Entries = 60;
    private static readonly TermVote s_vote = new(9, 2);

    [Fact]
    public void A_sound_directory_is_left_alone()
    {
        FaultyDisk disk = Filled();
        disk.ResetCounters();
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
        Assert.False(repair.IsNeeded);
        Assert.Equal(0, disk.Operations);
        Assert.False(RecoveryMarker.Exists(disk, TestLog.Directory));
    }

    [Fact]
    public void A_file_that_is_no_segment_is_all_that_is_moved_where_the_log_is_whole()
    {
        FaultyDisk disk = Filled();
        List<string> segments = TestLog.Segments(disk);
        disk.Create("/data/wal/foo.wal").Dispose();
        Assert.Throws<CorruptionException>(() => TestLog.Reopen(disk));
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
        Assert.True(repair.IsOnlyMisnamed);
        repair.Execute(TestLog.Small);
        Assert.Equal(["foo.wal"], repair.Moved);
        Assert.Equal(segments, TestLog.Segments(disk));
        Assert.False(RecoveryMarker.Exists(disk, TestLog.Directory));
        Assert.Equal(Entries, RequireOwnLog(disk, "stray"));
    }

    [Fact]
    public void A_file_that_is_no_segment_hides_no_damage()
    {
        FaultyDisk disk = Filled();
        disk.Create("/data/wal/foo.wal").Dispose();
        disk.FlipBit(TestLog.Segments(disk)[0], 500, bit: 1);
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
        Assert.False(repair.IsOnlyMisnamed);
        repair.Execute(TestLog.Small);
        Assert.Contains("foo.wal", repair.Moved);
        RequireRepaired(disk, "stray and damage");
    }

    [Fact]
    public void The_log_is_kept_up_to_the_damage_wherever_it_is()
    {
        int[] kept = new int[Entries + 1];
        FaultyDisk whole = Filled();
        foreach (string segment in TestLog.Segments(whole))
        {
            int end = TestLog.EndOfLog(whole.ReadAllBytes(segment));
            for (int at = 0; at < end; at += 37)
            {
                FaultyDisk disk = whole.Clone(new Random(at));
                disk.FlipBit(segment, at, bit: 3);
                byte[] damaged = disk.ReadAllBytes(segment);
                DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
                Assert.True(repair.IsNeeded);
                repair.Execute(TestLog.Small);

                int entries = RequireRepaired(disk, $"{segment} at {at}");
                kept[entries]++;
                Assert.Equal(damaged, disk.ReadAllBytes(Path.Combine(repair.Aside!, Path.GetFileName(segment))));
                Assert.Equal(TestLog.Segments(whole).Count, repair.Moved.Count);
                Assert.False(DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false).IsNeeded);
            }
        }

        // From nothing, where the first batch is hit, to everything, where only the vote behind it is.
        Assert.All(kept, count => Assert.NotEqual(0, count));
    }

    [Fact]
    public void A_damaged_snapshot_takes_the_log_along_that_builds_on_it()
    {
        FaultyDisk disk = Filled(mark: 40);
        string snapshot = "/data/snap/" + Assert.Single(disk.ListFiles("/data/snap"));
        disk.FlipBit(snapshot, 200, bit: 1);
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
        Assert.True(repair.IsNeeded);
        repair.Execute(TestLog.Small);

        Assert.Equal(0, RequireRepaired(disk, "snapshot"));
        Assert.Empty(disk.ListFiles("/data/snap"));
        Assert.Contains(Path.GetFileName(snapshot), disk.ListFiles(repair.Aside!));
    }

    [Fact]
    public void A_snapshot_that_is_sound_stays_with_the_entries_behind_it()
    {
        FaultyDisk disk = Filled(mark: 40);
        string last = TestLog.Segments(disk)[^1];
        disk.FlipBit(last, TestLog.EndOfLog(disk.ReadAllBytes(last)) - 30, bit: 1);
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false);
        repair.Execute(TestLog.Small);

        KeptGroup kept = Assert.Single(repair.Groups);
        Assert.Equal(new LogSnapshotMark(40, 1), kept.Snapshot);
        Assert.Equal(41u, kept.Entries[0].Index);
        RecoveredGroup group = Assert.Single(TestLog.Reopen(disk).Groups);
        Assert.Equal(new LogSnapshotMark(40, 1), group.Mark);
        Assert.Equal(kept.Entries.Select(entry => entry.Index), group.Entries.Select(entry => entry.Index));
        Assert.Single(disk.ListFiles("/data/snap"));
    }

    [Fact]
    public void Of_a_diverged_member_nothing_stays_but_its_name_its_term_and_its_vote()
    {
        FaultyDisk disk = Filled(mark: 40);
        DirectoryRepair repair = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: true);
        Assert.True(repair.IsNeeded);
        repair.Execute(TestLog.Small);

        Assert.Equal(0, RequireRepaired(disk, "diverged"));
        Assert.Empty(disk.ListFiles("/data/snap"));
        Assert.Equal(9u, DirectoryIdentity.TryRead(disk, TestLog.Directory)!.DirectoryId);
    }

    [Fact]
    public void Where_term_and_vote_are_not_known_it_refuses()
    {
        FaultyDisk disk = Filled();
        disk.FlipBit(TestLog.Segments(disk)[0], 500, bit: 1);
        Damage(disk, "vote.a");
        Assert.True(DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false).IsNeeded);
        Damage(disk, "vote.b");
        var refused = Assert.Throws<RepairRefusedException>(() => DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false));
        Assert.Contains("vote twice", refused.Message);

        // The log is whole: it has them.
        disk = Filled();
        Damage(disk, "vote.a");
        Damage(disk, "vote.b");
        DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: true).Execute(TestLog.Small);
        RequireRepaired(disk, "whole log");
    }

    [Fact]
    public void A_directory_without_its_name_is_refused()
    {
        FaultyDisk disk = Filled();
        Damage(disk, "directory.id");
        Assert.Contains("will not know", Assert.Throws<RepairRefusedException>(() => DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false)).Message);
        disk.Delete("/data/directory.id");
        Assert.Contains("will not know", Assert.Throws<RepairRefusedException>(() => DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: false)).Message);
    }

    [Fact]
    public void A_directory_in_use_is_refused()
    {
        FaultyDisk disk = Filled();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        Assert.Contains("in use", Assert.Throws<DiskException>(() => DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged: true)).Message);
    }

    /// <summary>Whatever the crash leaves: it is refused as before, or it is a recovering member's, in its term and with its vote, with a part of its log.</summary>
    [Theory]
    [InlineData(CrashPolicy.LoseAll, false)]
    [InlineData(CrashPolicy.KeepAll, true)]
    [InlineData(CrashPolicy.KeepPrefix, false)]
    [InlineData(CrashPolicy.KeepRandom, false)]
    [InlineData(CrashPolicy.KeepRandom, true)]
    public void A_crash_at_any_operation_hides_nothing_and_the_repair_can_be_run_again(CrashPolicy policy, bool isDiverged)
    {
        int crashes = 0;
        for (int seed = 1; seed <= 5; seed++)
        {
            FaultyDisk damaged = Filled(mark: seed % 2 == 0 ? 40ul : 0);
            string segment = TestLog.Segments(damaged)[seed % 3];
            damaged.FlipBit(segment, 300 + (seed * 100), bit: 1);
            for (long at = 1; ; at++, crashes++)
            {
                FaultyDisk disk = damaged.Clone(new Random(seed));
                disk.Faults = new DiskFaults { PowerOffAtOperation = at, CrashLeavesPartialWrite = at % 2 == 0 };
                try
                {
                    DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged).Execute(TestLog.Small);
                    break;
                }
                catch (SimulatedCrashException)
                {
                    disk.Faults = new DiskFaults();
                    disk.Crash(policy);
                }

                RequireNothingHidden(disk, $"seed {seed}, operation {at}");
                DirectoryRepair again = DirectoryRepair.Examine(disk, TestLog.Directory, isDiverged);
                if (again.IsNeeded)
                {
                    again.Execute(TestLog.Small);
                }

                RequireRepaired(disk, $"seed {seed}, operation {at}, again");
            }
        }

        Assert.InRange(crashes, 100, 1000);
    }

    [Fact]
    public void The_marker_goes_with_the_write_that_says_so_and_a_crash_at_any_operation_is_harmless()
    {
        for (long at = 1; ; at++)
        {
            FaultyDisk disk = Filled();
            RecoveryMarker.Write(disk, TestLog.Directory, TestLog.Identity);
            WriteAheadLog log = TestLog.Open(disk, out _);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { PowerOffAtOperation = at };
            try
            {
                log.Write([TestLog.Entries(1, Entries + 1, 1)]);
                Assert.True(RecoveryMarker.Exists(disk, TestLog.Directory));
                log.Write([new LogWrite { GroupId = 1, WriteId = 2, EndsRecovery = true }]);
                Assert.False(RecoveryMarker.Exists(disk, TestLog.Directory));
                disk.Crash(CrashPolicy.LoseAll);
                Assert.False(RecoveryMarker.Exists(disk, TestLog.Directory));
                return;
            }
            catch (SimulatedCrashException)
            {
                disk.Faults = new DiskFaults();
                disk.Crash(CrashPolicy.KeepRandom);
                Assert.Equal(new LogHardState(s_vote.Term, s_vote.Vote, 3), Assert.Single(TestLog.Reopen(disk).Groups).HardState);
            }
        }
    }

    [Fact]
    public void Golden_marker()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory(TestLog.Directory);
        RecoveryMarker.Write(disk, TestLog.Directory, TestLog.Identity);
        Assert.Equal("4d455441524543" + "0a" + "01000000" + "00000000" + "8877665544332211" + "0300000000000000" + "78474865", Convert.ToHexStringLower(disk.ReadAllBytes("/data/recovering")));
    }

    private static void Damage(FaultyDisk disk, string name) => disk.FlipBit(Path.Combine(TestLog.Directory, name), 20, bit: 1);

    /// <summary>Sound, marked, in the term and with the vote it had; the number of entries that were kept, all of them as they were written.</summary>
    private static int RequireRepaired(FaultyDisk disk, string where)
    {
        disk.Crash(CrashPolicy.LoseAll);
        Assert.True(RecoveryMarker.Exists(disk, TestLog.Directory), where);
        return RequireOwnLog(disk, where);
    }

    private static void RequireNothingHidden(FaultyDisk disk, string where)
    {
        FaultyDisk copy = disk.Clone(new Random(1));
        try
        {
            RequireOwnLog(copy, where);
        }
        catch (CorruptionException)
        {
            return; // As before the repair, or in the middle of it.
        }

        Assert.True(RecoveryMarker.Exists(disk, TestLog.Directory), where);
    }

    private static int RequireOwnLog(FaultyDisk disk, string where)
    {
        RecoveredGroup group = Assert.Single(TestLog.Reopen(disk).Groups);
        Assert.True(new TermVote(group.HardState.Term, group.HardState.Vote) == s_vote, $"{where}: {group.HardState}");
        ulong first = group.Entries.Count == 0 ? 1 : group.Entries[0].Index;
        Assert.Equal(
            Enumerable.Range((int)first, group.Entries.Count).Select(index => Describe(Entry((ulong)index))), group.Entries.Select(Describe));
        return group.Entries.Count;
    }

    private static string Describe(LogEntry entry) => $"{entry.Index}/{entry.Term} {Convert.ToHexString(entry.Data.Span)}";

    private static LogEntry Entry(ulong index) => TestLog.Entries(1, index, 1, bytes: 200).Entries[0];

    /// <summary>A directory with a name, a snapshot, and a log of several segments, whose vote is newer than most of it.</summary>
    private static FaultyDisk Filled(ulong mark = 0)
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= Entries; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
            if (index == mark)
            {
                var store = new SnapshotStore(disk, TestLog.Directory, TestLog.Identity);
                using SnapshotWriter writer = store.Create(1, new SnapshotInfo(mark, 1, new byte[] { 1, 2 }));
                writer.Write(new byte[5000]);
                writer.Complete();
                log.Write([new LogWrite { GroupId = 1, WriteId = index, Mark = new LogSnapshotMark(mark, 1) }]);
            }
        }

        log.Write([new LogWrite { GroupId = 1, WriteId = 99, HardState = new LogHardState(s_vote.Term, s_vote.Vote, 3) }]);
        DirectoryIdentity.ReadOrCreate(disk, TestLog.Directory, TestLog.Identity, () => 9);
        disk.CreateDirectory("/data/snap");
        return disk;
    }
}
