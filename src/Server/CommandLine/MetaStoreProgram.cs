using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Server.Etcd;

namespace MetaStore.Server.CommandLine;

/// <summary>The whole program: its commands, and how their errors are told.</summary>
internal static class MetaStoreProgram
{
    public static async Task<int> RunAsync(string[] arguments, ProgramIo io)
    {
        try
        {
            EtcdArguments given = EtcdArguments.Read(arguments, io);
            ParseResult parsed = MakeRoot(io, given.Notes).Parse(given.Arguments, new ParserConfiguration { ResponseFileTokenReplacer = null }); // "@x" is a value like others
            if (ParseErrorText.Describe(parsed, given.Arguments) is { } error)
            {
                await io.Error.WriteLineAsync(error);
                return ExitCode.Usage;
            }

            // The program handles signals and exceptions itself.
            var configuration = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration);
        }
        catch (RefusalException e)
        {
            await io.Error.WriteLineAsync($"metastore: {e.Message}");
            return e.ExitCode;
        }
        catch (MetaStoreException e)
        {
            string unknown = e.Outcome == Outcome.Unknown ? " (it may have been applied)" : string.Empty;
            await io.Error.WriteLineAsync($"metastore: {e.Message}{unknown}");
            return ExitCode.Failed;
        }
        catch (IOException e)
        {
            await io.Error.WriteLineAsync($"metastore: {e.Message}");
            return ExitCode.Failed;
        }
    }

    /// <summary>All commands.</summary>
    /// <param name="io">What they read and write.</param>
    /// <param name="notes">What a server says when it starts.</param>
    public static RootCommand MakeRoot(ProgramIo io, IReadOnlyList<string>? notes = null)
    {
        var flags = new ClientFlags(io);
        return new RootCommand("A replicated, strongly consistent metadata store.")
        {
            ServeCommand.Create(io, notes ?? []),
            KeyValueCommands.Put(flags),
            KeyValueCommands.Get(flags),
            KeyValueCommands.Delete(flags),
            KeyValueCommands.Txn(flags),
            KeyValueCommands.Compact(flags),
            LeaseCommands.Lease(flags),
            WatchCommand.Create(flags),
            NodeCommands.Status(flags),
            NodeCommands.Hash(flags),
            EndpointCommands.Endpoint(flags),
            LockCommand.Create(flags),
            ElectCommand.Create(flags),
            SnapshotCommands.Snapshot(flags),
            MirrorCommand.Create(flags),
            CheckCommands.Check(flags),
            MaintenanceCommands.Alarm(flags),
            MaintenanceCommands.Defragment(flags),
            MaintenanceCommands.Version(io),
            MemberCommands.Member(flags),
            MemberCommands.MoveLeader(flags),
            LoadCommand.Create(flags),
            WalCommand.Create(io),
            RepairCommand.Create(io),
        };
    }
}
