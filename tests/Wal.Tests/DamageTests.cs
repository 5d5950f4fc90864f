using System.Buffers.Binary;
using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>Stored bytes change: the log names the damage, or what changed did not matter. Never a wrong record, never a hole.</summary>
public sealed class DamageTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_flipped_bit_is_named_or_does_not_matter(bool stoppedCleanly)
    {
        (FaultyDisk disk, LogModel model) = Written(stoppedCleanly, batches: 6, entryBytes: 90);
        string path = TestLog.Segments(disk)[^1];
        byte[] sound = disk.ReadAllBytes(path);
        int end = TestLog.EndOfLog(sound);
        Assert.InRange(end, 700, 4000);
        int refused = 0;
        for (int bit = 0; bit < sound.Length * 8; bit += bit < (end + 64) * 8 ? 1 : 17)
        {
            byte[] damaged = (byte[])sound.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            refused += IsRefused(damaged, path, model, $"bit {bit}") ? 1 : 0;
        }

        Assert.Equal(end * 8, refused); // all bits that were ever written, and no other
    }

    [Fact]
    public void Every_truncation_is_named()
    {
        (FaultyDisk disk, LogModel model) = Written(stoppedCleanly: false, batches: 6, entryBytes: 90);
        string path = TestLog.Segments(disk)[^1];
        byte[] sound = disk.ReadAllBytes(path);
        for (int length = 0; length < sound.Length; length++)
        {
            Assert.True(IsRefused(sound[..length], path, model, $"length {length}"));
        }
    }

    [Fact]
    public void Every_damaged_sector_but_the_last_batchs_is_named()
    {
        (FaultyDisk disk, LogModel model) = Written(stoppedCleanly: true, batches: 6, entryBytes: 400);
        string path = TestLog.Segments(disk)[^1];
        byte[] sound = disk.ReadAllBytes(path);
        int end = sound.AsSpan().LastIndexOfAnyExcept((byte)0) + 1;
        for (int sector = 0; sector < (end - BatchHead.Bytes) / 512; sector++)
        {
            foreach (byte fill in new byte[] { 0, 0xFF, 0x28 })
            {
                byte[] damaged = (byte[])sound.Clone();
                damaged.AsSpan(sector * 512, 512).Fill(fill);
                Assert.True(IsRefused(damaged, path, model, $"sector {sector} filled with {fill}"));
            }
        }
    }

    [Fact]
    public void Damage_in_a_segment_that_is_not_the_last_is_named_never_skipped()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= 60; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
        }

        disk.Crash(CrashPolicy.LoseAll);
        List<string> segments = TestLog.Segments(disk);
        Assert.True(segments.Count >= 4);
        foreach (string path in segments.SkipLast(1))
        {
            byte[] sound = disk.ReadAllBytes(path);
            for (int offset = 0; offset < TestLog.EndOfLog(sound); offset += 41)
            {
                FaultyDisk copy = disk.Clone(new Random(1));
                copy.FlipBit(path, offset, offset % 8);
                CorruptionException exception = Assert.Throws<CorruptionException>(() => TestLog.Reopen(copy));
                Assert.Equal(path, exception.File);
            }
        }
    }

    [Fact]
    public void A_missing_segment_is_named_wherever_it_was()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= 60; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
        }

        log.Dispose();
        foreach (string path in TestLog.Segments(disk))
        {
            FaultyDisk copy = disk.Clone(new Random(1));
            copy.Delete(path);
            Assert.Throws<CorruptionException>(() => TestLog.Reopen(copy));
        }
    }

    [Fact]
    public void Swapped_segments_and_old_content_under_a_new_name_are_named()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong index = 1; index <= 60; index++)
        {
            log.Write([TestLog.Entries(1, index, 1, bytes: 200)]);
        }

        log.Dispose();
        byte[] second = disk.ReadAllBytes(TestLog.Segment(2));
        byte[] third = disk.ReadAllBytes(TestLog.Segment(3));
        disk.WriteAllBytes(TestLog.Segment(2), third);
        disk.WriteAllBytes(TestLog.Segment(3), second);
        Assert.Throws<CorruptionException>(() => TestLog.Reopen(disk));
    }

    [Fact]
    public void Random_bytes_behind_the_end_are_cut()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            (FaultyDisk disk, LogModel model) = Written(stoppedCleanly: seed % 2 == 0, batches: 4, entryBytes: 50);
            string path = TestLog.Segments(disk)[^1];
            byte[] bytes = disk.ReadAllBytes(path);
            int end = TestLog.EndOfLog(bytes);
            byte[] garbage = new byte[random.Next(1, bytes.Length - end)];
            random.NextBytes(garbage);
            garbage[0] |= 1;
            garbage.CopyTo(bytes.AsSpan(end));
            disk.WriteAllBytes(path, bytes);
            WalRecovery recovery = TestLog.Reopen(disk);
            Assert.Equal(model.ToString(), LogModel.Describe(recovery));
            Assert.NotNull(recovery.Cut);
            Assert.Null(TestLog.Reopen(disk).Cut);
        }
    }

    [Fact]
    public void A_wild_length_allocates_nothing()
    {
        foreach (int length in new[] { int.MaxValue, int.MinValue, -1, 0x7FFFFFF8, 1 << 30, 15, 16, 17, 39, 41 })
        {
            (FaultyDisk disk, _) = Written(stoppedCleanly: false, batches: 3, entryBytes: 50);
            string path = TestLog.Segments(disk)[^1];
            byte[] bytes = disk.ReadAllBytes(path);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(SegmentHeader.Bytes + BatchHead.Bytes), length);
            disk.WriteAllBytes(path, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<CorruptionException>(() => TestLog.Reopen(disk));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256 * 1024);
        }
    }

    [Fact]
    public void Records_of_a_files_earlier_life_never_pass()
    {
        // Segments are recycled all the time; behind each end stand sound-looking batches of the earlier life, at the same offsets.
        for (int seed = 0; seed < 20; seed++)
        {
            FaultyDisk disk = TestLog.Disk(seed);
            var model = new LogModel();
            WriteAheadLog log = TestLog.Open(disk, out _);
            int recycled = 0;
            for (ulong index = 1; index <= 120; index++)
            {
                LogWrite write = TestLog.Entries(1, index, 1, bytes: 100);
                LogWrite mark = new() { GroupId = 1, WriteId = index, Mark = new LogSnapshotMark(index, 1) };
                log.Write([write]);
                log.Write([mark]);
                log.ReleaseSegments();
                model.Apply([write, mark]);
                if (index > 60)
                {
                    FaultyDisk copy = disk.Clone(new Random(seed));
                    copy.Crash(CrashPolicy.LoseAll);
                    Assert.Equal(model.ToString(), LogModel.Describe(TestLog.Reopen(copy)));
                    byte[] last = copy.ReadAllBytes(TestLog.Segments(copy)[^1]);
                    recycled += last.AsSpan().LastIndexOfAnyExcept((byte)0) > 3800 ? 1 : 0;
                }
            }

            Assert.InRange(recycled, 30, 60);
        }
    }

    private static (FaultyDisk Disk, LogModel Model) Written(bool stoppedCleanly, int batches, int entryBytes)
    {
        FaultyDisk disk = TestLog.Disk();
        var model = new LogModel();
        WriteAheadLog log = TestLog.Open(disk, out _);
        for (ulong i = 1; i <= (ulong)batches; i++)
        {
            LogWrite write = TestLog.Entries(1, i, 1, bytes: entryBytes);
            log.Write([write]);
            model.Apply(write);
        }

        if (stoppedCleanly)
        {
            log.Dispose();
        }

        disk.Crash(CrashPolicy.LoseAll);
        return (disk, model);
    }

    private static bool IsRefused(byte[] segment, string path, LogModel model, string what)
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory(TestLog.WalDirectory);
        disk.WriteAllBytes(path, segment);
        WalRecovery recovery;
        try
        {
            recovery = TestLog.Reopen(disk);
        }
        catch (CorruptionException exception)
        {
            Assert.Equal(path, exception.File);
            return true;
        }

        Assert.True(model.ToString() == LogModel.Describe(recovery), $"{what}: {LogModel.Describe(recovery)}");
        return false;
    }
}
