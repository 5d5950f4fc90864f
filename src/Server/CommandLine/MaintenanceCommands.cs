using System.CommandLine;
using System.Reflection;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>alarm, defrag and version: what scripts that run etcdctl ask for, and of which there is little here.</summary>
internal static class MaintenanceCommands
{
    /// <summary>The API that the server has: etcd's of this version.</summary>
    private const string ApiVersion = "3.6";

    public static Command Alarm(ClientFlags flags) => new("alarm", "alarms of the members. This version raises none")
    {
        NoAlarms(flags, "list", "list them: there are none"),
        NoAlarms(flags, "disarm", "end them: there are none"),
    };

    public static Command Defragment(ClientFlags flags)
    {
        Option<bool> cluster = Flags.Switch("--cluster", "all members, at their client addresses");
        var command = new Command("defrag", "give back space that is not used: this store does so by itself, so nothing is done") { cluster };
        flags.AddTo(command, withFormat: false);
        command.SetAction((result, cancel) => DefragmentAsync(flags, result, result.GetValue(cluster), cancel));
        return command;
    }

    public static Command Version(ProgramIo io)
    {
        var command = new Command("version", "the version of this program, and of etcd's API that its server has");
        command.SetAction(async (_, cancel) =>
        {
            string version = typeof(MaintenanceCommands).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";
            var text = new ByteText();
            text.Line($"metastore version: {version}");
            text.Line($"API version: {ApiVersion}");
            await io.Output.WriteAsync(text.Bytes, cancel);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Asks a node all the same: a cluster that does not answer is not one without alarms.</summary>
    private static Command NoAlarms(ClientFlags flags, string name, string description)
    {
        var command = new Command(name, description);
        flags.AddTo(command);
        command.SetAction(async (result, cancel) =>
        {
            await using MetaStoreClient client = flags.Connect(result);
            await client.PingAsync(cancel);
            if (flags.Format(result) == OutputFormat.Json)
            {
                await flags.Io.Output.WriteAsync("{}\n"u8.ToArray(), cancel);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static async Task<int> DefragmentAsync(ClientFlags flags, ParseResult result, bool ofCluster, CancellationToken cancel)
    {
        int exitCode = ExitCode.Success;
        foreach (string endpoint in await EndpointCommands.EndpointsAsync(flags, result, ofCluster, cancel))
        {
            await using MetaStoreClient client = flags.Connect(result, [endpoint]);
            try
            {
                await client.PingAsync(cancel);
                var text = new ByteText();
                text.Line($"Finished defragmenting etcd member[{endpoint}]: there is nothing to do, space is given back as it becomes free");
                await flags.Io.Output.WriteAsync(text.Bytes, cancel);
            }
            catch (MetaStoreException e)
            {
                await flags.Io.Error.WriteLineAsync($"Failed to defragment etcd member[{endpoint}] ({e.Message})");
                exitCode = ExitCode.Failed;
            }
        }

        return exitCode;
    }
}
