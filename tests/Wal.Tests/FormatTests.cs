using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>
/// The bytes on disk. Data directories out there hold them: where one of these tests fails, the format has changed, and needs a new version number.
/// </summary>
public sealed class FormatTests
{
    [Fact]
    public void Golden_segment()
    {
        FaultyDisk disk = TestLog.Disk();
        WriteAheadLog log = TestLog.Open(disk, out _);
        log.Write(
        [
            new LogWrite
            {
                GroupId = 7,
                WriteId = 1,
                Entries = [new LogEntry(1, 2, 9, "hello"u8.ToArray())],
                HardState = new LogHardState(2, 3, 1),
            },
        ]);
        log.Write([new LogWrite { GroupId = 7, WriteId = 2, Entries = [new LogEntry(1, 3, 0, default)] }]);
        log.Write([new LogWrite { GroupId = 7, WriteId = 3, Mark = new LogSnapshotMark(1, 3) }]);
        log.Write([new LogWrite { GroupId = 7, WriteId = 4, Mark = new LogSnapshotMark(5, 4) }]);
        byte[] bytes = disk.ReadAllBytes(TestLog.Segment(1));
        AssertHex(GoldenFirst, bytes.AsSpan(0, TestLog.EndOfLog(bytes)));

        log.Write([TestLog.Entries(7, 6, 1, term: 4, bytes: 4000)]);
        byte[] second = disk.ReadAllBytes(TestLog.Segment(2));
        AssertHex(GoldenSecond, second.AsSpan(0, 72 + 48 + 72));
        byte[] closed = disk.ReadAllBytes(TestLog.Segment(1));
        AssertHex(GoldenClosing, closed.AsSpan(TestLog.EndOfLog(closed), 72));
        Assert.Equal(8192, second.Length);
    }

    [Fact]
    public void Golden_snapshot()
    {
        FaultyDisk disk = TestLog.Disk();
        var store = new SnapshotStore(disk, TestLog.Directory, TestLog.Identity);
        SnapshotWriter writer = store.Create(7, new SnapshotInfo(258, 3, new byte[] { 1, 2 }));
        writer.Write("content"u8);
        writer.Complete();
        string name = Assert.Single(disk.ListFiles("/data/snap"));
        Assert.Equal("00000007-0000000000000102-0000000000000003.snap", name);
        AssertHex(GoldenSnapshot, disk.ReadAllBytes("/data/snap/" + name));
    }

    [Fact]
    public void Golden_directory_identity()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory("/data");
        var identity = new WalIdentity(0x1122334455667788, 3);

        DirectoryIdentity made = DirectoryIdentity.ReadOrCreate(disk, "/data", identity, () => 9);

