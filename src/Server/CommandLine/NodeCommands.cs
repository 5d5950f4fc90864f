using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>status and hash: asked of each endpoint by itself.</summary>
internal static class NodeCommands
{
    public static Command Status(ClientFlags flags)
    {
        var command = new Command("status", "how each of the endpoints sees itself and its cluster");
        flags.AddTo(command);
        command.SetAction((result, cancel) => AskEachAsync(
            flags, result, async client => await client.StatusAsync(cancel), (printer, answers) => printer.Status(answers)));
        return command;
    }

    public static Command Hash(ClientFlags flags)
    {
        Option<long> revision = Flags.Number("--rev", "as of this revision; 0 for the newest each has", 0, 0, long.MaxValue);
        var command = new Command("hash", "a hash over all keys and their history, of each of the endpoints: equal at equal revisions (and equal compactions)") { revision };
        flags.AddTo(command);
        command.SetAction((result, cancel) => AskEachAsync(
            flags,
            result,
            async client => await client.HashAsync(new HashRequest(new Revision(result.GetValue(revision))), cancel),
            (printer, answers) => printer.Hash(answers)));
        return command;
    }

    private static async Task<int> AskEachAsync<T>(
        ClientFlags flags, ParseResult result, Func<MetaStoreClient, Task<T>> ask, Action<IAnswerPrinter, IReadOnlyList<EndpointAnswer<T>>> print)
    {
        var answers = new List<EndpointAnswer<T>>();
        int exitCode = ExitCode.Success;
        foreach (string endpoint in flags.Endpoints(result))
        {
            await using MetaStoreClient client = flags.Connect(result, [endpoint]);
            try
            {
                answers.Add(new EndpointAnswer<T>(endpoint, await ask(client)));
            }
            catch (MetaStoreException e)
            {
                await flags.Io.Error.WriteLineAsync($"metastore: {endpoint}: {e.Message}");
                exitCode = ExitCode.Failed;
            }
        }

        IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
        print(printer, answers);
        await flags.Io.Output.WriteAsync(printer.Finish());
        await flags.Io.Output.FlushAsync();
        return exitCode;
    }
}
