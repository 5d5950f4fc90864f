using System.Runtime.InteropServices;

namespace MetaStore.Wal;

/// <summary>
/// What the log knows of one group, without the entries' data: the same class follows the writer and the replay, so that both
/// hold a record to the same rules. The <c>…Complaint</c> methods say what is wrong with a step, or null; the others take it.
/// Invariant: Mark.Index &lt;= LastIndex, BaseIndex &lt;= LastIndex. After recovery, BaseIndex &lt;= Mark.Index.
/// </summary>
internal sealed class GroupLog(uint groupId)
{
    // Ascending by first index; the terms of the entries in [first run, LastIndex]. Terms change rarely, so this stays short.
    private readonly List<TermRun> _runs = [];

    public uint GroupId { get; } = groupId;

    public LogSnapshotMark Mark { get; private set; }

    public LogHardState HardState { get; set; }

    /// <summary>Index of the newest entry, or of the mark where there is none behind it.</summary>
    public ulong LastIndex { get; private set; }

    /// <summary>Entries up to here are in segments that were released; only a mark at or behind it makes the log whole.</summary>
    public ulong BaseIndex { get; private set; }

    public ulong LastTerm => TermAt(LastIndex) ?? 0;

    /// <summary>Takes over what the first segment that is still there says of the group.</summary>
    public void Restate(LogSnapshotMark mark, LogHardState hardState, ulong lastIndex, ulong lastTerm)
    {
        Mark = mark;
        HardState = hardState;
        LastIndex = lastIndex;
        BaseIndex = lastIndex;
        _runs.Clear();
        if (lastIndex > 0)
        {
            _runs.Add(new TermRun(lastIndex, lastTerm));
        }
    }

    /// <summary>The term of the entry at the index; null where it is not known (released) or not there.</summary>
    public ulong? TermAt(ulong index)
    {
        if (index == Mark.Index)
        {
            return Mark.Term;
        }

        if (index > LastIndex)
        {
            return null;
        }

        for (int i = _runs.Count - 1; i >= 0; i--)
        {
            if (_runs[i].FirstIndex <= index)
            {
                return _runs[i].Term;
            }
        }

        return null;
    }

    public string? MarkComplaint(LogSnapshotMark mark)
        => mark.Index < Mark.Index || (mark.Index == Mark.Index && mark.Term != Mark.Term)
            ? $"group {GroupId}: snapshot mark {mark} behind or against {Mark}"
            : null;

    /// <summary>Whether the log does not hold the entry the mark names, and so begins anew behind it.</summary>
    public bool MarkVoidsLog(LogSnapshotMark mark) => TermAt(mark.Index) != mark.Term;

    public void SetMark(LogSnapshotMark mark, bool voidsLog)
    {
        if (voidsLog)
        {
            _runs.Clear();
            LastIndex = mark.Index;
            BaseIndex = mark.Index;
        }

        Mark = mark;
        int unneeded = 0;
        while (unneeded + 1 < _runs.Count && _runs[unneeded + 1].FirstIndex <= mark.Index)
        {
            unneeded++;
        }

        _runs.RemoveRange(0, unneeded);
        Invariant.Check(Mark.Index <= LastIndex, $"group {GroupId}: mark {Mark.Index} beyond the log's end {LastIndex}");
    }

    public string? TruncateComplaint(ulong fromIndex)
        => fromIndex <= Mark.Index || fromIndex > LastIndex
            ? $"group {GroupId}: truncation from {fromIndex} in a log of {Mark.Index + 1}..{LastIndex}"
            : null;

    public void Truncate(ulong fromIndex)
    {
        LastIndex = fromIndex - 1;
        BaseIndex = Math.Min(BaseIndex, LastIndex);
        while (_runs.Count > 0 && _runs[^1].FirstIndex >= fromIndex)
        {
            _runs.RemoveAt(_runs.Count - 1);
        }
    }

    public string? AppendComplaint(ulong index)
        => index != LastIndex + 1 ? $"group {GroupId}: entry {index} behind {LastIndex}" : null;

    public void Append(ulong index, ulong term)
    {
        LastIndex = index;
        if (_runs.Count == 0 || _runs[^1].Term != term)
        {
            _runs.Add(new TermRun(index, term));
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct TermRun(ulong FirstIndex, ulong Term);
}
