using MetaStore.Testing;
using Xunit;

namespace MetaStore.Wal.Tests;

/// <summary>
/// The last batch: any of its sectors lost in a crash, in every alignment of batch and sectors, over every kind of old content, is a torn write and is cut.
/// A rotten bit in it, where it was synced, is named. The two are never taken for each other.
/// </summary>
public sealed class TornTailTests
{
    private const int SectorsMax = 9;

    /// <summary>What the sectors held before the batch.</summary>
    public enum OldContent
    {
        /// <summary>A file that was filled with zeros.</summary>
        Zeros,

        /// <summary>The file was a segment before, of almost the same batches at the same places.</summary>
        EarlierLife,

        /// <summary>A batch that differs in one bit of one entry was written here in the same life, and lost its first sector.</summary>
        TornBatch,
    }

    public static TheoryData<OldContent, int> Shapes()
    {
        var data = new TheoryData<OldContent, int>();
        foreach (OldContent old in Enum.GetValues<OldContent>())
        {
            data.Add(old, 512);
            data.Add(old, 4096);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_lost_sector_is_always_cut(OldContent old, int sectorBytes)
    {
        int cuts = 0;
        foreach (LogWrite shape in BatchShapes(sectorBytes))
        {
            // All places of the batch's start relative to the sector: they are multiples of 8.
            for (int shift = 0; shift < 512; shift += 8)
            {
                var place = new TailOfLog(shift, shape, sectorBytes);
                byte[] before = place.Before(old);
                for (int lost = 1; lost < 1 << place.Sectors; lost++)
                {
                    byte[] torn = place.WithSectorsOf(before, lost);
                    if (torn.AsSpan().SequenceEqual(place.Written))
                    {
                        continue; // the sector holds only what did not change
                    }

                    cuts++;
                    Assert.True(place.IsBeforeOrWhole(torn), $"{shape.Entries.Count} entries, shift {shift}, lost sectors {lost:x}");
                }
            }
        }

        Assert.InRange(cuts, 500, int.MaxValue);
    }

    [Fact]
    public void A_rotten_bit_of_a_synced_last_batch_is_always_refused()
    {
        foreach (LogWrite shape in BatchShapes(512))
        {
            for (int shift = 0; shift < 512; shift += 104)
            {
                var place = new TailOfLog(shift, shape, 512);
                for (int bit = place.Start * 8; bit < place.End * 8; bit += 7)
                {
                    byte[] rotten = (byte[])place.Written.Clone();
                    rotten[bit / 8] ^= (byte)(1 << (bit % 8));
                    Assert.Equal('F', TailOfLog.CaseOf(rotten).Letter);
                }
            }
        }
    }

    [Fact]
    public void A_long_entry_that_was_torn_is_cut_though_a_CRC_would_take_it_for_rotten()
    {
        // 2 MiB have 2^24 bits: of 256 such batches that were torn, to a CRC of 32 bits one is a bit from sound. Here it is made so.
        var place = new TailOfLog(0, TestLog.Entries(1, 2, 1, bytes: 3000), 512);
        SegmentReader reader = TestLog.Read(place.Written);
        int at = reader.LastBatchOffset;
        byte[] batch = reader.CopyLastBatch();
        BatchMask.Apply(batch);
        Span<byte> record = batch.AsSpan(BatchHead.Bytes);
        record[1000..1200].Fill(0xAB);
        record[1500] ^= 4;
        uint crc = RecordFormat.Crc(RecordFormat.StoredCrc(batch), record);
        record[1500] ^= 4;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(record[RecordFormat.CrcOffset..], crc);
        BatchMask.Apply(batch);
        byte[] torn = (byte[])place.Written.Clone();
        batch.CopyTo(torn.AsSpan(at));
        Assert.Equal('H', TailOfLog.CaseOf(torn).Letter);
    }

    private static IEnumerable<LogWrite> BatchShapes(int sectorBytes)
    {
        int[] sizes = sectorBytes == 512 ? [0, 8, 100, 500, 512, 1100, 2500] : [0, 100, 5000, 9000];
        foreach (int bytes in sizes)
        {
            yield return TestLog.Entries(1, 2, 1, bytes: bytes); // every byte is 2: nothing but one bit
        }

        yield return TestLog.Entries(1, 2, 6, bytes: 60);
        yield return TestLog.Entries(1, 2, 20, bytes: 1);
        yield return new LogWrite { GroupId = 1, WriteId = 1, HardState = new LogHardState(1, 1, 1) };
        yield return new LogWrite { GroupId = 1, WriteId = 1, HardState = new LogHardState(0, 0, 0x8000) };
        yield return new LogWrite { GroupId = 1, WriteId = 1, Entries = TestLog.Entries(1, 2, 1, bytes: 300).Entries, HardState = new LogHardState(4, 2, 1) };
        yield return new LogWrite { GroupId = 1, WriteId = 1, Mark = new LogSnapshotMark(1, 1) };
    }

    /// <summary>A segment whose last batch begins at a chosen place, and what may have stood there before.</summary>
    private sealed class TailOfLog
    {
        private const int SegmentBytes = 20 * 1024;

        private readonly LogWrite _shape;
        private readonly int _sectorBytes;
        private readonly byte[] _clean;
        private readonly LogWrite _first;

        public TailOfLog(int shift, LogWrite shape, int sectorBytes)
        {
            _shape = shape;
            _sectorBytes = sectorBytes;
            _first = TestLog.Entries(1, 1, 1, bytes: 3400 + shift);
            FaultyDisk disk = Begin(TestLog.Identity, out WriteAheadLog log);
            _clean = disk.ReadAllBytes(TestLog.Segment(1));
            Start = TestLog.EndOfLog(_clean);
            log.Write([shape]);
            Written = disk.ReadAllBytes(TestLog.Segment(1));
            End = TestLog.EndOfLog(Written);
            FirstSector = Start / sectorBytes;
            Sectors = ((End + BatchEncoder.EndMarkBytes - 1) / sectorBytes) - FirstSector + 1;
            Assert.InRange(Sectors, 1, SectorsMax);
        }

        public byte[] Written { get; }

        public int Start { get; }

        public int End { get; }

        public int FirstSector { get; }

        public int Sectors { get; }

        /// <summary>The segment as it was before the batch was written.</summary>
        public byte[] Before(OldContent old)
        {
            byte[] before = (byte[])_clean.Clone();
            int firstNew = Start + BatchEncoder.EndMarkBytes;
            if (old == OldContent.EarlierLife)
            {
                // The same batches at the same places but for one bit, in a segment with another header.
                FaultyDisk disk = Begin(new WalIdentity(TestLog.Identity.ClusterId, 4), out WriteAheadLog log);
                log.Write([OneBitAway(_shape)]);
                log.Write([TestLog.Entries(2, 1, 1, bytes: 2000)]);
                disk.ReadAllBytes(TestLog.Segment(1)).AsSpan(firstNew).CopyTo(before.AsSpan(firstNew));
            }
            else if (old == OldContent.TornBatch)
            {
                FaultyDisk disk = Begin(TestLog.Identity, out WriteAheadLog log);
                log.Write([OneBitAway(_shape)]);
                int second = (FirstSector + 1) * _sectorBytes;
                disk.ReadAllBytes(TestLog.Segment(1)).AsSpan(second).CopyTo(before.AsSpan(second));
            }

            return before;
        }

        /// <summary>The batch as written, but for the sectors whose bit is set.</summary>
        public byte[] WithSectorsOf(byte[] before, int lost)
        {
            byte[] torn = (byte[])Written.Clone();
            for (int sector = 0; sector < Sectors; sector++)
            {
                if ((lost & (1 << sector)) != 0)
                {
                    int at = (FirstSector + sector) * _sectorBytes;
                    before.AsSpan(at, _sectorBytes).CopyTo(torn.AsSpan(at));
                }
            }

            return torn;
        }

        /// <summary>The log ends before the batch, or behind it where only its end mark was lost; it is never refused.</summary>
        public bool IsBeforeOrWhole(byte[] torn)
        {
            bool batchIsWhole = torn.AsSpan(0, End).SequenceEqual(Written.AsSpan(0, End));
            return CaseOf(torn).Action is RecoveryAction.Cut or RecoveryAction.End && TestLog.EndOfLog(torn) == (batchIsWhole ? End : Start);
        }

        public static RecoveryCase CaseOf(byte[] segment) => RecoveryCases.Decide(TestLog.Read(segment).Assess(next: null));

        private FaultyDisk Begin(WalIdentity identity, out WriteAheadLog log)
        {
            FaultyDisk disk = TestLog.Disk();
            log = WriteAheadLog.Open(disk, TestLog.Directory, identity, new WalOptions { SegmentBytes = SegmentBytes }, out _);
            log.Write([_first]);
            return disk;
        }

        private static LogWrite OneBitAway(LogWrite write)
        {
            if (write.Entries.Count == 0)
            {
                return new LogWrite { GroupId = 1, WriteId = 1, HardState = new LogHardState(1, 1, 3) };
            }

            LogEntry last = write.Entries[^1];
            byte[] data = last.Data.ToArray();
            if (data.Length > 0)
            {
                data[^1] ^= 1;
            }

            ulong term = data.Length > 0 ? last.Term : last.Term ^ 2;
            return new LogWrite { GroupId = 1, WriteId = 1, Entries = [.. write.Entries.SkipLast(1), new LogEntry(last.Index, term, last.Kind, data)], HardState = write.HardState };
        }
    }
}
