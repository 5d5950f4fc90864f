using System.CommandLine;
using System.Globalization;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Raft;
using MetaStore.Server.Output;

namespace MetaStore.Server.CommandLine;

/// <summary>member list, add, update, remove, promote; and move-leader.</summary>
internal static class MemberCommands
{
    public static Command Member(ClientFlags flags) => new("member", "who belongs to the cluster")
    {
        List(flags), Add(flags), Update(flags), Remove(flags), Promote(flags),
    };

    public static Command MoveLeader(ClientFlags flags)
    {
        Argument<string> id = Id();
        var command = new Command("move-leader", "hand leadership to another voter") { id };
        flags.AddTo(command);
        command.SetAction((result, cancel) => RunAsync(flags, result, async (client, printer) =>
        {
            ulong target = ParseId(result.GetValue(id)!);
            StatusResponse before = await client.StatusAsync(cancel);
            await client.MoveLeaderAsync(target, cancel);
            printer.Text($"Leadership transferred from {before.LeaderId:x16} to {target:x16}");
        }));
        return command;
    }

    private static Command List(ClientFlags flags)
    {
        var local = new Option<bool>("--local") { Description = "as the asked node knows them, without asking the leader" };
        var command = new Command("list", "the members: id, state, name, peer urls, client urls, whether a learner, whether a witness, priority") { local };
        flags.AddTo(command);
        command.SetAction((result, cancel) => RunAsync(flags, result, async (client, printer) =>
            printer.Members(await client.MembersAsync(!result.GetValue(local), cancel))));
        return command;
    }

    private static Command Add(ClientFlags flags)
    {
        var name = new Argument<string>("name") { Description = "the name it will be started with" };
        Option<string> urls = PeerUrls();
        var learner = new Option<bool>("--learner") { Description = "it stays without a vote until it is promoted; without this flag the leader promotes it once it has caught up" };
        var witness = new Option<bool>("--witness") { Description = "it votes and holds no data: it makes a majority where a member with data is missing, serves nothing and never leads" };
        Option<long?> priority = Priority();
        var command = new Command("add", "add a member, which is then started with --initial-cluster-state existing") { name, urls, learner, witness, priority };
        flags.AddTo(command);
        command.SetAction((result, cancel) => RunAsync(flags, result, async (client, printer) =>
        {
            string[] peerUrls = SplitUrls(result.GetValue(urls)!);
            byte number = (byte)(result.GetValue(priority) ?? MemberTraits.DefaultPriority);
            MembersResponse answer = await client.ChangeMembersAsync(new AddMember(peerUrls, result.GetValue(learner), result.GetValue(witness), number), cancel);
            printer.MemberChanged("added to", answer);
            printer.Text(HowToStart(result.GetValue(name)!, answer));
        }));
        return command;
    }

    private static Command Update(ClientFlags flags)
    {
        Argument<string> id = Id();
        Option<string> urls = PeerUrls();
        urls.Required = false;
        Option<long?> priority = Priority();
        var command = new Command("update", "change where a member's peers reach it, or its priority") { id, urls, priority };
        command.Validators.Add(result =>
        {
            if (result.GetResult(urls) is null && result.GetResult(priority) is null)
            {
                result.AddError("\"member update\" needs --peer-urls or --priority.");
            }
        });
        return Change(flags, command, "updated in", result =>
            new UpdateMember(ParseId(result.GetValue(id)!), SplitUrls(result.GetValue(urls) ?? string.Empty), (byte?)result.GetValue(priority)));
    }

    private static Command Remove(ClientFlags flags)
    {
        Argument<string> id = Id();
        return Change(flags, new Command("remove", "remove a member for good; its id is never used again") { id }, "removed from", result =>
            new RemoveMember(ParseId(result.GetValue(id)!)));
    }

    private static Command Promote(ClientFlags flags)
    {
        Argument<string> id = Id();
        var replacing = new Option<string>("--replacing")
        {
            Description = "the voter, by hexadecimal id, whose place it takes in the same step: it is removed for good",
            HelpName = "ID",
        };
        return Change(flags, new Command("promote", "make a voter of a learner that has caught up") { id, replacing }, "promoted in", result =>
            new PromoteMember(ParseId(result.GetValue(id)!), result.GetValue(replacing) is { } replaced ? ParseId(replaced) : 0));
    }

    private static Command Change(ClientFlags flags, Command command, string done, Func<ParseResult, MemberChange> change)
    {
        flags.AddTo(command);
        command.SetAction((result, cancel) => RunAsync(flags, result, async (client, printer) =>
            printer.MemberChanged(done, await client.ChangeMembersAsync(change(result), cancel))));
        return command;
    }

    private static async Task<int> RunAsync(ClientFlags flags, ParseResult result, Func<MetaStoreClient, IAnswerPrinter, Task> ask)
    {
        await using MetaStoreClient client = flags.Connect(result);
        IAnswerPrinter printer = AnswerPrinter.Create(flags.Format(result));
        await ask(client, printer);
        await flags.Io.Output.WriteAsync(printer.Finish());
        await flags.Io.Output.FlushAsync();
        return ExitCode.Success;
    }

    internal static string HowToStart(string name, MembersResponse answer)
    {
        // Who was added and has not started has no name yet: the new member learns of it from the others.
        IEnumerable<string> members = answer.Members
            .Where(member => member.Id == answer.MemberId || member.Name.Length > 0)
            .Select(member => $"{(member.Id == answer.MemberId ? name : member.Name)}={member.PeerUrls[0]}");
        if (answer.Members.FirstOrDefault(member => member.Id == answer.MemberId) is not { PeerUrls: [string url, ..] })
        {
            return $"{Environment.NewLine}{Environment.NewLine}It was removed again meanwhile.{Environment.NewLine}";
        }

        return $"""

            Start it with:
            --name {name} --initial-advertise-peer-urls {url} --listen-peer-urls {url} --initial-cluster-state existing --initial-cluster {string.Join(',', members)}
            """;
    }

    private static Argument<string> Id() => new("id") { Description = "the member's id, in hexadecimal, as \"member list\" shows it" };

    private static Option<string> PeerUrls() => new("--peer-urls") { Description = "where its peers reach it: http://host:2380", Required = true, HelpName = "urls" };

    private static Option<long?> Priority() => Flags.OptionalNumber(
        "--priority",
        $"0 to 255, {MemberTraits.DefaultPriority} if not given: who is to lead; members of a higher one stand for election first, and a leader hands over to one",
        byte.MinValue,
        byte.MaxValue);

    private static string[] SplitUrls(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static ulong ParseId(string text) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong id) && id != 0
            ? id
            : throw new RefusalException(ExitCode.Usage, $"\"{text}\" is no member id; ids are in hexadecimal, as \"metastore member list\" shows them.");
}
