using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using MetaStore.Testing;

namespace MetaStore.Wal.Tests;

/// <summary>The log as it should be, in plain lists. The real one is held against it.</summary>
internal sealed class LogModel
{
    private readonly SortedDictionary<uint, Group> _groups = [];

    public void Apply(LogWrite write)
    {
        if (!_groups.TryGetValue(write.GroupId, out Group? group))
        {
            _groups[write.GroupId] = group = new Group();
        }

        if (write.Mark is { } mark)
        {
            bool holds = group.Entries.Any(entry => entry.Index == mark.Index && entry.Term == mark.Term) || group.Mark == mark;
            group.Entries.RemoveAll(entry => !holds || entry.Index <= mark.Index);
            group.Mark = mark;
        }

        foreach (LogEntry entry in write.Entries)
        {
            group.Entries.RemoveAll(old => old.Index >= entry.Index);
            group.Entries.Add(entry);
        }

        group.HardState = write.HardState ?? group.HardState;
    }

    public void Apply(IEnumerable<LogWrite> writes)
    {
        foreach (LogWrite write in writes)
        {
            Apply(write);
        }
    }

    public LogModel Clone()
    {
        var copy = new LogModel();
        foreach ((uint id, Group group) in _groups)
        {
            copy._groups[id] = new Group { Mark = group.Mark, HardState = group.HardState, Entries = [.. group.Entries] };
        }

        return copy;
    }

    public ulong LastIndex(uint groupId)
        => _groups.TryGetValue(groupId, out Group? group) ? group.LastIndex : 0;

    public LogSnapshotMark Mark(uint groupId) => _groups.TryGetValue(groupId, out Group? group) ? group.Mark : default;

    public LogHardState HardState(uint groupId) => _groups.TryGetValue(groupId, out Group? group) ? group.HardState : default;

    /// <summary>As this one, but with the terms and votes of the other: they are in their copy before the rest is in the log.</summary>
    public LogModel WithVotesOf(LogModel other)
    {
        LogModel joined = Clone();
        foreach ((uint id, Group group) in other._groups)
        {
            if (!joined._groups.TryGetValue(id, out Group? own))
            {
                joined._groups[id] = own = new Group();
            }

            own.HardState = new LogHardState(group.HardState.Term, group.HardState.Vote, own.HardState.Commit);
        }

        return joined;
    }

    public ulong TermAt(uint groupId, ulong index)
        => _groups[groupId].Entries.First(entry => entry.Index == index).Term;

    /// <summary>Everything, in a form that can be compared and read.</summary>
    public override string ToString()
        => Describe(_groups.Select(pair => new RecoveredGroup
        {
            GroupId = pair.Key,
            Mark = pair.Value.Mark,
            HardState = pair.Value.HardState,
            Entries = pair.Value.Entries,
        }));

    public static string Describe(WalRecovery recovery) => Describe(recovery.Groups);

