namespace MetaStore.Server;

/// <summary>How the program ends. Scripts and supervisors read these: never renumber.</summary>
internal static class ExitCode
{
    /// <summary>All went well; for the server: it was asked to stop, and did.</summary>
    public const int Success = 0;

    /// <summary>A client command was refused, or got no answer; a data directory that was inspected is damaged.</summary>
    public const int Failed = 1;

    /// <summary>A flag, an argument or the configuration is wrong; a directory to inspect cannot be read.</summary>
    public const int Usage = 2;

    /// <summary>The data directory belongs to another cluster or node, or is of another version.</summary>
    public const int ForeignData = 3;

    /// <summary>The data directory is damaged.</summary>
    public const int DamagedData = 4;

    /// <summary>The data directory cannot be used: no right, no space, in use, missing.</summary>
    public const int UnusableData = 5;

    /// <summary>An address cannot be listened on.</summary>
    public const int UnusableAddress = 6;

    /// <summary>The node served and then failed for good: its storage, or a broken invariant.</summary>
    public const int NodeFailed = 7;

    /// <summary>The member was removed from the cluster, or came back without the data it had.</summary>
    public const int MemberRefused = 8;

    /// <summary>A mistake in this program.</summary>
    public const int Internal = 70;
}

/// <summary>An operating error: said in a line or two, without a stack trace, and told to the caller by the exit code.</summary>
internal sealed class RefusalException(int exitCode, string message, Exception? inner = null) : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;
}
