namespace MetaStore.Wal;

/// <summary>
/// Reads the segments of a log in order and rebuilds the groups. Reads only: what has to be mended on disk is left to
/// <see cref="WalOpener"/>, so that an inspection can use the same eyes.
/// </summary>
internal sealed class LogReplay(IDisk disk, string directory)
{
    private readonly Dictionary<uint, GroupReplay> _groups = [];
    private byte[] _buffer = [];

    /// <summary>The segments read, oldest first.</summary>
    public List<Segment> Segments { get; } = [];

    /// <summary>The last segment, as far as it was sound; null where there is none.</summary>
    public SegmentReader? Tail { get; private set; }

    /// <summary>The decision about the end of the last segment.</summary>
    public RecoveryCase? TailCase { get; private set; }

    public IReadOnlyDictionary<uint, GroupReplay> Groups => _groups;

    /// <summary>Called with each record that was read, before it takes effect; for inspection.</summary>
    public Action<Segment, RecordType, uint, ulong>? OnRecord { get; init; }

    /// <summary>Sequence numbers of the segments in the directory, ascending.</summary>
    /// <exception cref="CorruptionException">A file with the suffix of a segment does not have the name of one.</exception>
    public static List<ulong> FindSegments(IDisk disk, string directory)
    {
        List<ulong> sequences = FindSegments(disk, directory, out List<string> misnamed);
        return misnamed.Count == 0 ? sequences : throw Misnamed(misnamed[0]);
    }

    /// <summary>Sequence numbers of the segments in the directory, ascending, whatever else lies there.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The log's directory; need not exist.</param>
    /// <param name="misnamed">Files with the suffix of a segment that do not have the name of one, with their paths.</param>
    public static List<ulong> FindSegments(IDisk disk, string directory, out List<string> misnamed)
    {
        var sequences = new List<ulong>();
        misnamed = [];
        foreach (string name in disk.DirectoryExists(directory) ? disk.ListFiles(directory) : [])
        {
            if (SegmentHeader.TryParseFileName(name, out ulong sequence))
            {
                sequences.Add(sequence);
            }
            else if (name.EndsWith(SegmentHeader.FileSuffix, StringComparison.Ordinal))
            {
                misnamed.Add(Path.Combine(directory, name));
            }
        }

        sequences.Sort();
        return sequences;
    }

    /// <summary>Somebody put it there, or it is what is left of something: nobody but the operator can know.</summary>
    public static CorruptionException Misnamed(string path) => new(path, 0, "not the name of a log segment");

    /// <summary>Reads all segments of <paramref name="sequences"/>; <paramref name="identity"/> null takes any owner.</summary>
    public void Run(IReadOnlyList<ulong> sequences, WalIdentity? identity)
    {
        for (int i = 1; i < sequences.Count; i++)
        {
            if (sequences[i] != sequences[i - 1] + 1)
            {
                throw new CorruptionException(PathOf(sequences[i - 1] + 1), 0, $"segment {sequences[i - 1] + 1} is missing: the log goes from {sequences[i - 1]} to {sequences[i]}");
            }
        }

        (SegmentHeader Header, uint Seed)[] headers = [.. sequences.Select(sequence => ReadHeader(sequence, identity))];
        for (int i = 0; i < sequences.Count; i++)
        {
            ReadSegment(headers[i].Header, headers[i].Seed, i + 1 < sequences.Count ? headers[i + 1].Header : null);
            if (Tail is not null)
            {
                break;
            }
        }
    }

    /// <summary>
    /// Reads the segments in order up to the first damage, and returns it; null where there is none. What was read before it counts: it was
    /// written by this member, in this order, whatever stood behind.
    /// </summary>
    public CorruptionException? RunToDamage(IReadOnlyList<ulong> sequences, WalIdentity identity)
    {
        try
        {
            for (int i = 0; i < sequences.Count && Tail is null; i++)
            {
                if (i > 0 && sequences[i] != sequences[i - 1] + 1)
                {
                    throw new CorruptionException(PathOf(sequences[i - 1] + 1), 0, $"segment {sequences[i - 1] + 1} is missing");
                }

                (SegmentHeader header, uint seed) = ReadHeader(sequences[i], identity);
                ReadSegment(header, seed, i + 1 < sequences.Count ? TryReadHeader(sequences[i + 1], identity) : null);
            }

            return null;
        }
        catch (CorruptionException damage)
        {
            return damage;
        }
    }

    /// <summary>The recovered groups, by group id.</summary>
    public List<RecoveredGroup> Finish()
        => [.. _groups.Values.OrderBy(group => group.Log.GroupId).Select(group => group.Finish(Segments[0].Path))];

    private string PathOf(ulong sequence) => Path.Combine(directory, SegmentHeader.FileName(sequence));

    private (SegmentHeader Header, uint Seed) ReadHeader(ulong sequence, WalIdentity? identity)
    {
        string path = PathOf(sequence);
        using IDiskFile file = disk.Open(path, readOnly: true);
        Span<byte> bytes = stackalloc byte[SegmentHeader.Bytes];
        int read = file.Read(bytes, 0);
        SegmentHeader header = SegmentHeader.Decode(path, bytes[..read], sequence, file.Length, out uint seed);
        if (identity is { } expected && header.Identity != expected)
        {
            throw new WalIdentityException(path, header.Identity, expected);
        }

        return (header, seed);
    }

