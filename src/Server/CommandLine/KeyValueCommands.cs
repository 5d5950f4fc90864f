using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Server.Client;
using MetaStore.Server.Output;
using MetaStore.Server.Transactions;

namespace MetaStore.Server.CommandLine;

/// <summary>put, get, del, txn and compact.</summary>
internal static class KeyValueCommands
{
    public static Command Put(ClientFlags flags)
    {
        var key = new Argument<string>("KEY") { Description = "the key" };
        var value = new Argument<string?>("VALUE") { Description = "the value; - or none reads it from standard input, to the end", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> previous = Flags.Switch("--prev-kv", "print the key's previous state");
        Option<string> lease = Flags.Text("--lease", "the lease to attach, in hexadecimal", "0");
        Option<TimeSpan> ttl = Flags.Time("--ttl", "the key is gone after this time, with a lease of its own (it stays, where this is left out)", TimeSpan.Zero);
        var command = new Command("put", "store a value under a key") { key, value, previous, lease, ttl };
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            var request = new PutRequest
            {
                Key = ArgumentText.ToBytes(result.GetValue(key)!),
                Value = await ReadValueAsync(result.GetValue(value), flags.Io, cancel),
                LeaseId = LeaseText.Parse("--lease", result.GetValue(lease)!),
                TimeToLive = result.GetValue(ttl),
                ReturnPrevious = result.GetValue(previous),
            };
            printer.Put(await store.PutAsync(request, cancel));
        }));
        return command;
    }

    public static Command Get(ClientFlags flags)
    {
        var key = new Argument<string>("KEY") { Description = "the key, or the first of a range" };
        var end = new Argument<string?>("END") { Description = "the first key not included; may be left out", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> prefix = Flags.Switch("--prefix", "all keys that begin with KEY");
        Option<bool> fromKey = Flags.Switch("--from-key", "all keys from KEY on");
        Option<long> limit = Flags.Number("--limit", "print at most so many; 0 for all", 0, 0, long.MaxValue);
        Option<long> revision = Flags.Number("--rev", "as of this revision; 0 for now", 0, 0, long.MaxValue);
        Option<bool> keysOnly = Flags.Switch("--keys-only", "leave the values out");
        Option<bool> countOnly = Flags.Switch("--count-only", "print only how many there are");
        Option<bool> valueOnly = Flags.Switch("--print-value-only", "leave the keys out (simple output)");
        Option<bool> serializable = Flags.Switch("--serializable", "what the asked node has, which may be old");
        DefaultedOption<TimeSpan> staleness = Flags.Time("--max-staleness", "what any node has, if it is at most so old (the newest, where it is left out)", TimeSpan.Zero);
        DefaultedOption<SortTarget> sortBy = Flags.Choice("--sort-by", "what to sort by", SortText.Targets);
        DefaultedOption<SortOrder> order = Flags.Choice("--order", "which way", SortText.Orders);
        var command = new Command("get", "read a key, or a range of keys") { key, end };
        foreach (Option option in (Option[])[prefix, fromKey, limit, revision, keysOnly, countOnly, valueOnly, serializable, staleness, sortBy, order])
        {
            command.Options.Add(option);
        }

        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            KeySpan span = KeySpan.FromText(result.GetValue(key)!, result.GetValue(end), result.GetValue(prefix), result.GetValue(fromKey));
            var request = new RangeRequest
            {
                Key = span.Key,
                RangeEnd = span.End,
                Limit = result.GetValue(limit),
                Revision = new Revision(result.GetValue(revision)),
                KeysOnly = result.GetValue(keysOnly),
                CountOnly = result.GetValue(countOnly),
                Serializable = result.GetValue(serializable),
                StalenessMax = staleness.Read(result),
                SortTarget = sortBy.Read(result),
                SortOrder = order.Read(result),
            };
            printer.Get(await PagedRange.ReadAsync(store, request, cancel), new GetView(request.CountOnly, result.GetValue(valueOnly)));
        }));
        return command;
    }

    public static Command Delete(ClientFlags flags)
    {
        var key = new Argument<string>("KEY") { Description = "the key, or the first of a range" };
        var end = new Argument<string?>("END") { Description = "the first key not included; may be left out", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> prefix = Flags.Switch("--prefix", "all keys that begin with KEY");
        Option<bool> fromKey = Flags.Switch("--from-key", "all keys from KEY on");
        Option<bool> previous = Flags.Switch("--prev-kv", "print what was removed");
        var command = new Command("del", "remove a key, or a range of keys") { key, end, prefix, fromKey, previous };
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            KeySpan span = KeySpan.FromText(result.GetValue(key)!, result.GetValue(end), result.GetValue(prefix), result.GetValue(fromKey));
            var request = new DeleteRangeRequest { Key = span.Key, RangeEnd = span.End, ReturnPrevious = result.GetValue(previous) };
            printer.Delete(await store.DeleteRangeAsync(request, cancel));
        }));
        return command;
    }

    public static Command Txn(ClientFlags flags)
    {
        var command = new Command(
            "txn",
            "compare, then do one of two lists of operations, as one. Standard input holds comparisons, such as mod(\"key\") > \"0\" (targets: "
            + "version, create, mod, value, lease; relations: = != < >), a blank line, the operations if all hold, a blank line, the operations "
            + "if not. Operations: put KEY VALUE, get KEY [END], del KEY [END], with the flags of these commands");
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            using var text = new MemoryStream();
            await flags.Io.Input.CopyToAsync(text, cancel);
            printer.Txn(await store.TxnAsync(TxnText.Parse(text.ToArray()), cancel));
        }));
        return command;
    }

    public static Command Compact(ClientFlags flags)
    {
        var revision = Flags.NumberArgument("REV", "the oldest revision that stays readable", 0, long.MaxValue);
        Option<bool> physical = Flags.Switch("--physical", "answer when no reader can see what was given up, which is so anyway");
        var command = new Command("compact", "give up the history before a revision") { revision, physical };
        command.Aliases.Add("compaction");
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            var at = new Revision(result.GetValue(revision));
            printer.Compact(at, await store.CompactAsync(new CompactRequest(at), cancel));
        }));
        return command;
    }

    private static async Task<byte[]> ReadValueAsync(string? text, ProgramIo io, CancellationToken cancel)
    {
        if (text is not (null or "-"))
        {
            return ArgumentText.ToBytes(text);
        }

        using var value = new MemoryStream();
        await io.Input.CopyToAsync(value, cancel);
        return value.ToArray();
    }
}