        Assert.Equal(new DirectoryIdentity(identity, 9), made);
        Assert.Equal(GoldenIdentity, Convert.ToHexStringLower(disk.ReadAllBytes("/data/directory.id")));
        Assert.Equal(made, DirectoryIdentity.ReadOrCreate(disk, "/data", identity, () => 10));
        Assert.Throws<WalIdentityException>(() => DirectoryIdentity.ReadOrCreate(disk, "/data", identity with { NodeId = 4 }, () => 10));
    }

    [Fact]
    public void A_damaged_directory_identity_is_refused_whichever_byte_it_is()
    {
        for (int at = 0; at < GoldenIdentity.Length / 2; at++)
        {
            FaultyDisk disk = TestLog.Disk();
            disk.CreateDirectory("/data");
            byte[] bytes = Convert.FromHexString(GoldenIdentity);
            bytes[at] ^= 0x10;
            using (IDiskFile file = disk.Create("/data/directory.id"))
            {
                file.Write(bytes, 0);
            }

            Assert.Throws<CorruptionException>(() => DirectoryIdentity.TryRead(disk, "/data"));
        }
    }

    [Fact]
    public void Golden_silence()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory("/data");
        Assert.Equal(TimeSpan.Zero, SilenceFile.Read(disk, "/data"));

        SilenceFile.Write(disk, "/data", TimeSpan.FromMilliseconds(700));
        Assert.Equal(GoldenSilence, Convert.ToHexStringLower(disk.ReadAllBytes("/data/silence")));
        Assert.Equal(TimeSpan.FromMilliseconds(700), SilenceFile.Read(disk, "/data"));
        for (int at = 0; at < GoldenSilence.Length / 2; at++)
        {
            byte[] bytes = Convert.FromHexString(GoldenSilence);
            bytes[at] ^= 0x10;
            disk.WriteAllBytes("/data/silence", bytes);
            Assert.Throws<CorruptionException>(() => SilenceFile.Read(disk, "/data"));
        }
    }

    [Fact]
    public void Golden_restored_marker()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory("/data");
        Assert.Null(RestoredMarker.TryRead(disk, "/data"));
        RestoredMarker.Write(disk, "/data", new WalIdentity(0x1122334455667788, 3));
        Assert.Equal(GoldenRestored, Convert.ToHexStringLower(disk.ReadAllBytes("/data/restored")));
        Assert.Equal(new WalIdentity(0x1122334455667788, 3), RestoredMarker.TryRead(disk, "/data"));
        for (int at = 0; at < GoldenRestored.Length / 2; at++)
        {
            byte[] bytes = Convert.FromHexString(GoldenRestored);
            bytes[at] ^= 0x10;
            disk.WriteAllBytes("/data/restored", bytes);
            Assert.Throws<CorruptionException>(() => RestoredMarker.TryRead(disk, "/data"));
        }

        disk.WriteAllBytes("/data/restored", Convert.FromHexString(GoldenRestored)[..^1]);
        Assert.Throws<CorruptionException>(() => RestoredMarker.TryRead(disk, "/data"));
    }

    /// <summary>Under a temporary name, and published where it is whole; whatever the file is called.</summary>
    [Fact]
    public void A_snapshot_file_is_published_whole_or_not_at_all()
    {
        FaultyDisk disk = TestLog.Disk();
        disk.CreateDirectory("/data");
        var file = new List<byte>();
        var encoder = new SnapshotEncoder(TestLog.Identity, 7, new SnapshotInfo(258, 3, new byte[] { 1, 2 }), bytes => file.AddRange(bytes));
        encoder.Write("content"u8);
        encoder.Complete();
        AssertHex(GoldenSnapshot, file.ToArray());
        for (int length = file.Count; length > 0; length -= 13)
        {
            using IDiskFile part = disk.Create($"/data/copy{length}.part");
            part.Write(file.ToArray().AsSpan(0, length), 0);
            if (length < file.Count)
            {
                Assert.Throws<CorruptionException>(() => SnapshotFile.Publish(disk, part, $"/data/copy{length}"));
                Assert.False(disk.FileExists($"/data/copy{length}"));
                continue;
            }

            SnapshotFile.Publish(disk, part, "/data/copy");
            Assert.True(SnapshotFile.IsOne(disk, "/data/copy"));
            using SnapshotReader reader = SnapshotFile.OpenRead(disk, "/data/copy");
            Assert.Equal((TestLog.Identity.ClusterId, TestLog.Identity.NodeId, 7u, 258ul), (reader.ClusterId, reader.WrittenBy, reader.GroupId, reader.Info.Index));
        }
    }

    [Fact]
    public void Names_of_segments_are_strict()
    {
        Assert.True(SegmentHeader.TryParseFileName("00000000000000ff.wal", out ulong sequence));
        Assert.Equal(255u, sequence);
        foreach (string name in new[] { "00000000000000FF.wal", "0000000000000ff.wal", "00000000000000fg.wal", "00000000000000ff.wa", " 0000000000000ff.wal", "+0000000000000ff.wal" })
        {
            Assert.False(SegmentHeader.TryParseFileName(name, out _), name);
        }
    }

    [Fact]
    public void An_unknown_version_is_named()
    {
        FaultyDisk disk = TestLog.Disk();
        TestLog.Reopen(disk);
        byte[] bytes = disk.ReadAllBytes(TestLog.Segment(1));
        bytes[8] = 3;
        uint crc = Checksum.Crc32C(Checksum.Crc32C(0, bytes.AsSpan(0, 12)), bytes.AsSpan(16, 56));
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), crc);
        disk.WriteAllBytes(TestLog.Segment(1), bytes);
        WalVersionException exception = Assert.Throws<WalVersionException>(() => TestLog.Reopen(disk));
        Assert.Equal((3u, 2u), (exception.Found, exception.Known));
    }

    [Fact]
    public void The_checksum_is_CRC_32C_and_can_be_continued()
    {
        Assert.Equal(0xE3069283u, Checksum.Crc32C(0, "123456789"u8));
        Assert.Equal(0xE3069283u, Checksum.Crc32C(Checksum.Crc32C(0, "1234"u8), "56789"u8));
    }

    private static void AssertHex(string expected, ReadOnlySpan<byte> actual)
    {
        string hex = Convert.ToHexStringLower(actual);
        string lines = string.Join('\n', Enumerable.Range(0, (hex.Length + 63) / 64).Select(i => hex.Substring(i * 64, Math.Min(64, hex.Length - (i * 64)))));
        Assert.Equal(expected.ReplaceLineEndings("\n"), lines);
    }

    private const string GoldenRestored = "4d4554415245530a0100000000000000887766554433221103000000000000006aea78b4";

    private const string GoldenFirst =
        """
        4d45544157414c0a02000000203e918388776655443322110300000000000000
        0100000000000000001000000000000001000000000000000000000000000000
        000000000000000030000000efe2113d01000000000000000100000000000000
        300000000000000048000000203e9183000000000000000030000000a5855df0
        01000000000000000200000000000000800000000200000078000000efe2113d
        73e90c8e290b9e9b6371a7d5e8d63494f03f33afc4ca6c1db13f94d83e2f7745
        709238dce1c2ed9c9fbbf55793102c35aee7b66d4fcdb4a850934ae18be3d13a
        7b4335ed9dfb39c629d72e606d0d1d2157225e27a70192dd3000000057e31cb0
        010000000000000003000000000000006800000002000000f8000000542e6932
        5645d775c2ced920d6916d2891eb9cc42db7237ebde025970eb746e1589360a5
        10b4af718390d1bf45bcda12280d20cb97788007db6088b6f6a14ca1b588f599
        300000004b8b6557010000000000000004000000000000005000000001000000
        600100005b02eac89668d54ecbf4ce309ad8163c5d210db037297202108d78d7
        87f4caa4099cb93ddbc6bf16c511da133000000016fd38e10100000000000000
        05000000000000005000000001000000b0010000a70bd78b66988ef929c63771
        1f50e2d1ca7b46572a0ee53249cb34fb9b1ac0bb8d4bb2644f6ba9b52bd796d9
        """;
    private const string GoldenClosing =
        """
        300000005d7b42d4010000000000000006000000000000004800000001000000
        0002000064526400cadb4e0f38ac0c72abb20f47e37ac84925efb720464c7d13
        9d3b300fb37c13c7
        """;
    private const string GoldenSecond =
        """
        4d45544157414c0a020000007407f08e88776655443322110300000000000000
        0200000000000000002000000000000006000000000000000002000000000000
        64526400000000003000000001eb1a7401000000000000000600000000000000
        7800000001000000480000007407f08e5122a79d474e18768de93a63b8f7d839
        13c5afcf9749c55db8a7143606aa07ba209776bc572d40b0785703d4653ced76
        6b62e3d44adb7e2bd10e8f398dde62b6010d25173fd89bfaf0f115b55a4759ba
        """;
    private const string GoldenIdentity = "4d4554414449520a010000000000000088776655443322110300000000000000090000000000000078c23035";

    private const string GoldenSilence = "4d45544153494c0a010000000000000060ae0a00000000005481610c";

    private const string GoldenSnapshot =
        """
        4d455441534e500a020000004200000088776655443322110300000000000000
        07000000020000000201000000000000030000000000000000000000ff844055
        010207000000cc94dbd0636f6e74656e7400000000ce3bb56707000000000000
        000100000000000000
        """;
}
