using System.CommandLine;
using MetaStore.Server.Inspection;
using MetaStore.Wal;

namespace MetaStore.Server.CommandLine;

/// <summary>"metastore wal verify".</summary>
internal static class WalCommand
{
    public static Command Create(ProgramIo io)
    {
        var directory = new Argument<string>("DIR") { Description = "a data directory" };
        var verify = new Command(
            "verify", "read a whole data directory, change nothing, and say what is in it and whether it is sound. Exit code: 0 sound, 1 damaged, 2 not readable") { directory };
        verify.SetAction(async (result, cancel) =>
        {
            DirectoryReport report = DirectoryReport.Make(new NativeDisk(), result.GetValue(directory)!);
            await io.Output.WriteAsync(report.Text, cancel);
            return report.ExitCode;
        });
        return new Command("wal", "look at the log of a node") { verify };
    }
}
