using System.CommandLine;
using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Server.Client;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>lease grant, revoke, keep-alive, timetolive and list.</summary>
internal static class LeaseCommands
{
    private static readonly TimeSpan s_untilTriedAgain = TimeSpan.FromMilliseconds(500);

    public static Command Lease(ClientFlags flags) => new("lease", "leases, which take their keys with them when they end")
    {
        Grant(flags), Revoke(flags), KeepAlive(flags), TimeToLive(flags), List(flags),
    };

    private static Command Grant(ClientFlags flags)
    {
        var ttl = new Argument<long>("TTL") { Description = "its time to live, in seconds" };
        Option<string> id = Flags.Text("--id", "its id, in hexadecimal; 0: the store chooses one", "0");
        var command = new Command("grant", "grant a lease") { ttl, id };
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
            printer.LeaseGranted(await store.GrantLeaseAsync(new LeaseGrantRequest(result.GetValue(ttl), LeaseText.Parse("--id", result.GetValue(id)!)), cancel))));
        return command;
    }

    private static Command Revoke(ClientFlags flags)
    {
        Argument<string> id = Id();
        var command = new Command("revoke", "end a lease, and remove its keys") { id };
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            long lease = Parse(result, id);
            printer.LeaseRevoked(lease, await store.RevokeLeaseAsync(new LeaseRevokeRequest(lease), cancel));
        }));
        return command;
    }

    private static Command KeepAlive(ClientFlags flags)
    {
        Argument<string> id = Id();
        Option<bool> once = Flags.Switch("--once", "renew it once, and end");
        var command = new Command("keep-alive", "renew a lease at each third of its time to live, until it is gone or this program ends") { id, once };
        flags.AddTo(command);
        command.SetAction((result, cancel) => KeepAliveAsync(flags, result, Parse(result, id), result.GetValue(once), cancel));
        return command;
    }

    private static Command TimeToLive(ClientFlags flags)
    {
        Argument<string> id = Id();
        Option<bool> keys = Flags.Switch("--keys", "name its keys");
        var command = new Command("timetolive", "how long a lease has left") { id, keys };
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) =>
        {
            bool withKeys = result.GetValue(keys);
            printer.LeaseTimeToLive(await store.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(Parse(result, id), withKeys), cancel), withKeys);
        }));
        return command;
    }

    private static Command List(ClientFlags flags)
    {
        var command = new Command("list", "the ids of all leases");
        flags.AddTo(command);
        command.SetAction((result, cancel) => flags.RunAsync(result, async (store, printer) => printer.Leases(await store.LeasesAsync(cancel))));
        return command;
    }

    private static async Task<int> KeepAliveAsync(ClientFlags flags, ParseResult result, long id, bool once, CancellationToken cancel)
    {
        await using MetaStoreClient client = flags.Connect(result);
        long goodUntil = 0;
        while (true)
        {
            long sentAt = Stopwatch.GetTimestamp();
            LeaseKeepAliveResponse renewed;
            try
            {
                renewed = await client.KeepLeaseAliveAsync(id, cancel);
            }
            catch (MetaStoreException e) when (e.IsTransient && !once && sentAt < goodUntil)
            {
                await Task.Delay(s_untilTriedAgain, cancel); // The lease has time left: the cluster may be without a leader for a moment.
                continue;
            }

            goodUntil = sentAt + (renewed.Ttl * Stopwatch.Frequency);
            IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
            printer.LeaseKeptAlive(renewed);
            await flags.Io.Output.WriteAsync(printer.Finish(), cancel);
            await flags.Io.Output.FlushAsync(cancel);
            if (once || renewed.Ttl == 0)
            {
                return ExitCode.Success;
            }

            await Task.Delay(TimeSpan.FromSeconds(Math.Min(renewed.Ttl / 3.0, TimeSpan.FromDays(1).TotalSeconds)), cancel);
        }
    }

    private static Argument<string> Id() => new("ID") { Description = "the lease's id, in hexadecimal" };

    private static long Parse(ParseResult result, Argument<string> id) => LeaseText.Parse("ID", result.GetValue(id)!);
}
