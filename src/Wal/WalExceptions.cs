namespace MetaStore.Wal;

/// <summary>The data directory belongs to another cluster or node. Starting on it could break promises this node made elsewhere.</summary>
public sealed class WalIdentityException : Exception
{
    /// <summary>Names the file, whose it is and who wanted it.</summary>
    public WalIdentityException(string file, WalIdentity found, WalIdentity expected)
        : base($"{file}: data directory of another {(found.ClusterId != expected.ClusterId ? "cluster" : "node")}: it is of {found}, this is {expected}")
    {
        File = file;
        Found = found;
        Expected = expected;
    }

    /// <summary>The file that told.</summary>
    public string File { get; }

    /// <summary>The owner named in the file.</summary>
    public WalIdentity Found { get; }

    /// <summary>The owner that opens it.</summary>
    public WalIdentity Expected { get; }
}

/// <summary>The file is sound but of a format version that this program does not know.</summary>
public sealed class WalVersionException(string file, uint found, uint known)
    : Exception($"{file}: written in format version {found}; this program knows version {known}")
{
    /// <summary>The file.</summary>
    public string File { get; } = file;

    /// <summary>The version found in it.</summary>
    public uint Found { get; } = found;

    /// <summary>The version this program writes and reads.</summary>
    public uint Known { get; } = known;
}

/// <summary>
/// The log failed before and takes nothing any more. What an operating system keeps of a failed write or sync is unknown,
/// so trying again could acknowledge what is not there: the node must stop. The inner exception is the first failure.
/// </summary>
public sealed class WalPoisonedException(Exception cause)
    : Exception($"the log takes no more writes since: {cause.Message}", cause);