    private static string Describe(IEnumerable<RecoveredGroup> groups)
    {
        var text = new StringBuilder();
        foreach (RecoveredGroup group in groups)
        {
            if (group.Mark == default && group.HardState == default && group.Entries.Count == 0)
            {
                continue; // asked for nothing to be kept
            }

            text.Append(CultureInfo.InvariantCulture, $"group {group.GroupId} mark {group.Mark.Index}/{group.Mark.Term} state {group.HardState.Term},{group.HardState.Vote},{group.HardState.Commit}:");
            foreach (LogEntry entry in group.Entries)
            {
                text.Append(CultureInfo.InvariantCulture, $" {entry.Index}/{entry.Term}k{entry.Kind}#{entry.Data.Length}");
                text.Append(':').Append(Checksum.Crc32C(0, entry.Data.Span).ToString("x8", CultureInfo.InvariantCulture));
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    private sealed class Group
    {
        public LogSnapshotMark Mark { get; set; }

        public LogHardState HardState { get; set; }

        public List<LogEntry> Entries { get; init; } = [];

        public ulong LastIndex => Entries.Count > 0 ? Entries[^1].Index : Mark.Index;
    }
}

/// <summary>Random writes that a correct caller could make, given what it wrote before.</summary>
internal sealed class WriteGenerator(Random random, int groups, int entryBytesMax)
{
    private ulong _writeId;
    private ulong _term = 1;

    public LogWrite Next(LogModel model)
    {
        uint group = (uint)random.Next(groups) + 1;
        ulong last = model.LastIndex(group);
        LogSnapshotMark oldMark = model.Mark(group);
        LogSnapshotMark? mark = null;
        ulong next = last + 1;
        int choice = random.Next(20);
        if (choice < 3 && last > oldMark.Index)
        {
            ulong index = oldMark.Index + 1 + (ulong)random.NextInt64((long)(last - oldMark.Index));
            mark = new LogSnapshotMark(index, model.TermAt(group, index));
        }
        else if (choice == 3)
        {
            _term++;
            mark = new LogSnapshotMark(oldMark.Index + 1 + (ulong)random.Next(10), _term); // of a term the log does not hold: voids it
            next = mark.Value.Index + 1;
        }
        else if (choice < 7 && last > oldMark.Index)
        {
            _term++;
            next = oldMark.Index + 1 + (ulong)random.NextInt64((long)(last - oldMark.Index));
        }

        var entries = new List<LogEntry>();
        for (int i = random.Next(4); i > 0; i--)
        {
            byte[] data = new byte[random.Next(entryBytesMax + 1)];
            random.NextBytes(data);
            entries.Add(new LogEntry(next++, _term, (byte)random.Next(256), data));
        }

        return new LogWrite
        {
            GroupId = group,
            WriteId = ++_writeId,
            Mark = mark,
            Entries = entries,
            HardState = random.Next(2) == 0 ? NextHardState(model.HardState(group), last) : null,
        };
    }

    /// <summary>Terms never fall, and a vote is given once in a term.</summary>
    private LogHardState NextHardState(LogHardState before, ulong commit)
    {
        _term = Math.Max(_term, before.Term);
        bool hasVoted = before.Term == _term && before.Vote != 0;
        return new LogHardState(_term, hasVoted ? before.Vote : (ulong)random.Next(5), commit);
    }

    /// <summary>A batch of 1 to 3 writes, which the model then holds.</summary>
    public List<LogWrite> NextBatch(LogModel model)
    {
        var batch = new List<LogWrite>();
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            LogWrite write = Next(model);
            model.Apply(write);
            batch.Add(write);
        }

        return batch;
    }
}

/// <summary>A log on a memory disk, as most tests need it.</summary>
internal static class TestLog
{
    public const string Directory = "/data";
    public const string WalDirectory = "/data/wal";

    public static readonly WalIdentity Identity = new(0x1122334455667788, 3);

    public static readonly WalOptions Small = new() { SegmentBytes = 4096, RecycledSegmentsMax = 2 };

    public static FaultyDisk Disk(int seed = 1) => new(new Random(seed));

    public static WriteAheadLog Open(IDisk disk, out WalRecovery recovery, WalOptions? options = null)
        => WriteAheadLog.Open(disk, Directory, Identity, options ?? Small, out recovery);

    public static WalRecovery Reopen(IDisk disk, WalOptions? options = null)
    {
        using WriteAheadLog log = Open(disk, out WalRecovery recovery, options);
        return recovery;
    }

    public static string Segment(ulong sequence) => Path.Combine(WalDirectory, SegmentHeader.FileName(sequence));

    public static List<string> Segments(FaultyDisk disk)
        => [.. disk.ListFiles(WalDirectory).Where(name => name.EndsWith(SegmentHeader.FileSuffix, StringComparison.Ordinal)).Select(name => Path.Combine(WalDirectory, name))];

    /// <summary>Offset at which the sound batches of a segment end.</summary>
    public static int EndOfLog(byte[] segment) => Read(segment).Offset;

    /// <summary>A segment, walked to its end.</summary>
    public static SegmentReader Read(byte[] segment)
    {
        ulong sequence = BinaryPrimitives.ReadUInt64LittleEndian(segment.AsSpan(32));
        SegmentHeader header = SegmentHeader.Decode("", segment, sequence, segment.Length, out uint seed);
        var reader = new SegmentReader("", segment.ToArray(), header, seed);
        while (reader.TryNext(out _))
        {
            // Only where it ends matters.
        }

        return reader;
    }

    public static LogWrite Entries(uint group, ulong from, int count, ulong term = 1, int bytes = 10)
        => new()
        {
            GroupId = group,
            WriteId = from,
            Entries = [.. Enumerable.Range(0, count).Select(i => new LogEntry(from + (ulong)i, term, 1, Fill(bytes, (byte)(from + (ulong)i))))],
        };

    private static byte[] Fill(int count, byte value)
    {
        byte[] bytes = new byte[count];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
