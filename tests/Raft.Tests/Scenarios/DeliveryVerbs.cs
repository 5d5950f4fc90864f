using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>
/// What moves between members and their disks: ready, sync, deliver, duplicate, drop, stabilize. Messages are chosen by from=,
/// to= and kind=; all that are named by none of them otherwise.
/// </summary>
internal sealed class DeliveryVerbs : IVerbs
{
    public bool TryRun(ScenarioCluster cluster, Command command)
    {
        switch (command.Verb)
        {
            case "ready":
                foreach (ulong id in command.Ids(cluster.UpIds).ToArray())
                {
                    Ready(cluster, id);
                }

                return true;
            case "sync":
                Sync(cluster, command);
                return true;
            case "deliver":
                foreach (Message message in Chosen(cluster, command))
                {
                    cluster.Print(Describe.Message(message));
                    cluster.Deliver(message);
                }

                return true;
            case "duplicate":
                cluster.InFlight.AddRange(Chosen(cluster, command));
                return true;
            case "drop":
                foreach (Message message in Chosen(cluster, command))
                {
                    if (command.Setting("quiet", 0) == 0)
                    {
                        cluster.Print("dropped " + Describe.Message(message));
                    }

                    cluster.InFlight.Remove(message);
                }

                return true;
            case "stabilize":
                Stabilize(cluster, command);
                return true;
            default:
                return false;
        }
    }

    private static void Ready(ScenarioCluster cluster, ulong id)
    {
        if (!cluster[id].Node.HasReady)
        {
            cluster.Print($"{id} has nothing");
            return;
        }

        while (cluster[id].Node.HasReady)
        {
            cluster.Process(id, quiet: false);
        }
    }

    private static void Sync(ScenarioCluster cluster, Command command)
    {
        Member member = cluster[command.Number(0)];
        int count = command.Setting("count", int.MaxValue);
        while (count-- > 0 && member.Disk.UnderWay > 0)
        {
            member.CompleteWrite();
        }
    }

    private static Message[] Chosen(ScenarioCluster cluster, Command command) =>
        [.. cluster.InFlight
            .Where(message => command.Setting("from") is not { } from || message.From.ToString() == from)
            .Where(message => command.Setting("to") is not { } to || message.To.ToString() == to)
            .Where(message => command.Setting("kind") is not { } kind || message.Kind.ToString() == kind)
            .Take(command.Setting("count", int.MaxValue))];

    /// <summary>
    /// Lets the named members (or all) and their disks work until nothing moves among them. Messages to others stay on their way;
    /// quiet=1 shows nothing of it; hold=KIND leaves messages of that kind on their way.
    /// </summary>
    private static void Stabilize(ScenarioCluster cluster, Command command) =>
        Stabilize(cluster, [.. command.Ids(cluster.UpIds)], command.Setting("quiet", 0) == 1, command.Setting("hold"));

    public static void Stabilize(ScenarioCluster cluster, ulong[] ids, bool quiet, string? hold)
    {
        for (bool moved = true; moved;)
        {
            moved = false;
            foreach (ulong id in ids)
            {
                while (cluster[id].Node.HasReady)
                {
                    cluster.Process(id, quiet);
                    moved = true;
                }

                if (cluster[id].Disk.UnderWay > 0)
                {
                    cluster[id].CompleteWrite();
                    moved = true;
                }
            }

            foreach (Message message in cluster.InFlight.Where(message => message.Kind.ToString() != hold && ids.Contains(message.From.Value) && ids.Contains(message.To.Value)).ToArray())
            {
                cluster.Deliver(message);
                moved = true;
            }
        }
    }
}
