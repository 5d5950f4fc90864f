using System.CommandLine;
using System.Diagnostics;
using MetaStore.Net;
using MetaStore.Server.Loading;
using MetaStore.Server.Output;
using Spectre.Console;

namespace MetaStore.Server.CommandLine;

/// <summary>"metastore load": many puts from a file.</summary>
internal static class LoadCommand
{
    public static Command Create(ClientFlags flags)
    {
        var file = new Argument<string>("FILE") { Description = "the file; - or none for standard input", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => "-" };
        Option<long> concurrency = Flags.Number("--concurrency", "puts in flight", 256, 1, 8192);
        DefaultedOption<TimeSpan> patience = Flags.Time("--retry-time", "how long one put is tried again while no node takes it", TimeSpan.FromMinutes(1));
        var command = new Command(
            "load",
            @"store the lines of a file: key, tab, value, with \n, \t and \\ in the value for line feed, tab and backslash. The last line of a key wins. A put "
            + "whose answer was lost is sent again, which is safe as long as nobody else writes these keys meanwhile") { file, concurrency, patience };
        flags.AddTo(command, withFormat: false);
        command.SetAction(async (result, cancel) =>
        {
            string path = result.GetValue(file)!;
            await using Stream input = path == "-" ? flags.Io.Input : Open(path);
            await using MetaStoreClient client = flags.Connect(result);
            var counters = new LoadCounters();
            var loader = new BulkLoader(client, (int)result.GetValue(concurrency), patience.Read(result), TimeProvider.System, counters);
            long start = Stopwatch.GetTimestamp();
            try
            {
                Task load = loader.RunAsync(LoadLineReader.ReadAsync(input, counters.AddInput, cancel), cancel);
                await LoadProgress.ShowAsync(load, counters, path == "-" ? null : input.Length, Terminal());
            }
            catch (RefusalException e)
            {
                throw new RefusalException(e.ExitCode, $"{(path == "-" ? "standard input" : path)}, {e.Message.TrimEnd('.')}. {counters.Stored} records were stored.", e);
            }

            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            var text = new ByteText();
            text.Line(
                $"{counters.Stored} records, {NodeRows.Size(counters.StoredBytes)}, in {seconds:0.00} s: {counters.Stored / seconds:0} puts/s"
                + (counters.Repeated > 0 ? $", {counters.Repeated} sent again" : string.Empty));
            await flags.Io.Output.WriteAsync(text.Bytes, cancel);
            return ExitCode.Success;
        });
        return command;
    }

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.Asynchronous | FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException(ExitCode.Usage, $"cannot read {path}: {e.Message}", e);
        }
    }

    private static IAnsiConsole? Terminal() =>
        Console.IsErrorRedirected ? null : AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
}
