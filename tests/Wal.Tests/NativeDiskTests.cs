using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class NativeDiskTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"wal-tests-{Guid.NewGuid():n}");
    private readonly NativeDisk _disk = new();

    public NativeDiskTests() => _disk.CreateDirectory(_directory);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void What_is_written_is_read()
    {
        string path = Path.Combine(_directory, "a");
        byte[] bytes = new byte[100_000];
        new Random(1).NextBytes(bytes);
        using (IDiskFile file = _disk.Create(path))
        {
            file.Write(bytes.AsSpan(0, 1000), 0);
            file.Write(bytes.AsSpan(1000), 1000);
            file.SyncData();
            Assert.Equal(bytes.Length, file.Length);
        }

        using IDiskFile reopened = _disk.Open(path, readOnly: true);
        byte[] read = new byte[bytes.Length + 10];
        Assert.Equal(bytes.Length, reopened.Read(read, 0));
        Assert.Equal(bytes, read[..bytes.Length]);
        Assert.Equal(50, reopened.Read(read, bytes.Length - 50));
        Assert.Equal(0, reopened.Read(read, bytes.Length + 50));
        DiskException exception = Assert.Throws<DiskException>(() => reopened.Write(bytes, 0));
        Assert.Equal(9, exception.ErrorNumber); // EBADF
    }

    [Fact]
    public void Lengths_names_and_removals()
    {
        string path = Path.Combine(_directory, "a");
        using (IDiskFile file = _disk.Create(path))
        {
            file.SetLength(5000);
            Assert.Equal(5000, file.Length);
            file.SetLength(10);
            Assert.Equal(10, file.Length);
        }

        Assert.Equal(17, Assert.Throws<DiskException>(() => _disk.Create(path)).ErrorNumber); // EEXIST
        _disk.Rename(path, path + "2");
        _disk.SyncDirectory(_directory);
        Assert.False(_disk.FileExists(path));
        using (_disk.Create(Path.Combine(_directory, "B")))
        {
            Assert.Equal(["B", "a2"], _disk.ListFiles(_directory));
        }

        _disk.Delete(path + "2");
        Assert.Equal(2, Assert.Throws<DiskException>(() => _disk.Delete(path)).ErrorNumber); // ENOENT
        Assert.Equal(2, Assert.Throws<DiskException>(() => _disk.Open(path, readOnly: true)).ErrorNumber);
        Assert.Equal(2, Assert.Throws<DiskException>(() => _disk.Rename(path, path + "3")).ErrorNumber);
        Assert.Contains("No such file", Assert.Throws<DiskException>(() => _disk.SyncDirectory(path)).Message, StringComparison.Ordinal);
        Assert.Throws<DiskException>(() => _disk.ListFiles(path));
    }

    [Fact]
    public void A_full_device_is_named()
    {
        if (!File.Exists("/dev/full"))
        {
            return;
        }

        using IDiskFile full = _disk.Open("/dev/full", readOnly: false);
        DiskException exception = Assert.Throws<DiskException>(() => full.Write(new byte[10], 0));
        Assert.True(exception.IsDiskFull);
        Assert.Equal("write", exception.Operation);
    }

    [Fact]
    public void The_lock_is_held_once_and_given_back()
    {
        IDisposable held = _disk.LockDirectory(_directory);
        Assert.Contains("in use", Assert.Throws<DiskException>(() => _disk.LockDirectory(_directory)).Message, StringComparison.Ordinal);
        held.Dispose();
        _disk.LockDirectory(_directory).Dispose();
    }

    [Fact]
    public void A_sync_that_the_system_refuses_is_thrown()
    {
        using IDiskFile device = _disk.Open("/dev/null", readOnly: false);
        DiskException exception = Assert.Throws<DiskException>(device.SyncData); // EINVAL; the runtime's own sync returns normally
        Assert.Equal("sync", exception.Operation);
    }

    [Fact]
    public void The_log_and_snapshots_work_on_it()
    {
        var model = new LogModel();
        var generator = new WriteGenerator(new Random(5), groups: 3, entryBytesMax: 2000);
        var options = new WalOptions { SegmentBytes = 64 * 1024 };
        for (int life = 0; life < 3; life++)
        {
            using WriteAheadLog log = WriteAheadLog.Open(_disk, _directory, TestLog.Identity, options, out WalRecovery recovery);
            Assert.Equal(model.ToString(), LogModel.Describe(recovery));
            for (int i = 0; i < 60; i++)
            {
                log.Write(generator.NextBatch(model));
                log.ReleaseSegments();
                log.PrepareAhead();
            }
        }

        var store = new SnapshotStore(_disk, _directory, TestLog.Identity);
        var info = new SnapshotInfo(9, 1, new byte[] { 1, 2 });
        using (SnapshotWriter writer = store.Create(1, info))
        {
            writer.Write(new byte[300_000]);
            writer.Complete();
        }

        WalReport report = WalInspector.Inspect(_disk, _directory);
        // The model's marks stand for snapshots that nobody took here; every file must be sound.
        Assert.All(report.Findings, finding => Assert.Equal(_directory, finding.File));
        Assert.Equal(300_000u, Assert.Single(report.Snapshots).PayloadBytes);
    }
}