    private SegmentHeader? TryReadHeader(ulong sequence, WalIdentity identity)
    {
        try
        {
            return ReadHeader(sequence, identity).Header;
        }
        catch (CorruptionException)
        {
            return null; // Named when it is its turn to be read.
        }
    }

    private void ReadSegment(SegmentHeader header, uint seed, SegmentHeader? next)
    {
        var segment = new Segment(header.Sequence, PathOf(header.Sequence), header.SegmentBytes);
        var reader = new SegmentReader(segment.Path, Load(segment), header, seed);
        Segments.Add(segment);
        bool isFirstBatch = true;
        while (reader.TryNext(out BatchRecords records))
        {
            while (records.MoveNext())
            {
                Apply(segment, records.Current, isFirstBatch);
            }

            isFirstBatch = false;
        }

        RecoveryFacts facts = reader.Assess(next);
        RecoveryCase row = WithKnownBug(RecoveryCases.Decide(facts));
        if (row.Action == RecoveryAction.Refuse)
        {
            throw new CorruptionException(segment.Path, reader.Offset, $"{row.Meaning} (case {row.Letter})");
        }

        if (row.Action != RecoveryAction.NextSegment)
        {
            Tail = reader;
            TailCase = row;
        }
    }

    private static RecoveryCase WithKnownBug(RecoveryCase row)
    {
        if (KnownBugs.ReplayContinuesAfterDamage && row.Letter == 'B')
        {
            return row with { Action = RecoveryAction.NextSegment };
        }

        if (KnownBugs.DamageTakenForEndOfLog && row.Letter is 'B' or 'E' or 'F')
        {
            return row with { Action = RecoveryAction.Cut };
        }

        return row;
    }

    private Memory<byte> Load(Segment segment)
    {
        using IDiskFile file = disk.Open(segment.Path, readOnly: true);
        int length = checked((int)segment.Bytes);
        if (_buffer.Length < length)
        {
            _buffer = GC.AllocateUninitializedArray<byte>(length);
        }

        int read = file.Read(_buffer.AsSpan(0, length), 0);
        if (read != length)
        {
            throw new CorruptionException(segment.Path, read, $"the file ends after {read} of {length} bytes");
        }

        return _buffer.AsMemory(0, length);
    }

    private void Apply(Segment segment, in RecordView record, bool isFirstBatch)
    {
        bool isNew = !_groups.TryGetValue(record.GroupId, out GroupReplay? group);
        group ??= _groups[record.GroupId] = new GroupReplay(record.GroupId);
        ulong index = record.Type is RecordType.Entry or RecordType.Truncate or RecordType.Mark && record.Body.Length >= sizeof(ulong) ? record.BodyUInt64(0) : 0;
        OnRecord?.Invoke(segment, record.Type, record.GroupId, index);
        if (record.Type == RecordType.GroupState)
        {
            if (!isFirstBatch || record.Body.Length != RecordFormat.GroupStateBytes - RecordFormat.HeaderBytes)
            {
                throw new CorruptionException(segment.Path, record.Offset, "a group's state in the wrong place or of the wrong length");
            }

            group.Restate(record, segment.Path, isNew);
            return;
        }

        group.Apply(record, segment.Path, out ulong? dropped);
        if (dropped is { } from)
        {
            Segment.Drop(Segments, record.GroupId, from);
        }

        if (record.Type == RecordType.Entry)
        {
            segment.Holds(record.GroupId, group.Log.LastIndex);
        }
    }
}

/// <summary>A segment file of the log and, for each group, the newest entry in it that still counts.</summary>
internal sealed class Segment(ulong sequence, string path, long bytes)
{
    private readonly Dictionary<uint, ulong> _lastIndexes = [];

    public ulong Sequence { get; } = sequence;

    public string Path { get; } = path;

    /// <summary>Length of the file.</summary>
    public long Bytes { get; } = bytes;

    public void Holds(uint groupId, ulong index) => _lastIndexes[groupId] = index;

    /// <summary>The group's entries from <paramref name="fromIndex"/> on are void in all the segments (0: all entries).</summary>
    public static void Drop(List<Segment> segments, uint groupId, ulong fromIndex)
    {
        foreach (Segment segment in segments)
        {
            if (segment._lastIndexes.TryGetValue(groupId, out ulong last) && last >= fromIndex)
            {
                segment._lastIndexes[groupId] = fromIndex == 0 ? 0 : fromIndex - 1;
            }
        }
    }

    /// <summary>A group that has entries here behind its mark; null where nobody needs the segment.</summary>
    public uint? NeededBy(Func<uint, ulong> markOf)
    {
        foreach ((uint groupId, ulong last) in _lastIndexes)
        {
            if (last > markOf(groupId))
            {
                return groupId;
            }

            if (KnownBugs.SegmentsReleasedForOneGroup)
            {
                break;
            }
        }

        return null;
    }
}
