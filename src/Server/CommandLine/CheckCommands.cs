using System.CommandLine;
using System.Globalization;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Checking;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>check perf and check datascale: whether the machines are up to a load. The loads, the limits and the words are etcdctl's.</summary>
internal static class CheckCommands
{
    public static Command Check(ClientFlags flags) => new("check", "whether the cluster is up to a load: a test that takes a while and loads it") { Performance(flags), DataScale(flags) };

    private static Command Performance(ClientFlags flags)
    {
        DefaultedOption<LoadModel> load = Flags.Choice("--load", "how many writes in a second: 150, 1,000, 8,000 or 15,000", LoadModel.All);
        Option<string> prefix = Flags.Text("--prefix", "what the test's keys begin with; there must be none", "/etcdctl-check-perf/");
        Option<bool> compact = Flags.Switch("--auto-compact", "give up the history of the test's keys in the end");
        DefaultedOption<TimeSpan> duration = Flags.Time("--duration", "how long to write", TimeSpan.FromSeconds(60));
        var command = new Command("perf", "write at a rate, and see whether the cluster keeps up with it evenly. Exit code: 0 it does, 1 it does not") { load, prefix, compact, duration };
        flags.AddTo(command, withFormat: false);
        command.SetAction(async (result, cancel) =>
        {
            LoadModel model = load.Read(result);
            await using MetaStoreClient client = flags.Connect(result, flags.Endpoints(result), ConnectionsOf(model));
            var keys = new CheckKeys(client, ArgumentText.ToBytes(result.GetValue(prefix)!), keyBytes: 256, valueBytes: 1024);
            await keys.RequireNoneAsync(cancel);
            (IReadOnlyList<string> lines, bool passed) = await new PerformanceCheck(keys, model, duration.Read(result)).RunAsync(cancel);
            await EndAsync(client, keys, result.GetValue(compact), cancel);
            await SayAsync(flags.Io, lines, cancel);
            return passed ? ExitCode.Success : ExitCode.Failed;
        });
        return command;
    }

    private static Command DataScale(ClientFlags flags)
    {
        DefaultedOption<LoadModel> load = Flags.Choice("--load", "how many keys of a KiB: 10,000, 100,000, 1,000,000 or 3,000,000", LoadModel.All);
        Option<string> prefix = Flags.Text("--prefix", "what the test's keys begin with; there must be none", "/etcdctl-check-datascale/");
        Option<bool> compact = Flags.Switch("--auto-compact", "give up the history of the test's keys in the end");
        var command = new Command("datascale", "write keys, and see how much memory the first of the endpoints takes for them") { load, prefix, compact };
        flags.AddTo(command, withFormat: false);
        command.SetAction((result, cancel) => DataScaleAsync(flags, result, load.Read(result), ArgumentText.ToBytes(result.GetValue(prefix)!), result.GetValue(compact), cancel));
        return command;
    }

    private static async Task<int> DataScaleAsync(ClientFlags flags, ParseResult result, LoadModel model, byte[] prefix, bool compact, CancellationToken cancel)
    {
        string endpoint = flags.Endpoints(result)[0];
        await using MetaStoreClient client = flags.Connect(result, flags.Endpoints(result), ConnectionsOf(model));
        var keys = new CheckKeys(client, prefix, keyBytes: 512, valueBytes: 512);
        await keys.RequireNoneAsync(cancel);
        double before = await ResidentMemory.OfAsync(endpoint, cancel);
        await SayAsync(flags.Io, [$"Start data scale check for work load [{model.Pairs} key-value pairs, 1024 bytes per key-value, {model.Clients} concurrent clients]."], cancel);
        var times = new WriteTimes();
        int left = model.Pairs;
        await Task.WhenAll(Enumerable.Range(0, model.Clients).Select(async number =>
        {
            var random = new Random(number);
            while (Interlocked.Decrement(ref left) >= 0)
            {
                await keys.WriteAsync(random, times, cancel);
            }
        }));
        double after = await ResidentMemory.OfAsync(endpoint, cancel);
        await EndAsync(client, keys, compact, cancel);
        if (times.Errors.Count > 0)
        {
            await SayAsync(flags.Io, [.. times.DescribeErrors()], cancel);
            return ExitCode.Failed;
        }

        string megabytes = ((after - before) / (1024 * 1024)).ToString("0.00", CultureInfo.InvariantCulture);
        await SayAsync(flags.Io, [$"PASS: Approximate system memory used : {megabytes} MB."], cancel);
        return ExitCode.Success;
    }

    /// <summary>A connection for some of the clients each: more would be a test of connections.</summary>
    private static int ConnectionsOf(LoadModel model) => Math.Clamp(model.Clients / 50, 1, 16);

    private static async Task EndAsync(MetaStoreClient client, CheckKeys keys, bool compact, CancellationToken cancel)
    {
        Revision removed = await keys.RemoveAsync(cancel);
        if (compact)
        {
            await client.CompactAsync(new CompactRequest(removed), cancel);
        }
    }

    private static async Task SayAsync(ProgramIo io, IReadOnlyList<string> lines, CancellationToken cancel)
    {
        var text = new ByteText();
        foreach (string line in lines)
        {
            text.Line(line);
        }

        await io.Output.WriteAsync(text.Bytes, cancel);
        await io.Output.FlushAsync(cancel);
    }
}
