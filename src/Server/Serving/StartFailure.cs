using System.Net.Sockets;
using MetaStore.Engine.Hosting;
using MetaStore.Wal;

namespace MetaStore.Server.Serving;

/// <summary>Turns what can go wrong at a start into a refusal with a message and an exit code.</summary>
internal static class StartFailure
{
    public static bool IsOperatingError(Exception exception) => exception
        is RefusalException or WalIdentityException or WalVersionException or CorruptionException or DiskException or SocketException or ArgumentException;

    public static RefusalException ToRefusal(Exception exception, NodeSettings node) => exception switch
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
            + $"The node does not start on damaged data. \"metastore wal verify {node.DataDirectory}\" shows what is there; restore the directory from a copy.",
            exception),
        DiskException disk => new RefusalException(ExitCode.UnusableData, $"--data-dir {node.DataDirectory}: {Describe(disk)}", exception),
        SocketException => new RefusalException(ExitCode.UnusableAddress, exception.Message, exception),
        ArgumentException => new RefusalException(ExitCode.Usage, exception.Message, exception),
        _ => new RefusalException(ExitCode.Internal, exception.Message, exception),
    };

    /// <summary>
    /// Holds --initial-cluster-state against the directory. Members are fixed in this version, so "existing" cannot mean "join"; it means
    /// "this member has been here before": an empty directory is then a disk that is not mounted, or lost. A member that came
    /// back empty under its old id could vote against what it had acknowledged.
    /// </summary>
    public static void CheckState(ServeOptions options)
    {
        string wal = Path.Combine(options.Node.DataDirectory, "wal");
        bool isEmpty = !Directory.Exists(wal) || !Directory.EnumerateFiles(wal, "*.wal").Any();
        if (options.ClusterState == ClusterState.Existing && isEmpty)
        {
            throw new RefusalException(
                ExitCode.UnusableData,
                $"--initial-cluster-state is existing, but {options.Node.DataDirectory} holds no data of this node." + Environment.NewLine
                + "Members are fixed in this version, and one that has lost its data cannot come back under its old id. Mount or restore the directory; use \"new\" only for a node that has never run.");
        }
    }

    /// <summary>With the system's error number, where it is one: some calls go through the runtime, which has numbers of its own.</summary>
    private static string Describe(DiskException exception) =>
        exception.ErrorNumber is > 0 and < 4096 ? exception.Message : $"{exception.Operation} {exception.FilePath}: {exception.Reason}";
}
