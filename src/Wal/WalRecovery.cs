namespace MetaStore.Wal;

/// <summary>What opening a log brought back.</summary>
public sealed class WalRecovery
{
    /// <summary>Every group the log knows of, by group id.</summary>
    public required IReadOnlyList<RecoveredGroup> Groups { get; init; }

    /// <summary>Whether there was no log, and an empty one was made. Beside snapshot files this means that the log was lost.</summary>
    public required bool Created { get; init; }

    /// <summary>The torn end that was cut, or null. A torn write was never acknowledged; what else can look like one is in docs/FORMAT.md, "Limits".</summary>
    public WalCut? Cut { get; init; }

    /// <summary>The cut in words, or null.</summary>
    public string? Note => Cut?.ToString();
}

/// <summary>A torn end of the log that was overwritten with zeros.</summary>
/// <param name="File">The segment.</param>
/// <param name="Offset">Where the log now ends, in bytes from the start of the file.</param>
/// <param name="Bytes">How many bytes were found there.</param>
public sealed record WalCut(string File, long Offset, long Bytes)
{
    /// <inheritdoc/>
    public override string ToString() => $"{File}: {Bytes} bytes of a torn batch cut at offset {Offset}. {RecoveryCases.CutMeaning}";
}
