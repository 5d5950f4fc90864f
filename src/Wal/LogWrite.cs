namespace MetaStore.Wal;

/// <summary>One log entry as the log stores it. What <see cref="Kind"/> and <see cref="Data"/> mean is the caller's business.</summary>
public readonly record struct LogEntry(ulong Index, ulong Term, byte Kind, ReadOnlyMemory<byte> Data);

/// <summary>What a voter must never forget: its term, its vote in it (0: none), and how far it knew the log to be committed.</summary>
public readonly record struct LogHardState(ulong Term, ulong Vote, ulong Commit);

/// <summary>
/// A snapshot of everything up to <see cref="Index"/> exists. Entries up to it are no longer needed; where the log does not
/// hold an entry of <see cref="Term"/> at <see cref="Index"/>, the whole log is void and begins anew behind it.
/// </summary>
public readonly record struct LogSnapshotMark(ulong Index, ulong Term);

/// <summary>
/// What one group asks to be durable in one step. The parts take effect in the order mark, entries, hard state.
/// Entries are contiguous; one at or before the end of the log cuts the log there first.
/// </summary>
public sealed class LogWrite
{
    /// <summary>The Raft group; groups of a node share the log.</summary>
    public required uint GroupId { get; init; }

    /// <summary>Rises by one with each write of the group; comes back with the acknowledgement.</summary>
    public required ulong WriteId { get; init; }

    /// <summary>A new snapshot mark, or null.</summary>
    public LogSnapshotMark? Mark { get; init; }

    /// <summary>Entries to append.</summary>
    public IReadOnlyList<LogEntry> Entries { get; init; } = [];

    /// <summary>A new hard state, or null where it has not changed.</summary>
    public LogHardState? HardState { get; init; }

    /// <summary>The member has caught up with its peers, by writes before this one: it is no recovering one any more.</summary>
    public bool EndsRecovery { get; init; }
}

/// <summary>Hears from the log writer, on the log writer's thread. Implementations hand the news to their own loop and return.</summary>
public interface ILogWriteObserver
{
    /// <summary>The write, and every write of its group before it, is on stable storage.</summary>
    void OnDurable(LogWrite write);

    /// <summary>The log is poisoned: nothing that was not acknowledged before will ever be. Called once.</summary>
    void OnFailed(Exception cause);
}

/// <summary>What the log held of one group when it was opened.</summary>
public sealed class RecoveredGroup
{
    /// <summary>The group.</summary>
    public required uint GroupId { get; init; }

    /// <summary>The newest snapshot mark; index 0 where there was none.</summary>
    public required LogSnapshotMark Mark { get; init; }

    /// <summary>The newest hard state; all zero where there was none.</summary>
    public required LogHardState HardState { get; init; }

    /// <summary>The entries behind the mark, contiguous, in order.</summary>
    public required IReadOnlyList<LogEntry> Entries { get; init; }
}
