namespace MetaStore.Testing;

/// <summary>What becomes of unsynced sectors and names in a crash.</summary>
public enum CrashPolicy
{
    /// <summary>All of them are lost.</summary>
    LoseAll,

    /// <summary>All of them are kept, as if synced.</summary>
    KeepAll,

    /// <summary>Those that were first written first, up to a random point, are kept.</summary>
    KeepPrefix,

    /// <summary>Each is kept or lost on its own: writes are torn between sectors, names reordered.</summary>
    KeepRandom,

    /// <summary>Only the program dies: everything stays in the cache, as unsynced as before.</summary>
    ProcessKill,
}

/// <summary>The kinds of operation that can fail.</summary>
[Flags]
public enum DiskOperation
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Creating a file.</summary>
    Create = 1,

    /// <summary>Writing.</summary>
    Write = 2,

    /// <summary>Changing a length.</summary>
    SetLength = 4,

    /// <summary>Syncing a file.</summary>
    Sync = 8,

    /// <summary>Renaming.</summary>
    Rename = 16,

    /// <summary>Removing.</summary>
    Delete = 32,

    /// <summary>Syncing a directory.</summary>
    SyncDirectory = 64,

    /// <summary>All of them.</summary>
    Any = 127,
}

/// <summary>What a <see cref="FaultyDisk"/> does wrong. The default does nothing wrong.</summary>
public sealed record DiskFaults
{
    /// <summary>EIO.</summary>
    public const int IoError = 5;

    /// <summary>ENOSPC.</summary>
    public const int NoSpace = 28;

    /// <summary>Probability that a read fails with EIO, 0 to 1.</summary>
    public double ReadErrorProbability { get; init; }

    /// <summary>Probability that an operation of <see cref="FailingOperations"/> fails with EIO, 0 to 1.</summary>
    public double ErrorProbability { get; init; }

    /// <summary>Probability that a create, write or length change fails with ENOSPC, 0 to 1.</summary>
    public double NoSpaceProbability { get; init; }

    /// <summary>Number of the operation that fails (see <see cref="FaultyDisk.Operations"/>); 0: none.</summary>
    public long FailAtOperation { get; init; }

    /// <summary>Error number for <see cref="FailAtOperation"/>.</summary>
    public int FailAtOperationError { get; init; } = IoError;

    /// <summary>Which operations <see cref="ErrorProbability"/> is about.</summary>
    public DiskOperation FailingOperations { get; init; } = DiskOperation.Any;

    /// <summary>Number of the operation at which the power is cut, before it has its effect; 0: none.</summary>
    public long PowerOffAtOperation { get; init; }

    /// <summary>Whether a write at which the power is cut is half done.</summary>
    public bool CrashLeavesPartialWrite { get; init; }

    internal int? ErrorFor(DiskOperation kind, long operation, Random random)
    {
        if (operation == FailAtOperation)
        {
            return FailAtOperationError;
        }

        if (ErrorProbability > 0 && (FailingOperations & kind) != DiskOperation.None && random.NextDouble() < ErrorProbability)
        {
            return IoError;
        }

        const DiskOperation takesSpace = DiskOperation.Create | DiskOperation.Write | DiskOperation.SetLength;
        return NoSpaceProbability > 0 && (takesSpace & kind) != DiskOperation.None && random.NextDouble() < NoSpaceProbability ? NoSpace : null;
    }
}

/// <summary>The power went out: the program ends here. Not an I/O error, so that no error handling takes it for one.</summary>
public sealed class SimulatedCrashException(string message) : Exception(message);
