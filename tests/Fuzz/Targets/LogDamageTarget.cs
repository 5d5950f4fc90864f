using MetaStore.Fuzz.Running;
using MetaStore.Testing;
using MetaStore.Wal.Tests;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// A log whose files were damaged: it is refused by name, or what comes back is what was written, up to some write; and then it comes back again, with nothing more to cut. A single wrong byte takes
/// no more than the last write. Input: log u8 (see <see cref="LogImages"/>), then edits of 6 bytes each: kind u8, file u8, place u16, length u8, value u8.
/// </summary>
internal sealed class LogDamageTarget : FuzzTarget
{
    private const int EditBytes = 6;
    private const int EditsMax = 24;
    private const int FileBytes = 4096;

    /// <summary>A log of a few segments, copies of them and all that is read out: whatever the edits are.</summary>
    private const int AllocationBytesMax = 4 << 20;

    public override string Name => "log-damage";

    public override int BytesMax => 1 + (EditsMax * EditBytes);

    public override int TestInputs => 500;

    public override IEnumerable<byte[]> Seeds()
    {
        for (int log = 0; log < 16; log++)
        {
            yield return [(byte)log];
            for (int kind = 0; kind < 8; kind++)
            {
                yield return [(byte)(log * 3), (byte)kind, (byte)(log >> 2), (byte)(100 + (37 * kind)), (byte)(log & 3), 8, 0x40];
            }
        }
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        var reader = new InputReader(input);
        LogImage image = LogImages.Make(reader.Byte());
        FaultyDisk disk = image.Disk.Clone(new Random(1));
        disk.Crash(CrashPolicy.ProcessKill);
        var edits = new List<Edit>();
        while (!reader.IsAtEnd && edits.Count < EditsMax)
        {
            edits.Add(new Edit(reader.Byte(), reader.Byte(), reader.UInt16(), reader.Byte(), reader.Byte()));
        }

        foreach (Edit edit in edits)
        {
            edit.Apply(disk);
        }

        (string? recovered, bool wasCut, string refusal) = AllocationBudget.Within(AllocationBytesMax, () => LogOpening.Try(disk.Clone(new Random(1))));
        if (recovered is null)
        {
            return refusal;
        }

        int length = image.Prefixes.ToList().LastIndexOf(recovered);
        FuzzFailure.Unless(length >= 0, $"what comes back was never there:\n{recovered}");
        bool isOneByte = edits is [{ IsOneByte: true }];
        FuzzFailure.Unless(!isOneByte || length >= image.Prefixes.Count - 2, $"one wrong byte, and of {image.Prefixes.Count - 1} writes {length} come back");
        FuzzFailure.Unless(edits.Count > 0 || (length == image.Prefixes.Count - 1 && !wasCut), $"nothing is damaged, and of {image.Prefixes.Count - 1} writes {length} come back");

        LogOpening.Try(disk);
        (string? again, bool isCutAgain, string refusedThen) = LogOpening.Try(disk);
        FuzzFailure.Unless(again == recovered && !isCutAgain, $"opened once more, it is another: {refusedThen}\n{recovered}\n{again}");
        return $"recovered {image.Prefixes.Count - 1 - length} {wasCut}";
    }

    private readonly record struct Edit(byte Kind, byte File, ushort Place, byte Length, byte Value)
    {
        public bool IsOneByte => Kind % 8 < 2;

        public void Apply(FaultyDisk disk)
        {
            List<string> files = TestLog.Segments(disk);
            if (files.Count == 0)
            {
                return;
            }

            string path = files[File % files.Count];
            byte[] bytes = disk.ReadAllBytes(path);
            int at = bytes.Length == 0 ? 0 : Place % bytes.Length;
            int length = Math.Min(Length, bytes.Length - at);
            switch (Kind % 8)
            {
                case 0 when bytes.Length > 0:
                    bytes[at] ^= (byte)Math.Max((byte)1, Value);
                    break;
                case 1 when bytes.Length > 0:
                    bytes[at] = Value;
                    break;
                case 2:
                    bytes.AsSpan(at, length).Fill(Value);
                    break;
                case 3:
                    bytes.AsSpan(at - (at % 512), Math.Min(512, bytes.Length - (at - (at % 512)))).Clear();
                    break;
                case 4:
                    int from = Value * 16 % Math.Max(1, bytes.Length);
                    bytes.AsSpan(from, Math.Min(length, bytes.Length - from)).ToArray().CopyTo(bytes.AsSpan(at));
                    break;
                case 5:
                    bytes = bytes[..at];
                    break;
                case 6:
                    byte[] other = disk.ReadAllBytes(files[Value % files.Count]);
                    other.AsSpan(Math.Min(at, other.Length), Math.Min(length, Math.Max(0, other.Length - at))).CopyTo(bytes.AsSpan(at));
                    break;
                default:
                    Replace(disk, files, path);
                    return;
            }

            disk.WriteAllBytes(path, bytes);
        }

        private void Replace(FaultyDisk disk, List<string> files, string path)
        {
            if ((Value & 1) != 0)
            {
                disk.Delete(path);
            }
            else if ((Value & 2) != 0)
            {
                disk.WriteAllBytes(path, disk.ReadAllBytes(files[(Value >> 2) % files.Count]));
            }
            else
            {
                disk.WriteAllBytes(path, new byte[FileBytes]);
            }
        }
    }
}
