using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>Snapshots: snapshot (take one and compact), transfer, install, report-snapshot.</summary>
internal sealed class SnapshotVerbs : IVerbs
{
    public bool TryRun(ScenarioCluster cluster, Command command)
    {
        switch (command.Verb)
        {
            case "snapshot":
                Take(cluster, command);
                return true;
            case "transfer":
                Transfer(cluster, command);
                return true;
            case "install":
                Install(cluster, command);
                return true;
            case "report-snapshot":
                cluster[command.Number(0)].Node.ReportSnapshot(new NodeId(command.Number(1)), command.Words[2] == "ok");
                return true;
            default:
                return false;
        }
    }

    private static void Take(ScenarioCluster cluster, Command command)
    {
        Member member = cluster[command.Number(0)];
        LogIndex? keepFrom = command.Setting("keep-from") is { } from ? new LogIndex(ulong.Parse(from)) : null;
        bool taken = member.TakeSnapshot(keepFrom);
        cluster.Print(taken ? $"snapshot of {member.Node.SnapshotIndex}, first entry {member.Node.FirstIndex}" : "nothing new");
    }

    private static void Transfer(ScenarioCluster cluster, Command command)
    {
        if (cluster[command.Number(0)].SnapshotFor(new NodeId(command.Number(1))) is { } chunk)
        {
            cluster.InFlight.Add(chunk);
            cluster.Print(Describe.Message(chunk));
        }
        else
        {
            cluster.Print("none: it does not lead, or the peer has it all");
        }
    }

    private static void Install(ScenarioCluster cluster, Command command)
    {
        ulong id = command.Number(0);
        if (!cluster.Received.Remove(id, out Message? chunk))
        {
            cluster.Print("nothing received");
        }
        else if (cluster[id].ReceiveSnapshot(chunk) is { } reply)
        {
            cluster.InFlight.Add(reply);
            cluster.Print(Describe.Message(reply));
        }
        else
        {
            cluster.Print("not needed");
        }
    }
}
