using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class LogWriterTests
{
    [Fact]
    public void All_that_has_queued_goes_out_with_one_sync_and_is_acknowledged_in_order()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        log.PrepareAhead();
        var observer = new Observer();
        int woken = 0;
        var writer = new LogWriter(log, observer, () => woken++);
        Assert.False(writer.RunOnce());
        for (ulong i = 1; i <= 10; i++)
        {
            writer.Enqueue(TestLog.Entries(1, i, 1));
        }

        Assert.Equal(10, woken);
        Assert.Empty(observer.Durable);
        disk.ResetCounters();
        Assert.True(writer.RunOnce());
        Assert.Equal(1, disk.Syncs);
        Assert.Equal(Enumerable.Range(1, 10).Select(i => (ulong)i), observer.Durable.Select(write => write.WriteId));
        Assert.False(writer.RunOnce());
    }

    [Fact]
    public void A_failure_is_told_once_and_everything_later_is_refused()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        var observer = new Observer();
        var writer = new LogWriter(log, observer);
        disk.Faults = new DiskFaults { ErrorProbability = 1, FailingOperations = DiskOperation.Sync };
        writer.Enqueue(TestLog.Entries(1, 1, 1));
        Assert.True(writer.RunOnce());
        disk.Faults = new DiskFaults();
        Assert.Empty(observer.Durable);
        Assert.IsType<DiskException>(Assert.Single(observer.Failures));
        Assert.Same(observer.Failures[0], Assert.Throws<WalPoisonedException>(() => writer.Enqueue(TestLog.Entries(1, 2, 1))).InnerException);
        Assert.False(writer.RunOnce());
        Assert.Single(observer.Failures);
    }

    [Fact]
    public void A_full_disk_while_preparing_ahead_is_no_failure_before_the_segment_is_needed()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        var observer = new Observer();
        var writer = new LogWriter(log, observer);
        disk.ResetCounters();
        disk.Faults = new DiskFaults { FailAtOperation = 4, FailAtOperationError = DiskFaults.NoSpace }; // write, sync, create, write
        writer.Enqueue(TestLog.Entries(1, 1, 1));
        Assert.True(writer.RunOnce());
        Assert.False(writer.RunOnce()); // It has prepared, or tried to.
        Assert.Empty(observer.Failures);
        Assert.DoesNotContain(disk.ListFiles(TestLog.WalDirectory), name => name.EndsWith(".spare", StringComparison.Ordinal));
        for (ulong i = 2; i <= 40; i++)
        {
            writer.Enqueue(TestLog.Entries(1, i, 1, bytes: 300));
            writer.RunOnce();
        }

        Assert.Equal(40, observer.Durable.Count);
    }

    [Fact]
    public void A_power_cut_is_not_taken_for_a_failing_disk()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        var observer = new Observer();
        var writer = new LogWriter(log, observer);
        writer.Enqueue(TestLog.Entries(1, 1, 1));
        disk.PowerOff();
        Assert.Throws<SimulatedCrashException>(() => writer.RunOnce());
        Assert.Empty(observer.Failures);
    }

    [Fact]
    public void A_mark_releases_segments()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _);
        var writer = new LogWriter(log, new Observer());
        for (ulong i = 1; i <= 200; i++)
        {
            writer.Enqueue(TestLog.Entries(1, i, 1, bytes: 300));
            writer.Enqueue(new LogWrite { GroupId = 1, WriteId = i, Mark = new LogSnapshotMark(i, 1) });
            writer.RunOnce();
        }

        Assert.InRange(log.DiskBytes, 4096, 5 * 4096);
    }

    [Fact]
    public void Writes_from_many_threads_all_become_durable_in_each_ones_order()
    {
        FaultyDisk disk = TestLog.Disk();
        using WriteAheadLog log = TestLog.Open(disk, out _, new WalOptions { SegmentBytes = 64 * 1024 });
        var observer = new Observer();
        var writer = new LogWriter(log, observer);
        const int perThread = 500;
        Thread[] threads = [.. Enumerable.Range(1, 4).Select(group => new Thread(() =>
        {
            for (ulong i = 1; i <= perThread; i++)
            {
                writer.Enqueue(TestLog.Entries((uint)group, i, 1));
            }
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        while (observer.Durable.Count < 4 * perThread)
        {
            if (!writer.RunOnce())
            {
                Thread.Yield();
            }
        }

        foreach (IGrouping<uint, LogWrite> group in observer.Durable.GroupBy(write => write.GroupId))
        {
            Assert.Equal(Enumerable.Range(1, perThread).Select(i => (ulong)i), group.Select(write => write.WriteId));
        }
    }

    private sealed class Observer : ILogWriteObserver
    {
        public List<LogWrite> Durable { get; } = [];

        public List<Exception> Failures { get; } = [];

        public void OnDurable(LogWrite write) => Durable.Add(write);

        public void OnFailed(Exception cause) => Failures.Add(cause);
    }
}
