using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

public sealed class SnapshotStoreTests
{
    private const string SnapDirectory = "/data/snap";

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65535)]
    [InlineData(65536)]
    [InlineData(65537)]
    [InlineData(200_000)]
    public void A_complete_snapshot_survives_the_loss_of_all_that_is_unsynced(int bytes)
    {
        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        var info = new SnapshotInfo(10, 2, new byte[] { 1, 2, 3 });
        byte[] content = Write(store, 1, info, bytes, pieces: 7);
        disk.Crash(CrashPolicy.LoseAll);
        store = Open(disk);
        Assert.Equal(info, Assert.Single(store.List(1)));
        Assert.Empty(store.List(2));
        Assert.Equal(content, ReadAll(store, 1, info));
    }

    [Fact]
    public void The_newest_is_the_one_with_the_highest_index_whatever_its_term()
    {
        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        ulong[] indexes = [9, 10, 100, 0x1000, ulong.MaxValue];
        foreach (ulong index in indexes)
        {
            Write(store, 1, new SnapshotInfo(index, 1000 / (index % 1000), new byte[] { 1 }), 10);
        }

        Assert.Equal(indexes.Reverse(), store.List(1).Select(info => info.Index));
        store.DeleteOlderThan(1, 100);
        Assert.Equal([ulong.MaxValue, 0x1000, 100], store.List(1).Select(info => info.Index));
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal([ulong.MaxValue, 0x1000, 100], Open(disk).List(1).Select(info => info.Index));
    }

    [Fact]
    public void The_last_snapshot_is_never_deleted()
    {
        SnapshotStore store = Open(TestLog.Disk());
        Write(store, 1, new SnapshotInfo(5, 1, new byte[] { 1 }), 10);
        Write(store, 2, new SnapshotInfo(50, 1, new byte[] { 1 }), 10);
        store.DeleteOlderThan(1, 6);
        Assert.Single(store.List(1));
    }

    [Fact]
    public void An_incomplete_snapshot_does_not_count_and_goes()
    {
        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        using (SnapshotWriter writer = store.Create(1, new SnapshotInfo(5, 1, new byte[] { 1 })))
        {
            writer.Write(new byte[100]);
        }

        Assert.Empty(disk.ListFiles(SnapDirectory));
        SnapshotWriter left = store.Create(1, new SnapshotInfo(5, 1, new byte[] { 1 }));
        left.Write(new byte[100_000]);
        SnapshotReceiver received = store.Receive(1, new SnapshotInfo(6, 1, new byte[] { 1 }), 500);
        received.WriteAt(0, new byte[10]);
        disk.Crash(CrashPolicy.KeepAll);
        store = Open(disk);
        Assert.Empty(store.List(1));
        Assert.Equal(2, disk.ListFiles(SnapDirectory).Count);
        store.DeleteTemporary();
        Assert.Empty(disk.ListFiles(SnapDirectory));
    }

    [Fact]
    public void Every_flipped_bit_and_every_truncation_is_named()
    {
        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        var info = new SnapshotInfo(10, 2, new byte[] { 1, 2, 3 });
        Write(store, 1, info, 700);
        string path = Path.Combine(SnapDirectory, disk.ListFiles(SnapDirectory)[0]);
        byte[] sound = disk.ReadAllBytes(path);
        for (int bit = 0; bit < sound.Length * 8; bit++)
        {
            disk.WriteAllBytes(path, sound);
            disk.FlipBit(path, bit / 8, bit % 8);
            Assert.ThrowsAny<CorruptionException>(() => ReadAll(store, 1, info));
        }

        for (int length = 0; length < sound.Length; length++)
        {
            disk.WriteAllBytes(path, sound.AsSpan(0, length));
            Assert.ThrowsAny<CorruptionException>(() => ReadAll(store, 1, info));
        }

        disk.WriteAllBytes(path, [.. sound, 0]);
        Assert.ThrowsAny<CorruptionException>(() => ReadAll(store, 1, info));
        disk.WriteAllBytes(path, sound);
        Assert.Equal(700, ReadAll(store, 1, info).Length);
    }

    [Fact]
    public void A_snapshot_is_received_from_another_node_but_not_from_another_cluster()
    {
        FaultyDisk senderDisk = TestLog.Disk();
        var sender = new SnapshotStore(senderDisk, TestLog.Directory, TestLog.Identity with { NodeId = 77 });
        var info = new SnapshotInfo(10, 2, new byte[] { 1, 2, 3 });
        byte[] content = Write(sender, 1, info, 150_000);

        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        Send(sender, store, 1, info).Complete();
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(content, ReadAll(Open(disk), 1, info));
        using (SnapshotReader reader = Open(disk).OpenRead(1, info))
        {
            Assert.Equal(77u, reader.WrittenBy);
        }

        var stranger = new SnapshotStore(TestLog.Disk(), TestLog.Directory, new WalIdentity(5, 5));
        using SnapshotReceiver refused = Send(sender, stranger, 1, info);
        Assert.Throws<WalIdentityException>(refused.Complete);
        Assert.Empty(stranger.List(1));
    }

    [Fact]
    public void Pieces_out_of_order_or_beyond_the_end_are_refused_and_nothing_else_is_lost()
    {
        FaultyDisk disk = TestLog.Disk();
        SnapshotStore store = Open(disk);
        var info = new SnapshotInfo(10, 2, new byte[] { 1 });
        using SnapshotReceiver receiver = store.Receive(1, info, 100);
        receiver.WriteAt(0, new byte[60]);
        Assert.Throws<ArgumentOutOfRangeException>(() => receiver.WriteAt(0, new byte[60]));
        Assert.Throws<ArgumentOutOfRangeException>(() => receiver.WriteAt(61, new byte[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => receiver.WriteAt(60, new byte[41]));
        Assert.Equal(60u, receiver.BytesHeld);
        Assert.Throws<CorruptionException>(receiver.Complete);
        receiver.WriteAt(60, new byte[40]);
        Assert.Throws<CorruptionException>(receiver.Complete);
        receiver.Dispose();
        Assert.Empty(disk.ListFiles(SnapDirectory));
    }

    [Fact]
    public void A_received_snapshot_must_be_the_one_announced()
    {
        SnapshotStore sender = Open(TestLog.Disk());
        Write(sender, 1, new SnapshotInfo(10, 2, new byte[] { 1 }), 100);
        using IDiskFile raw = sender.OpenRaw(1, new SnapshotInfo(10, 2, new byte[] { 1 }));
        byte[] bytes = new byte[raw.Length];
        raw.Read(bytes, 0);
        foreach ((uint group, SnapshotInfo info) in new (uint, SnapshotInfo)[] { (2, new(10, 2, new byte[] { 1 })), (1, new(11, 2, new byte[] { 1 })), (1, new(10, 3, new byte[] { 1 })), (1, new(10, 2, new byte[] { 2 })) })
        {
            using SnapshotReceiver receiver = Open(TestLog.Disk()).Receive(group, info, (ulong)bytes.Length);
            receiver.WriteAt(0, bytes);
            Assert.Throws<CorruptionException>(receiver.Complete);
        }
    }

    [Theory]
    [InlineData(CrashPolicy.LoseAll)]
    [InlineData(CrashPolicy.KeepAll)]
    [InlineData(CrashPolicy.KeepPrefix)]
    [InlineData(CrashPolicy.KeepRandom)]
    [InlineData(CrashPolicy.ProcessKill)]
    public void A_crash_at_any_operation_leaves_every_completed_snapshot_that_was_not_deleted(CrashPolicy policy)
    {
        for (long at = 1; ; at++)
        {
            FaultyDisk disk = TestLog.Disk((int)at);
            var completed = new List<SnapshotInfo>();
            SnapshotStore store = Open(disk);
            disk.ResetCounters();
            disk.Faults = new DiskFaults { PowerOffAtOperation = at, CrashLeavesPartialWrite = at % 2 == 0 };
            bool crashed = !RunSnapshots(store, completed);
            disk.Faults = new DiskFaults();
            disk.Crash(policy);
            store = Open(disk);
            store.DeleteTemporary();
            disk.Crash(CrashPolicy.LoseAll); // what is listed now will be relied on, so it must be durable
            store = Open(disk);
            IReadOnlyList<SnapshotInfo> found = store.List(1);
            Assert.True(completed.Count == 0 || (found.Count > 0 && found[0].Index >= completed[^1].Index), $"operation {at}: the newest is gone");
            foreach (SnapshotInfo info in found)
            {
                Assert.Equal((int)info.Index * 100, ReadAll(store, 1, info).Length);
            }

            if (!crashed)
            {
                return;
            }
        }
    }

    private static bool RunSnapshots(SnapshotStore store, List<SnapshotInfo> completed)
    {
        try
        {
            SnapshotStore sender = Open(TestLog.Disk());
            for (ulong index = 5; index <= 30; index += 5)
            {
                var info = new SnapshotInfo(index, 1, new byte[] { 1, 2 });
                if (index % 10 == 0)
                {
                    Write(sender, 1, info, (int)index * 100);
                    Send(sender, store, 1, info).Complete();
                }
                else
                {
                    Write(store, 1, info, (int)index * 100);
                }

                completed.Add(info);
                store.DeleteOlderThan(1, index);
            }

            return true;
        }
        catch (SimulatedCrashException)
        {
            return false;
        }
    }

    private static SnapshotStore Open(IDisk disk) => new(disk, TestLog.Directory, TestLog.Identity);

    private static byte[] Write(SnapshotStore store, uint group, SnapshotInfo info, int bytes, int pieces = 1)
    {
        byte[] content = new byte[bytes];
        new Random(bytes).NextBytes(content);
        SnapshotWriter writer = store.Create(group, info);
        int step = Math.Max(1, (bytes + pieces - 1) / pieces);
        for (int at = 0; at < bytes; at += step)
        {
            writer.Write(content.AsSpan(at, Math.Min(step, bytes - at)));
        }

        writer.Complete();
        writer.Dispose();
        return content;
    }

    private static SnapshotReceiver Send(SnapshotStore sender, SnapshotStore store, uint group, SnapshotInfo info)
    {
        using IDiskFile raw = sender.OpenRaw(group, info);
        SnapshotReceiver receiver = store.Receive(group, info, (ulong)raw.Length);
        byte[] piece = new byte[1000];
        while (receiver.BytesHeld < receiver.Length)
        {
            int read = raw.Read(piece, (long)receiver.BytesHeld);
            receiver.WriteAt(receiver.BytesHeld, piece.AsSpan(0, read));
        }

        return receiver;
    }

    private static byte[] ReadAll(SnapshotStore store, uint group, SnapshotInfo info)
    {
        using SnapshotReader reader = store.OpenRead(group, info);
        var content = new List<byte>();
        byte[] buffer = new byte[10_007];
        for (int read = reader.Read(buffer); read > 0; read = reader.Read(buffer))
        {
            content.AddRange(buffer.AsSpan(0, read));
        }

        return [.. content];
    }
}
