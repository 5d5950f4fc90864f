using System.CommandLine;
using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>endpoint health, status and hashkv: as etcdctl's, to the words and columns that scripts read. "status" and "hash" say more.</summary>
internal static class EndpointCommands
{
    public static Command Endpoint(ClientFlags flags)
    {
        Option<bool> cluster = Flags.Switch("--cluster", "ask the client addresses of all members, as the endpoints name them");
        cluster.Recursive = true;
        return new Command("endpoint", "each of the endpoints by itself") { Health(flags, cluster), Status(flags, cluster), HashKeys(flags, cluster), cluster };
    }

    private static Command Health(ClientFlags flags, Option<bool> cluster)
    {
        var command = new Command("health", "whether each endpoint answers a read that a majority stands behind. Exit code: 0 all do, 1 one does not");
        flags.AddTo(command);
        command.SetAction((result, cancel) => HealthAsync(flags, result, result.GetValue(cluster), cancel));
        return command;
    }

    private static Command Status(ClientFlags flags, Option<bool> cluster)
    {
        var command = new Command("status", "endpoint, id, version, size on disk, whether it leads, whether it is a learner, term, index, applied index, errors, of each");
        flags.AddTo(command);
        command.SetAction((result, cancel) => AskAsync(
            flags,
            result,
            result.GetValue(cluster),
            "get the status of",
            async client => await client.StatusAsync(cancel),
            (printer, answers) => printer.EndpointStatus(answers),
            cancel));
        return command;
    }

    private static Command HashKeys(ClientFlags flags, Option<bool> cluster)
    {
        Option<long> revision = Flags.Number("--rev", "as of this revision; 0 for the newest each has", 0, 0, long.MaxValue);
        var command = new Command("hashkv", "a hash over all keys and their history, of each: equal at equal revisions (and equal compactions)") { revision };
        flags.AddTo(command);
        command.SetAction((result, cancel) => AskAsync(
            flags,
            result,
            result.GetValue(cluster),
            "get the hash of",
            async client => await client.HashAsync(new HashRequest(new Revision(result.GetValue(revision))), cancel),
            (printer, answers) => printer.EndpointHash(answers),
            cancel));
        return command;
    }

    /// <summary>The endpoints to ask: those that were given, or all that the members tell of.</summary>
    internal static async Task<IReadOnlyList<string>> EndpointsAsync(ClientFlags flags, ParseResult result, bool ofCluster, CancellationToken cancel)
    {
        if (!ofCluster)
        {
            return flags.Endpoints(result);
        }

        await using MetaStoreClient client = flags.Connect(result);
        MembersResponse members = await client.MembersAsync(linearizable: true, cancel);
        return [.. members.Members.SelectMany(member => member.ClientUrls)];
    }

    private static async Task<int> HealthAsync(ClientFlags flags, ParseResult result, bool ofCluster, CancellationToken cancel)
    {
        IReadOnlyList<string> endpoints = await EndpointsAsync(flags, result, ofCluster, cancel);
        EndpointHealth[] answers = await Task.WhenAll(endpoints.Select(endpoint => HealthOfAsync(flags, result, endpoint, cancel)));
        IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
        printer.EndpointHealth(answers);
        await WriteAsync(flags, printer);
        EndpointHealth[] unhealthy = [.. answers.Where(answer => answer.Error is not null)];
        if (unhealthy.Length == 0)
        {
            return ExitCode.Success;
        }

        if (flags.Format(result) == OutputFormat.Simple)
        {
            foreach (EndpointHealth health in unhealthy)
            {
                await flags.Io.Error.WriteLineAsync($"{health.Endpoint} is unhealthy: failed to commit proposal: {health.Error}");
            }
        }

        throw new RefusalException(ExitCode.Failed, "unhealthy cluster");
    }

    /// <summary>As etcdctl does: any key will do, for a linearizable read needs a majority.</summary>
    private static async Task<EndpointHealth> HealthOfAsync(ClientFlags flags, ParseResult result, string endpoint, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        string? error = null;
        await using MetaStoreClient client = flags.Connect(result, [endpoint]);
        try
        {
            await client.RangeAsync(new RangeRequest { Key = "health"u8.ToArray() }, cancel);
        }
        catch (MetaStoreException e)
        {
            error = e.Message;
        }

        return new EndpointHealth(endpoint, Stopwatch.GetElapsedTime(start), error);
    }

    private static async Task<int> AskAsync<T>(
        ClientFlags flags,
        ParseResult result,
        bool ofCluster,
        string what,
        Func<MetaStoreClient, Task<T>> ask,
        Action<IAnswerPrinter, IReadOnlyList<EndpointAnswer<T>>> print,
        CancellationToken cancel)
    {
        var answers = new List<EndpointAnswer<T>>();
        int exitCode = ExitCode.Success;
        foreach (string endpoint in await EndpointsAsync(flags, result, ofCluster, cancel))
        {
            await using MetaStoreClient client = flags.Connect(result, [endpoint]);
            try
            {
                answers.Add(new EndpointAnswer<T>(endpoint, await ask(client)));
            }
            catch (MetaStoreException e)
            {
                await flags.Io.Error.WriteLineAsync($"Failed to {what} endpoint {endpoint} ({e.Message})");
                exitCode = ExitCode.Failed;
            }
        }

        IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
        print(printer, answers);
        await WriteAsync(flags, printer);
        return exitCode;
    }

    private static async Task WriteAsync(ClientFlags flags, IAnswerPrinter printer)
    {
        await flags.Io.Output.WriteAsync(printer.Finish());
        await flags.Io.Output.FlushAsync();
    }
}
