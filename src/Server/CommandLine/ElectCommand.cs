using System.CommandLine;
using MetaStore.Engine;
using MetaStore.Engine.Coordination;
using MetaStore.Net;

namespace MetaStore.Server.CommandLine;

/// <summary>elect: stands for election and leads until it is interrupted, or tells who leads.</summary>
internal static class ElectCommand
{
    /// <summary>As etcdctl's: a leader that has died is missed for so long.</summary>
    private static readonly TurnOptions s_options = new() { TtlSeconds = 60 };

    public static Command Create(ClientFlags flags)
    {
        var name = new Argument<string>("NAME") { Description = "the election" };
        var proposal = new Argument<string?>("PROPOSAL") { Description = "what to proclaim; not with --listen", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> listen = Flags.Switch("--listen", "tell who leads, from now on");
        listen.Aliases.Add("-l");
        var command = new Command("elect", "stand for election, and lead until this program is interrupted; or, with --listen, tell who leads, and what they proclaim") { name, proposal, listen };
        flags.AddTo(command);
        command.SetAction((result, cancel) =>
        {
            byte[] election = ArgumentText.ToBytes(result.GetValue(name)!);
            return (result.GetValue(proposal), result.GetValue(listen)) switch
            {
                (null, true) => ListenAsync(flags, result, election, cancel),
                ({ } proposed, false) => LeadAsync(flags, result, election, ArgumentText.ToBytes(proposed), cancel),
                (null, false) => throw new RefusalException(ExitCode.Usage, "\"elect\" needs a proposal, or --listen."),
                _ => throw new RefusalException(ExitCode.Usage, "\"elect\" takes no proposal with --listen."),
            };
        });
        return command;
    }

    private static async Task<int> LeadAsync(ClientFlags flags, ParseResult result, byte[] election, byte[] proposal, CancellationToken cancel)
    {
        using var interruption = new Interruption();
        await using MetaStoreClient client = flags.Connect(result);
        await using Leadership leadership = await interruption.OrGiveUpAsync(
            token => Leadership.CampaignAsync(client, election, proposal, s_options, token), "the election was won", cancel);
        await LockCommand.PrintAsync(flags, result, await client.RangeAsync(new RangeRequest { Key = leadership.Key }, cancel));
        Task lost = Task.Delay(Timeout.InfiniteTimeSpan, leadership.Lost);
        return await Task.WhenAny(interruption.Came, lost) == interruption.Came
            ? ExitCode.Success
            : throw new RefusalException(ExitCode.Failed, "the leadership is lost: its lease has ended");
    }

    private static async Task<int> ListenAsync(ClientFlags flags, ParseResult result, byte[] election, CancellationToken cancel)
    {
        using var interruption = new Interruption();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using MetaStoreClient client = flags.Connect(result);
        Task observing = new StoreElection(client).ObserveAsync(
            election,
            async seen => await LockCommand.PrintAsync(flags, result, new RangeResponse { Header = seen.Header, Items = [seen.Leader], Count = 1 }),
            stop.Token);
        if (await Task.WhenAny(observing, interruption.Came) == observing)
        {
            await observing; // It ends by an error alone.
        }

        await stop.CancelAsync();
        return ExitCode.Success;
    }
}
