namespace MetaStore.Wal;

/// <summary>
/// Rebuilds one group from its records, strictly: entries follow each other without a hole, nothing is cut at or below a mark,
/// and each segment's restatement agrees with what was read before it. Anything else is corruption.
/// </summary>
internal sealed class GroupReplay(uint groupId)
{
    private readonly List<LogEntry> _entries = [];
    private readonly EntryData _data = new();

    public GroupLog Log { get; } = new(groupId);

    /// <summary>The entries behind the mark, as far as they were read; those before <see cref="GroupLog.BaseIndex"/> were in older segments.</summary>
    public IReadOnlyList<LogEntry> Entries => _entries;

    public void Restate(in RecordView record, string file, bool isNew)
    {
        var mark = new LogSnapshotMark(record.BodyUInt64(0), record.BodyUInt64(1));
        var hardState = new LogHardState(record.BodyUInt64(2), record.BodyUInt64(3), record.BodyUInt64(4));
        ulong lastIndex = record.BodyUInt64(5);
        ulong lastTerm = record.BodyUInt64(6);
        if (isNew)
        {
            Log.Restate(mark, hardState, lastIndex, lastTerm);
            return;
        }

        bool agrees = Log.Mark == mark && Log.HardState == hardState && Log.LastIndex == lastIndex
            && (Log.TermAt(lastIndex) ?? lastTerm) == lastTerm;
        if (KnownBugs.ReplayContinuesAfterDamage && !agrees)
        {
            Log.Restate(mark, hardState, lastIndex, lastTerm);
            return;
        }

        Require(agrees ? null : $"group {Log.GroupId}: restated as {mark}, {hardState}, last {lastIndex}/{lastTerm}, but the segments before say {Log.Mark}, {Log.HardState}, last {Log.LastIndex}/{Log.LastTerm}", record, file);
    }

    /// <summary>Takes one record; <paramref name="dropped"/> becomes the first index that it made void, or 0 for all, or null for none.</summary>
    public void Apply(in RecordView record, string file, out ulong? dropped)
    {
        dropped = null;
        switch (record.Type)
        {
            case RecordType.Entry:
                RequireBody(record, record.Body.Length >= 16, file);
                ApplyEntry(record, file);
                break;
            case RecordType.Truncate:
                RequireBody(record, record.Body.Length == 8, file);
                ulong from = record.BodyUInt64(0);
                Require(Log.TruncateComplaint(from), record, file);
                Log.Truncate(from);
                DropEntriesFrom(from);
                dropped = from;
                break;
            case RecordType.HardState:
                RequireBody(record, record.Body.Length == 24, file);
                Log.HardState = new LogHardState(record.BodyUInt64(0), record.BodyUInt64(1), record.BodyUInt64(2));
                break;
            case RecordType.Mark:
                RequireBody(record, record.Body.Length == 16 && record.Kind <= RecordFormat.MarkVoidsLog, file);
                ApplyMark(record, file, out dropped);
                break;
            default:
                throw new CorruptionException(file, record.Offset, $"record type {(byte)record.Type} in this place");
        }
    }

    /// <summary>What stands at the end; <paramref name="file"/> is the oldest segment, where entries would be missing.</summary>
    public RecoveredGroup Finish(string file)
    {
        if (!KnownBugs.ReplayContinuesAfterDamage && Log.BaseIndex > Log.Mark.Index)
        {
            throw new CorruptionException(file, 0, $"group {Log.GroupId}: entries {Log.Mark.Index + 1} to {Log.BaseIndex} were in an older segment, which is missing");
        }

        return new RecoveredGroup { GroupId = Log.GroupId, Mark = Log.Mark, HardState = Log.HardState, Entries = _entries };
    }

    private void ApplyEntry(in RecordView record, string file)
    {
        ulong index = record.BodyUInt64(0);
        ulong term = record.BodyUInt64(1);
        if (!KnownBugs.ReplayContinuesAfterDamage)
        {
            Require(Log.AppendComplaint(index), record, file);
        }

        Log.Append(index, term);
        _entries.Add(new LogEntry(index, term, record.Kind, _data.Copy(record.Body[16..])));
    }

    private void ApplyMark(in RecordView record, string file, out ulong? dropped)
    {
        var mark = new LogSnapshotMark(record.BodyUInt64(0), record.BodyUInt64(1));
        bool voids = record.Kind == RecordFormat.MarkVoidsLog;
        Require(Log.MarkComplaint(mark), record, file);
        bool holdsIsUnknown = mark.Index <= Log.BaseIndex && Log.TermAt(mark.Index) is null;
        Require(
            holdsIsUnknown ? null : voids == Log.MarkVoidsLog(mark) ? null : $"group {Log.GroupId}: mark {mark} {(voids ? "voids" : "keeps")} a log that ends at {Log.LastIndex}/{Log.LastTerm}",
            record,
            file);
        Log.SetMark(mark, voids);
        if (voids)
        {
            _entries.Clear();
            dropped = 0;
            return;
        }

        dropped = null;
        int covered = 0;
        while (covered < _entries.Count && _entries[covered].Index <= mark.Index)
        {
            covered++;
        }

        _entries.RemoveRange(0, covered);
    }

    private void DropEntriesFrom(ulong index)
    {
        int keep = _entries.Count;
        while (keep > 0 && _entries[keep - 1].Index >= index)
        {
            keep--;
        }

        _entries.RemoveRange(keep, _entries.Count - keep);
    }

    private static void RequireBody(in RecordView record, bool fits, string file)
        => Require(fits ? null : $"a body of {record.Body.Length} bytes in a record of type {record.Type}", record, file);

    private static void Require(string? complaint, in RecordView record, string file)
    {
        if (complaint is not null)
        {
            throw new CorruptionException(file, record.Offset, complaint);
        }
    }
}
