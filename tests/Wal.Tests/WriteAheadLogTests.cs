using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class WriteAheadLogTests
{
    [Fact]
    public void An_empty_directory_becomes_an_empty_log()
    {
        FaultyDisk disk = TestLog.Disk();
        WalRecovery first = TestLog.Reopen(disk);
        Assert.True(first.Created);
        WalRecovery second = TestLog.Reopen(disk);
        Assert.False(second.Created);
        Assert.Empty(second.Groups);
        Assert.Null(second.Note);
    }

    [Fact]
    public void What_was_written_comes_back_even_if_all_that_is_unsynced_is_lost()
    {
        FaultyDisk disk = TestLog.Disk();
        var model = new LogModel();
        WriteAheadLog log = TestLog.Open(disk, out _);
        LogWrite[] writes =
        [
            TestLog.Entries(1, 1, 5),
            new LogWrite { GroupId = 1, WriteId = 2, HardState = new LogHardState(4, 2, 3) },
            TestLog.Entries(7, 1, 3, term: 2),
            TestLog.Entries(1, 4, 1, term: 3), // cuts 4 and 5
            new LogWrite { GroupId = 7, WriteId = 5, Mark = new LogSnapshotMark(2, 2) },
            new LogWrite { GroupId = 9, WriteId = 6, Mark = new LogSnapshotMark(100, 9), Entries = TestLog.Entries(9, 101, 2, term: 9).Entries },
        ];
        foreach (LogWrite write in writes)
        {
            log.Write([write]);
            model.Apply(write);
        }

        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
    }

    [Fact]
    public void One_write_and_one_sync_serve_all_groups()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        disk.ResetCounters();
        log.Write([TestLog.Entries(1, 1, 2), TestLog.Entries(2, 1, 2), TestLog.Entries(3, 1, 2)]);
        Assert.Equal(1, disk.Syncs);
        Assert.Equal(2, disk.Operations);
    }

    [Fact]
    public void The_log_rolls_and_released_segments_are_written_again()
    {
        FaultyDisk disk = TestLog.Disk();
        var model = new LogModel();
        WriteAheadLog log = TestLog.Open(disk, out _);
        int filesMax = 0;
        for (ulong index = 1; index <= 400; index++)
        {
            LogWrite write = TestLog.Entries(1, index, 1, bytes: 200);
            log.Write([write]);
            model.Apply(write);
            if (index % 10 == 0)
            {
                var mark = new LogWrite { GroupId = 1, WriteId = index, Mark = new LogSnapshotMark(index - 3, 1) };
                log.Write([mark]);
                model.Apply(mark);
                log.ReleaseSegments();
            }

            log.PrepareAhead();
            filesMax = Math.Max(filesMax, disk.ListFiles(TestLog.WalDirectory).Count);
            Assert.Equal(disk.ListFiles(TestLog.WalDirectory).Sum(name => disk.ReadAllBytes(Path.Combine(TestLog.WalDirectory, name)).Length), log.DiskBytes);
        }

        Assert.InRange(filesMax, 2, 6);
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
    }

    [Fact]
    public void A_group_that_lags_keeps_its_segments_and_is_named()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        log.Write([TestLog.Entries(5, 1, 1)]);
        for (ulong index = 1; index <= 100; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
        }

        log.Write([new LogWrite { GroupId = 1, WriteId = 0, Mark = new LogSnapshotMark(100, 1) }]);
        log.ReleaseSegments();
        Assert.Equal(5u, log.OldestSegmentNeededBy);
        Assert.Equal(TestLog.Segment(1), TestLog.Segments(disk)[0]);
        log.Write([new LogWrite { GroupId = 5, WriteId = 0, Mark = new LogSnapshotMark(1, 1) }]);
        for (int i = 0; i < 10; i++)
        {
            log.ReleaseSegments();
        }

        Assert.Single(TestLog.Segments(disk));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Entries_that_were_cut_keep_no_segment(bool reopen)
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= 60; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
        }

        log.Write([TestLog.Entries(1, 2, 1, term: 2)]);
        log.Write([new LogWrite { GroupId = 1, WriteId = 0, Mark = new LogSnapshotMark(1, 1) }]);
        if (reopen)
        {
            log.Dispose();
            log = TestLog.Open(disk, out _);
        }

        for (int i = 0; i < 10; i++)
        {
            log.ReleaseSegments();
        }

        Assert.Single(TestLog.Segments(disk));
        log.Dispose();
        LogEntry entry = Assert.Single(TestLog.Reopen(disk).Groups[0].Entries);
        Assert.Equal((2ul, 2ul), (entry.Index, entry.Term));
    }

    [Fact]
    public void A_write_larger_than_a_segment_gets_a_segment_of_its_own()
    {
        FaultyDisk disk = TestLog.Disk();
        var model = new LogModel();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= 6; index++)
        {
            LogWrite write = TestLog.Entries(1, index, 1, bytes: index % 2 == 0 ? 50_000 : 20);
            log.Write([write]);
            model.Apply(write);
        }

        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
    }

    [Fact]
    public void Every_entry_size_around_sectors_and_segments_comes_back()
    {
        for (int bytes = 0; bytes < 4400; bytes += bytes is > 400 and < 3700 ? 37 : 1)
        {
            FaultyDisk disk = TestLog.Disk();
            var model = new LogModel();
            WriteAheadLog log = TestLog.Open(disk, out _);
            for (ulong index = 1; index <= 3; index++)
            {
                LogWrite write = TestLog.Entries(1, index, 1, bytes: bytes);
                log.Write([write]);
                model.Apply(write);
            }

            disk.Crash(CrashPolicy.LoseAll);
            Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(disk)));
        }
    }

    [Fact]
    public void A_failed_sync_poisons_the_log_for_good()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        log.Write([TestLog.Entries(1, 1, 1)]);
        disk.ResetCounters();
        disk.Faults = new DiskFaults { FailAtOperation = 2 };
        DiskException first = Assert.Throws<DiskException>(() => log.Write([TestLog.Entries(1, 2, 1)]));
        Assert.Equal("sync", first.Operation);
        disk.Faults = new DiskFaults();
        long operations = disk.Operations;
        WalPoisonedException later = Assert.Throws<WalPoisonedException>(() => log.Write([TestLog.Entries(1, 2, 1)]));
        Assert.Same(first, later.InnerException);
        Assert.Throws<WalPoisonedException>(() => log.ReleaseSegments());
        log.Dispose();
        Assert.Equal(operations, disk.Operations);
    }

    [Fact]
    public void A_batch_whose_sync_failed_is_durable_if_the_next_start_reports_it()
    {
        // The pages were marked clean: only what is written anew can be made durable.
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        log.Write([TestLog.Entries(1, 1, 1)]);
        disk.ResetCounters();
        disk.Faults = new DiskFaults { FailAtOperation = 2 };
        Assert.Throws<DiskException>(() => log.Write([TestLog.Entries(1, 2, 1)]));
        log.Dispose();
        disk.Faults = new DiskFaults();
        disk.Crash(CrashPolicy.ProcessKill);

        WriteAheadLog reopened = TestLog.Open(disk, out WalRecovery recovery);
        Assert.Equal(2, recovery.Groups[0].Entries.Count);
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(2, TestLog.Reopen(disk).Groups[0].Entries.Count);
        GC.KeepAlive(reopened);
    }

    [Fact]
    public void A_full_disk_is_named_and_nothing_acknowledged_is_lost()
    {
        for (int failAt = 1; failAt < 60; failAt++)
        {
            FaultyDisk disk = TestLog.Disk();
            var model = new LogModel();
            WriteAheadLog log = TestLog.Open(disk, out _);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { FailAtOperation = failAt, FailAtOperationError = DiskFaults.NoSpace };
            string acknowledged = model.ToString();
            string inFlight = acknowledged;
            try
            {
                for (ulong index = 1; index <= 30; index++)
                {
                    LogWrite write = TestLog.Entries(1, index, 1, bytes: 400);
                    model.Apply(write);
                    inFlight = model.ToString();
                    log.Write([write]);
                    acknowledged = inFlight;
                }
            }
            catch (DiskException exception)
            {
                Assert.True(exception.IsDiskFull);
                Assert.Throws<WalPoisonedException>(() => log.Write([TestLog.Entries(1, 1, 1)]));
            }

            disk.Faults = new DiskFaults();
            disk.Crash(CrashPolicy.KeepRandom);
            Assert.Contains(LogModel.Describe(TestLog.Reopen(disk)), new[] { acknowledged, inFlight });
        }
    }

    [Fact]
    public void Another_cluster_or_node_is_refused_by_name()
    {
        FaultyDisk disk = TestLog.Disk();
        TestLog.Reopen(disk);
        var otherCluster = TestLog.Identity with { ClusterId = 5 };
        WalIdentityException exception = Assert.Throws<WalIdentityException>(
            () => WriteAheadLog.Open(disk, TestLog.Directory, otherCluster, TestLog.Small, out _));
        Assert.Contains("another cluster", exception.Message, StringComparison.Ordinal);
        Assert.Contains("0000000000000005", exception.Message, StringComparison.Ordinal);
        Assert.Contains("1122334455667788", exception.Message, StringComparison.Ordinal);
        exception = Assert.Throws<WalIdentityException>(
            () => WriteAheadLog.Open(disk, TestLog.Directory, TestLog.Identity with { NodeId = 4 }, TestLog.Small, out _));
        Assert.Contains("another node", exception.Message, StringComparison.Ordinal);
        TestLog.Reopen(disk); // the lock was given back
    }

    [Fact]
    public void A_directory_in_use_is_refused()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        Assert.Equal("lock", Assert.Throws<DiskException>(() => TestLog.Reopen(disk)).Operation);
    }

    [Fact]
    public void A_hole_or_a_cut_below_the_mark_is_a_broken_invariant()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        log.Write([TestLog.Entries(1, 1, 5)]);
        log.Write([new LogWrite { GroupId = 1, WriteId = 2, Mark = new LogSnapshotMark(3, 1) }]);
        Assert.ThrowsAny<Exception>(() => log.Write([TestLog.Entries(1, 3, 1)]));
        Assert.Throws<WalPoisonedException>(() => log.Write([TestLog.Entries(1, 6, 1)]));

        disk = TestLog.Disk();
        log = TestLog.Open(disk, out _);
        Assert.ThrowsAny<Exception>(() => log.Write([TestLog.Entries(1, 2, 1)]));

        disk = TestLog.Disk();
        log = TestLog.Open(disk, out _);
        log.Write([new LogWrite { GroupId = 1, WriteId = 2, Mark = new LogSnapshotMark(3, 1) }]);
        Assert.ThrowsAny<Exception>(() => log.Write([new LogWrite { GroupId = 1, WriteId = 2, Mark = new LogSnapshotMark(2, 1) }]));
    }
}
