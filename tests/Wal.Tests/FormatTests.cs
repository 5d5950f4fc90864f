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
        AssertHex(GoldenSecond, second.AsSpan(0, 72 + 40 + 72));
        byte[] closed = disk.ReadAllBytes(TestLog.Segment(1));
        AssertHex(GoldenClosing, closed.AsSpan(TestLog.EndOfLog(closed), 64));
        Assert.Equal(8192, second.Length);
    }

    [Fact]
    public void Golden_snapshot()
    {
        FaultyDisk disk = TestLog.Disk();
        var store = new SnapshotStore(disk, TestLog.Directory, TestLog.Identity);
        SnapshotWriter writer = store.Create(7, new SnapshotInfo(258, 3, [1, 2]));
        writer.Write("content"u8);
        writer.Complete();
        string name = Assert.Single(disk.ListFiles("/data/snap"));
        Assert.Equal("00000007-0000000000000102-0000000000000003.snap", name);
        AssertHex(GoldenSnapshot, disk.ReadAllBytes("/data/snap/" + name));
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
        bytes[8] = 2;
        uint crc = Checksum.Crc32C(Checksum.Crc32C(0, bytes.AsSpan(0, 12)), bytes.AsSpan(16, 56));
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), crc);
        disk.WriteAllBytes(TestLog.Segment(1), bytes);
        WalVersionException exception = Assert.Throws<WalVersionException>(() => TestLog.Reopen(disk));
        Assert.Equal((2u, 1u), (exception.Found, exception.Known));
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

    private const string GoldenFirst =
        """
        4d45544157414c0a01000000cdd25d1d88776655443322110300000000000000
        0100000000000000001000000000000001000000000000000000000000000000
        000000000000000028000000ed6c8b8401000000000000000100000000000000
        280000000000000048000000cdd25d1d280000004b8167340100000000000000
        0200000000000000780000000200000070000000ed6c8b8425000000121287ee
        02090000070000000100000000000000020000000000000068656c6c6f000000
        28000000e0646a5f040000000700000002000000000000000300000000000000
        010000000000000028000000271472a901000000000000000300000000000000
        6000000002000000e8000000e0646a5f18000000e5018c430300000007000000
        01000000000000002000000001c2faf902000000070000000100000000000000
        0300000000000000280000003f14c82f01000000000000000400000000000000
        48000000010000004801000001c2faf920000000c6838c340500000007000000
        01000000000000000300000000000000280000009e55da550100000000000000
        0500000000000000480000000100000090010000c6838c342000000015866c5f
        050100000700000005000000000000000400000000000000
        """;
    private const string GoldenClosing =
        """
        280000002cfbf785010000000000000006000000000000004000000001000000
        d801000015866c5f18000000bafd073d07000000000000000200000000000000
        """;
    private const string GoldenSecond =
        """
        4d45544157414c0a0100000070f6891788776655443322110300000000000000
        020000000000000000200000000000000600000000000000d801000000000000
        15866c5f00000000280000008da8381001000000000000000600000000000000
        70000000010000004800000070f68917480000006e131e360600000007000000
        0500000000000000040000000000000002000000000000000300000000000000
        010000000000000005000000000000000400000000000000
        """;
    private const string GoldenSnapshot =
        """
        4d455441534e500a010000005000000088776655443322110300000000000000
        070000000200000002010000000000000300000000000000000000003981e7cd
        0100000000000000020000000000000007000000c1c350a8636f6e74656e7400
        0000004c9a8add07000000000000000100000000000000
        """;
}
