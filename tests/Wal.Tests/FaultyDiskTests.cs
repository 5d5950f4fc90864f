using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>The disk that the other tests believe.</summary>
public sealed class FaultyDiskTests
{
    [Theory]
    [InlineData(CrashPolicy.LoseAll, 1, 1)]
    [InlineData(CrashPolicy.KeepAll, 2, 2)]
    [InlineData(CrashPolicy.ProcessKill, 2, 2)]
    public void Unsynced_sectors_are_lost_or_kept(CrashPolicy policy, byte first, byte last)
    {
        FaultyDisk disk = Prepared(out IDiskFile file);
        file.Write(Filled(2, 2048), 0);
        disk.Crash(policy);
        byte[] bytes = disk.ReadAllBytes("/d/a");
        Assert.Equal((first, last), (bytes[0], bytes[^1]));
        Assert.Throws<SimulatedCrashException>(() => file.Write([1], 0));
    }

    [Fact]
    public void A_random_crash_tears_between_sectors_only()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (int seed = 0; seed < 200; seed++)
        {
            FaultyDisk disk = Prepared(out IDiskFile file, seed);
            file.Write(Filled(2, 2048), 0);
            disk.Crash(CrashPolicy.KeepRandom);
            byte[] bytes = disk.ReadAllBytes("/d/a");
            for (int sector = 0; sector < 4; sector++)
            {
                Assert.Equal(-1, bytes.AsSpan(sector * 512, 512).IndexOfAnyExcept(bytes[sector * 512]));
            }

            seen.Add(string.Concat(Enumerable.Range(0, 4).Select(sector => bytes[sector * 512])));
        }

        Assert.Equal(16, seen.Count);
    }

    [Fact]
    public void Names_are_durable_after_a_sync_of_the_directory_only()
    {
        FaultyDisk disk = Prepared(out _);
        using (IDiskFile file = disk.Create("/d/b"))
        {
            file.Write([1], 0);
            file.SyncData();
        }

        disk.Rename("/d/a", "/d/c");
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(["a"], disk.ListFiles("/d"));
        disk.Rename("/d/a", "/d/c");
        disk.SyncDirectory("/d");
        disk.Delete("/d/c");
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(["c"], disk.ListFiles("/d"));
    }

    [Fact]
    public void A_later_sync_does_not_save_what_a_failed_one_lost()
    {
        FaultyDisk disk = Prepared(out IDiskFile file);
        file.Write(Filled(2, 2048), 0);
        disk.ResetCounters();
        disk.Faults = new DiskFaults { FailAtOperation = 1 };
        Assert.Throws<DiskException>(file.SyncData);
        disk.Faults = new DiskFaults();
        file.Write(Filled(3, 512), 512);
        file.SyncData();
        Assert.Equal(2, disk.ReadAllBytes("/d/a")[0]);
        disk.Crash(CrashPolicy.LoseAll);
        byte[] bytes = disk.ReadAllBytes("/d/a");
        Assert.Equal((1, 3, 1), (bytes[0], bytes[512], bytes[1024]));
    }

    [Fact]
    public void The_power_goes_out_at_the_very_operation_and_a_write_may_be_half_done()
    {
        var firsts = new HashSet<int>();
        for (int seed = 0; seed < 50; seed++)
        {
            FaultyDisk disk = Prepared(out IDiskFile file, seed);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { PowerOffAtOperation = 2, CrashLeavesPartialWrite = true };
            file.Write([5], 100);
            Assert.Throws<SimulatedCrashException>(() => file.Write(Filled(2, 2048), 0));
            Assert.Throws<SimulatedCrashException>(() => disk.ListFiles("/d"));
            disk.Faults = new DiskFaults();
            disk.Crash(CrashPolicy.KeepAll);
            firsts.Add(disk.ReadAllBytes("/d/a").AsSpan().IndexOf((byte)1));
        }

        Assert.Equal([0, 512, 1024, 1536], firsts.Order()); // between sectors, and never the whole write
    }

    [Fact]
    public void A_clone_goes_its_own_way()
    {
        FaultyDisk disk = Prepared(out IDiskFile file);
        file.Write(Filled(2, 2048), 0);
        disk.Create("/d/new").Dispose();
        FaultyDisk copy = disk.Clone(new Random(1));
        copy.Crash(CrashPolicy.LoseAll);
        Assert.Equal(1, copy.ReadAllBytes("/d/a")[0]);
        Assert.Equal(["a"], copy.ListFiles("/d"));
        Assert.Equal(2, disk.ReadAllBytes("/d/a")[0]);
        file.SyncData();
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(2, disk.ReadAllBytes("/d/a")[0]);
    }

    [Fact]
    public void A_length_is_lost_like_any_other_unsynced_thing()
    {
        FaultyDisk disk = Prepared(out IDiskFile file);
        file.SetLength(100);
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(Filled(1, 2048), disk.ReadAllBytes("/d/a"));
        using IDiskFile again = disk.Open("/d/a", readOnly: false);
        again.Write(Filled(4, 3000), 2048);
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(Filled(1, 2048), disk.ReadAllBytes("/d/a"));
    }

    private static FaultyDisk Prepared(out IDiskFile file, int seed = 1)
    {
        FaultyDisk disk = TestLog.Disk(seed);
        disk.CreateDirectory("/d");
        file = disk.Create("/d/a");
        file.Write(Filled(1, 2048), 0);
        file.SyncData();
        disk.SyncDirectory("/d");
        return disk;
    }

    private static byte[] Filled(byte value, int count)
    {
        byte[] bytes = new byte[count];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
