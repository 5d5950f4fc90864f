using System.CommandLine;
using System.Globalization;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Mirroring;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>make-mirror: keeps the keys of one cluster in another, until it is interrupted.</summary>
internal static class MirrorCommand
{
    private static readonly TimeSpan s_reportEach = TimeSpan.FromSeconds(30);

    public static Command Create(ClientFlags flags)
    {
        var destination = new Argument<string>("DESTINATION") { Description = "a node of the other cluster, as host:port; with commas between, several of it" };
        Option<string> prefix = Flags.Text("--prefix", "mirror the keys that begin with this; all, if it is empty", string.Empty);
        Option<string> mapped = Flags.Text("--dest-prefix", "what stands in place of the prefix there; empty: the prefix itself", string.Empty);
        Option<bool> unmapped = Flags.Switch("--no-dest-prefix", "nothing stands in place of the prefix there");
        Option<long> revision = Flags.Number("--rev", "mirror changes from this revision on alone; 0: all keys first", 0, 0, long.MaxValue);
        Option<long> operations = Flags.Number("--max-txn-ops", "changes in one transaction there", 128, 1, 128);
        var command = new Command(
            "make-mirror",
            "keep the keys of a cluster in another one of this store, changes in order, until this program is interrupted: what one revision changed in one transaction, each applied once. How many "
            + "were mirrored is printed every 30 seconds. (For another kind of cluster: etcdctl make-mirror)")
        {
            destination, prefix, mapped, unmapped, revision, operations,
        };
        flags.AddTo(command, withFormat: false);
        command.SetAction((result, cancel) =>
        {
            if (result.GetValue(unmapped) && result.GetValue(mapped)!.Length > 0)
            {
                throw new RefusalException(ExitCode.Usage, "--dest-prefix and --no-dest-prefix exclude each other; give one of them.");
            }

            byte[] from = ArgumentText.ToBytes(result.GetValue(prefix)!);
            byte[] to = result.GetValue(unmapped) ? [] : ArgumentText.ToBytes(result.GetValue(mapped)!);
            var mapping = new KeyMapping(from, to.Length > 0 || result.GetValue(unmapped) ? to : from);
            return RunAsync(flags, result, result.GetValue(destination)!, mapping, new Revision(result.GetValue(revision)), (int)result.GetValue(operations), cancel);
        });
        return command;
    }

    private static async Task<int> RunAsync(ClientFlags flags, ParseResult result, string destination, KeyMapping mapping, Revision from, int operationsMax, CancellationToken cancel)
    {
        string[] endpoints = destination.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (endpoints.Length == 0)
        {
            throw new RefusalException(ExitCode.Usage, "DESTINATION is empty; it should look like 127.0.0.1:2379.");
        }

        await using MetaStoreClient source = flags.Connect(result);
        await using MetaStoreClient target = flags.Connect(result, endpoints);
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(target, cancellationToken: cancel);
        var mirror = new StoreMirror(source, session, mapping, operationsMax);
        using var report = new PeriodicTimer(s_reportEach);
        Task mirroring = mirror.RunAsync(from, cancel);
        while (await Task.WhenAny(mirroring, report.WaitForNextTickAsync(cancel).AsTask()) != mirroring)
        {
            var text = new ByteText();
            text.Line(mirror.Mirrored.ToString(CultureInfo.InvariantCulture));
            await flags.Io.Output.WriteAsync(text.Bytes, cancel);
            await flags.Io.Output.FlushAsync(cancel);
        }

        await mirroring; // It ends by an error alone.
        return ExitCode.Failed;
    }
}
