using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using MetaStore.Engine;
using MetaStore.Engine.Coordination;
using MetaStore.Net;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>lock: takes a lock, and holds it until it is interrupted or a program has ended.</summary>
internal static class LockCommand
{
    /// <summary>How long a program may take to end by itself once the lock is lost.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    public static Command Create(ClientFlags flags)
    {
        var name = new Argument<string>("NAME") { Description = "the lock" };
        var program = new Argument<string[]>("COMMAND") { Description = "what to run while it is held, with its arguments; -- before those that begin with a dash", Arity = ArgumentArity.ZeroOrMore };
        Option<long> ttl = Flags.Number("--ttl", "seconds after which a holder that has died loses it", 10, 1, LeaseGrantRequest.TtlMax);
        var command = new Command(
            "lock",
            "take a lock, in the order of asking, and hold it until this program is interrupted or the command has ended. The command finds the lock's key in ETCD_LOCK_KEY, the revision in "
            + "ETCD_LOCK_REV and the fencing token in METASTORE_LOCK_TOKEN; its exit code is the one of this program. Is the lock lost before, the command is asked to end, then ended")
        {
            name, program, ttl,
        };
        flags.AddTo(command);
        command.SetAction((result, cancel) => RunAsync(
            flags, result, ArgumentText.ToBytes(result.GetValue(name)!), result.GetValue(program) ?? [], new TurnOptions { TtlSeconds = result.GetValue(ttl) }, cancel));
        return command;
    }

    private static async Task<int> RunAsync(ClientFlags flags, ParseResult result, byte[] name, string[] program, TurnOptions options, CancellationToken cancel)
    {
        using var interruption = new Interruption();
        await using MetaStoreClient client = flags.Connect(result);
        await using StoreLock held = await interruption.OrGiveUpAsync(token => StoreLock.AcquireAsync(client, name, options, token), "the lock was taken", cancel);
        Task lost = Task.Delay(Timeout.InfiniteTimeSpan, held.Lost);
        return program.Length > 0
            ? await RunProgramAsync(flags.Io, held, program, lost, interruption)
            : await HoldAsync(flags, result, client, held, lost, interruption);
    }

    private static async Task<int> HoldAsync(ClientFlags flags, ParseResult result, MetaStoreClient client, StoreLock held, Task lost, Interruption interruption)
    {
        RangeResponse own = await client.RangeAsync(new RangeRequest { Key = held.Key });
        if (own.Items.Count > 0)
        {
            await PrintAsync(flags, result, own);
            if (await Task.WhenAny(interruption.Came, lost) == interruption.Came)
            {
                return ExitCode.Success;
            }
        }

        throw new RefusalException(ExitCode.Failed, "the lock is lost: its lease has ended");
    }

    private static async Task<int> RunProgramAsync(ProgramIo io, StoreLock held, string[] command, Task lost, Interruption interruption)
    {
        using HeldProgram program = HeldProgram.Start(
            command,
            [
                new("ETCD_LOCK_KEY", System.Text.Encoding.UTF8.GetString(held.Key.Span)),
                new("ETCD_LOCK_REV", held.Header.Revision.Value.ToString(CultureInfo.InvariantCulture)),
                new("METASTORE_LOCK_TOKEN", held.Token.Value.ToString(CultureInfo.InvariantCulture)),
            ]);
        Task<int> ended = program.WaitAsync();
        Task first = await Task.WhenAny(ended, lost, interruption.Came);
        if (first == interruption.Came)
        {
            // From the keyboard it has come to the program as well.
            if (await interruption.Came == PosixSignal.SIGTERM)
            {
                program.Terminate();
            }

            first = await Task.WhenAny(ended, lost);
        }

        if (first == ended)
        {
            return await ended;
        }

        await io.Error.WriteLineAsync($"metastore: the lock is lost: its lease has ended, and {command[0]} with it");
        program.Terminate();
        if (await Task.WhenAny(ended, Task.Delay(s_patience)) != ended)
        {
            program.Kill();
        }

        await ended;
        return ExitCode.Failed;
    }

    /// <summary>The key that stands for the holder, as a read would print it.</summary>
    internal static async Task PrintAsync(ClientFlags flags, ParseResult result, RangeResponse own)
    {
        IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
        printer.Get(own, new GetView(CountOnly: false, ValueOnly: false));
        await flags.Io.Output.WriteAsync(printer.Finish());
        await flags.Io.Output.FlushAsync();
    }
}
