using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Client;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>watch: prints what happens to a key or a range, as it happens, until it is interrupted.</summary>
internal static class WatchCommand
{
    public static Command Create(ClientFlags flags)
    {
        var key = new Argument<string>("KEY") { Description = "the key, or the first of a range" };
        var end = new Argument<string?>("END") { Description = "the first key not included; may be left out", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> prefix = Flags.Switch("--prefix", "all keys that begin with KEY");
        Option<bool> fromKey = Flags.Switch("--from-key", "all keys from KEY on");
        Option<long> revision = Flags.Number("--rev", "from this revision on; 0 for what comes from now on", 0, 0, long.MaxValue);
        Option<bool> previous = Flags.Switch("--prev-kv", "print the previous state of each key as well");
        Option<bool> progress = Flags.Switch("--progress-notify", "print from time to time up to which revision everything was printed");
        Option<bool> noPut = Flags.Switch("--no-put", "leave out puts");
        Option<bool> noDelete = Flags.Switch("--no-delete", "leave out removals");
        Option<long> most = Flags.Number("--max-events", "end after so many events; 0 for never", 0, 0, long.MaxValue);
        var command = new Command(
            "watch",
            "print what happens to a key, or to a range of keys: each change once, in order, from another node where one fails. Ends with an error where history that it needs was compacted")
        {
            key, end, prefix, fromKey, revision, previous, progress, noPut, noDelete, most,
        };
        flags.AddTo(command);
        command.SetAction(async (result, cancel) =>
        {
            KeySpan span = KeySpan.FromText(result.GetValue(key)!, result.GetValue(end), result.GetValue(prefix), result.GetValue(fromKey));
            var request = new WatchRequest
            {
                Key = span.Key,
                RangeEnd = span.End,
                StartRevision = new Revision(result.GetValue(revision)),
                PreviousValue = result.GetValue(previous),
                ProgressNotify = result.GetValue(progress),
                NoPut = result.GetValue(noPut),
                NoDelete = result.GetValue(noDelete),
            };
            await using MetaStoreClient client = flags.Connect(result);
            await PrintAsync(client, request, AnswerPrinter.Create(flags.Format(result)), flags.Io.Output, result.GetValue(most), cancel);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Prints each response at once. Ends after <paramref name="eventsMax"/> events, if that is not 0.</summary>
    public static async Task PrintAsync(IMetaStore store, WatchRequest request, IAnswerPrinter printer, Stream output, long eventsMax, CancellationToken cancel)
    {
        long left = eventsMax == 0 ? long.MaxValue : eventsMax;
        await foreach (WatchResponse response in store.WatchAsync(request, cancel))
        {
            if (response.IsCreated)
            {
                continue;
            }

            WatchResponse told = response.Events.Count <= left ? response : response with { Events = [.. response.Events.Take((int)left)] };
            left -= told.Events.Count;
            printer.Watch(told);
            await output.WriteAsync(printer.Finish(), cancel);
            await output.FlushAsync(cancel);
            if (left == 0)
            {
                return;
            }
        }
    }
}
