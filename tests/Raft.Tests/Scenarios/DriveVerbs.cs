using System.Text;
using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>What happens to one member: campaign, tick, tick-until, propose, read, change-membership, move-leader, unreachable, wake.</summary>
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
                cluster.Print(cluster[command.Number(0)].Node.ChangeMembership(new Membership(Ids(command, "voters"), Ids(command, "learners"))).ToString());
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

    private static void Tick(RaftNode node, int ticks)
    {
        for (int i = 0; i < ticks; i++)
        {
            node.Tick();
        }
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
