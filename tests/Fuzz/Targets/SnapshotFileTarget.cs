using System.Buffers.Binary;
using MetaStore.Fuzz.Running;
using MetaStore.Testing;
using MetaStore.Wal;
using MetaStore.Wal.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A snapshot file, damaged or with checksums that all hold: it is refused by name, or its content comes out; of a damaged one, what was written. Input: flags u8 (1: the checksums are mended),
/// length of the configuration u8, pieces of the content u8, then edits of 5 bytes each: kind u8, place u32 (its upper half counts only where the file is that long).
/// </summary>
internal sealed class SnapshotFileTarget : FuzzTarget
{
    private const int EditBytes = 5;
    private const int EditsMax = 16;
    private const int PieceBytes = 700;
    private const int PiecesMax = 110; // more than one chunk
    private const int AllocationBytesMax = 1 << 20;
    private const ulong Index = 9;
    private const ulong Term = 2;
    private const uint Group = 1;

    public override string Name => "snapshot-files";

    public override int BytesMax => 3 + (EditsMax * EditBytes);

    public override int TestInputs => 300;

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (byte pieces in new byte[] { 0, 1, 3, 100 })
        {
            yield return [0, 5, pieces];
            for (byte kind = 0; kind < 6; kind++)
            {
                yield return [(byte)(kind & 1), 40, pieces, kind, (byte)(12 + (kind * 17)), 0, 0, 7];
            }
        }
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        bool isMended = (reader.Byte() & 1) != 0;
        var info = new SnapshotInfo(Index, Term, Content(reader.Byte()));
        byte[] content = Content(reader.Byte() % PiecesMax * PieceBytes);
        var disk = new FaultyDisk(new Random(1));
        var store = new SnapshotStore(disk, TestLog.Directory, TestLog.Identity);
        disk.CreateDirectory(TestLog.Directory);
        using (SnapshotWriter writer = store.Create(Group, info))
        {
            writer.Write(content);
            writer.Complete();
        }

        string path = store.PathOf(Group, info);
        byte[] whole = disk.ReadAllBytes(path);
        byte[] bytes = Edit((byte[])whole.Clone(), ref reader);
        bool isWhole = bytes.AsSpan().SequenceEqual(whole);
        if (isMended)
        {
            Mend(bytes);
        }

        disk.WriteAllBytes(path, bytes);
        try
        {
            (IReadOnlyList<SnapshotInfo> listed, byte[] read) = AllocationBudget.Within(AllocationBytesMax + (4 * content.Length), () => Read(store, info, content.Length));
            FuzzFailure.Unless(listed is [{ Index: Index, Term: Term }], "the snapshot is listed as another");
            FuzzFailure.Unless(isMended || isWhole, "a damaged snapshot is read");
            FuzzFailure.Unless(isMended || (read.AsSpan().SequenceEqual(content) && listed[0].Equals(info)), "what comes out is not what was written");
            return $"read {Shape.Size(read.Length)} {isWhole}";
        }
        catch (Exception e) when (e is CorruptionException or WalIdentityException or WalVersionException)
        {
            FuzzFailure.Unless(!isWhole, $"a whole snapshot is refused: {e.Message}");
            FuzzFailure.Unless(!WalInspector.Inspect(disk, TestLog.Directory).Snapshots.Any(snapshot => snapshot.IsSound) || e is WalIdentityException, $"the inspection calls sound what is refused: {e.Message}");
            return $"{isMended} {Shape.Of(e)}";
        }
    }

    private static (IReadOnlyList<SnapshotInfo> Listed, byte[] Read) Read(SnapshotStore store, SnapshotInfo info, int length)
    {
        IReadOnlyList<SnapshotInfo> listed = store.List(Group);
        using SnapshotReader reader = store.OpenRead(Group, info);
        var read = new byte[length + 1];
        return (listed, read[..reader.Read(read)]);
    }

    private static byte[] Content(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static byte[] Edit(byte[] bytes, ref InputReader reader)
    {
        for (int edits = 0; edits < EditsMax && !reader.IsAtEnd && bytes.Length > 0; edits++)
        {
            byte kind = reader.Byte();
            ushort low = reader.UInt16();
            int at = (int)((uint)(low | (reader.Byte() << 16)) % (uint)bytes.Length);
            byte value = reader.Byte();
            switch (kind % 6)
            {
                case 0:
                    bytes[at] ^= Math.Max((byte)1, value);
                    break;
                case 1:
                    bytes[at] = value;
                    break;
                case 2:
                    bytes = bytes[..at];
                    break;
                case 3:
                    bytes = [.. bytes, .. new byte[value]];
                    break;
                case 4:
                    bytes.AsSpan(at, Math.Min(value, bytes.Length - at)).Clear();
                    break;
                default:
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + value)..]];
                    break;
            }
        }

        return bytes;
    }

    /// <summary>Puts in the checksums that what stands there has, as far as it can be followed.</summary>
    private static void Mend(Span<byte> file)
    {
        if (file.Length < SnapshotHeader.FixedBytes)
        {
            return;
        }

        int header = BinaryPrimitives.ReadInt32LittleEndian(file[12..]);
        if (header < SnapshotHeader.FixedBytes || header > file.Length)
        {
            return;
        }

        const int SumAt = 60;
        uint crc = Checksum.Crc32C(Checksum.Crc32C(0, file[..SumAt]), file[(SumAt + sizeof(uint))..header]);
        BinaryPrimitives.WriteUInt32LittleEndian(file[SumAt..], crc);
        for (Span<byte> rest = file[header..]; rest.Length >= SnapshotHeader.ChunkHeaderBytes;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(rest);
            int bytes = length == 0 ? SnapshotHeader.FooterBytes : length < 0 ? int.MaxValue : (int)Math.Min(int.MaxValue, (long)length + SnapshotHeader.ChunkHeaderBytes);
            if (bytes > rest.Length)
            {
                return;
            }

            crc = RecordFormat.Crc(crc, rest[..bytes]);
            BinaryPrimitives.WriteUInt32LittleEndian(rest[RecordFormat.CrcOffset..], crc);
            rest = rest[bytes..];
        }
    }
}
