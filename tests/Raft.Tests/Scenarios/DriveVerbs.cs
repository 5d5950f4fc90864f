using System.Text;
using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>What happens to one member or to all: campaign, tick, tick-all, tick-until, propose, read, change-membership, move-leader, unreachable, wake.</summary>
internal sealed class DriveVerbs : IVerbs
{
    public bool TryRun(ScenarioCluster cluster, Command command)
    {
        switch (command.Verb)
        {
            case "campaign":
                cluster[command.Number(0)].Node.Campaign();
                return true;
            case "tick":
                Tick(cluster[command.Number(0)].Node, (int)command.Number(1));
                return true;
            case "tick-all":
                TickAll(cluster, (int)command.Number(0), command.Setting("hold"));
                return true;
            case "tick-until":
                TickUntil(cluster, command);
                return true;
            case "propose":
                Propose(cluster, command);
                return true;
            case "read":
                Read(cluster, command);
                return true;
            case "change-membership":
                var target = new Membership(Ids(command, "voters"), Ids(command, "learners"), traits: Traits(command));
                cluster.Print(cluster[command.Number(0)].Node.ChangeMembership(target).ToString());
                return true;
            case "move-leader":
                cluster.Print(cluster[command.Number(0)].Node.TransferLeadership(new NodeId(command.Number(1))) ? "handing over" : "refused");
                return true;
            case "wake":
                cluster[command.Number(0)].Node.SetLeaderSilence(command.Setting("silent", 0));
                cluster[command.Number(0)].Node.Wake();
                return true;
            case "unreachable":
                cluster[command.Number(0)].Node.ReportUnreachable(new NodeId(command.Number(1)));
                return true;
            default:
                return false;
        }
    }

    private static NodeId[] Ids(Command command, string setting) =>
        [.. (command.Setting(setting) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries).Select(id => new NodeId(ulong.Parse(id)))];

    /// <summary>priorities=ID:NUMBER,… and witnesses=ID,…; no member is named in both.</summary>
    private static IEnumerable<KeyValuePair<NodeId, MemberTraits>> Traits(Command command) =>
        (command.Setting("priorities") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split(':'))
            .Select(pair => KeyValuePair.Create(new NodeId(ulong.Parse(pair[0])), new MemberTraits(byte.Parse(pair[1]))))
            .Concat(Ids(command, "witnesses").Select(id => KeyValuePair.Create(id, MemberTraits.Default with { IsWitness = true })));

    private static void Tick(RaftNode node, int ticks)
    {
        for (int i = 0; i < ticks; i++)
        {
            node.Tick();
        }
    }

    /// <summary>Time passes for all that run, and after each tick everything is delivered but hold=KIND; says who leads when that changes.</summary>
    private static void TickAll(ScenarioCluster cluster, int ticks, string? hold)
    {
        string led = Leaders(cluster);
        for (int tick = 1; tick <= ticks; tick++)
        {
            foreach (ulong id in cluster.UpIds)
            {
                cluster[id].Node.Tick();
            }

            DeliveryVerbs.Stabilize(cluster, [.. cluster.UpIds], quiet: true, hold);
            if (Leaders(cluster) is var leads && leads != led)
            {
                cluster.Print($"tick {tick}: {leads}");
                led = leads;
            }
        }
    }

    private static string Leaders(ScenarioCluster cluster)
    {
        RaftNode[] leaders = [.. cluster.UpIds.Select(id => cluster[id].Node).Where(node => node.Role == Role.Leader)];
        return leaders.Length == 0 ? "nobody leads" : string.Join(", ", leaders.Select(node => $"{node.Id} leads term {node.Term}" + (node.Transferee.IsNone ? "" : $" and hands over to {node.Transferee}")));
    }

    private static void TickUntil(ScenarioCluster cluster, Command command)
    {
        RaftNode node = cluster[command.Number(0)].Node;
        var role = Enum.Parse<Role>(command.Words[1]);
        int ticks = 0;
        while (node.Role != role && ticks < 100)
        {
            node.Tick();
            ticks++;
        }

        cluster.Print(node.Role == role ? $"{role} of term {node.Term}" : $"still {node.Role} after {ticks} ticks");
    }

    private static void Propose(ScenarioCluster cluster, Command command)
    {
        foreach (string data in command.Words.Skip(1))
        {
            ProposeResult result = cluster[command.Number(0)].Node.Propose(Encoding.UTF8.GetBytes(data));
            if (result != ProposeResult.Accepted)
            {
                cluster.Print($"{data}: {result}");
            }
        }
    }

    private static void Read(ScenarioCluster cluster, Command command)
    {
        Member member = cluster[command.Number(0)];
        if (member.Read() is { } context)
        {
            cluster.Checker.ReadStarted(context);
            cluster.Print($"read {context.Sequence} asked");
        }
        else
        {
            cluster.Print("no leader");
        }
    }
}
