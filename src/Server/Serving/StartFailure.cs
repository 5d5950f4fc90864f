using System.Net.Sockets;
using MetaStore.Engine.Hosting;
using MetaStore.Wal;

namespace MetaStore.Server.Serving;

/// <summary>Turns what can go wrong at a start into a refusal with a message and an exit code.</summary>
internal static class StartFailure
{
    public static bool IsOperatingError(Exception exception) => exception
        is RefusalException or WalIdentityException or WalVersionException or CorruptionException or DiskException or SocketException or ArgumentException;

    public static RefusalException ToRefusal(Exception exception, NodeSettings node) => ToRefusal(exception, node.DataDirectory);

    public static RefusalException ToRefusal(Exception exception, string dataDirectory) => exception switch
    {
        RefusalException refusal => refusal,
        WalIdentityException => new RefusalException(
            ExitCode.ForeignData,
            exception.Message + Environment.NewLine
            + "Ids follow from --name, --initial-cluster and --initial-cluster-token: start it with those it was made with, or choose another --data-dir.",
            exception),
        WalVersionException => new RefusalException(ExitCode.ForeignData, exception.Message, exception),
        CorruptionException => new RefusalException(
            ExitCode.DamagedData,
            exception.Message + Environment.NewLine
            + $"The node does not start on damaged data. \"metastore wal verify {dataDirectory}\" shows what is there; "
            + $"\"metastore repair --data-dir {dataDirectory}\" makes a member of a cluster ready to be mended by its peers.",
            exception),
        DiskException disk => new RefusalException(ExitCode.UnusableData, $"--data-dir {dataDirectory}: {Describe(disk)}", exception),
        SocketException => new RefusalException(ExitCode.UnusableAddress, exception.Message, exception),
        ArgumentException => new RefusalException(ExitCode.Usage, exception.Message, exception),
        _ => new RefusalException(ExitCode.Internal, exception.Message, exception),
    };

    /// <summary>With the system's error number, where it is one: some calls go through the runtime, which has numbers of its own.</summary>
    public static string Describe(DiskException exception) =>
        exception.ErrorNumber is > 0 and < 4096 ? exception.Message : $"{exception.Operation} {exception.FilePath}: {exception.Reason}";
}
