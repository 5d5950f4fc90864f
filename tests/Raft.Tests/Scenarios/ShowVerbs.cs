using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>What can be seen: status, progress, log, in-flight, and # of uncommitted bytes in status.</summary>
internal sealed class ShowVerbs : IVerbs
{
    public bool TryRun(ScenarioCluster cluster, Command command)
    {
        switch (command.Verb)
        {
            case "status":
                foreach (ulong id in command.Ids(cluster.Ids))
                {
                    Status(cluster, cluster[id]);
                }

                return true;
            case "progress":
                foreach (Progress peer in cluster[command.Number(0)].Node.Peers)
                {
                    string waiting = peer.IsPaused ? " paused" : "";
                    cluster.Print($"{peer.Id} {peer.State} match={peer.Match} next={peer.Next} inflight={peer.Inflights.Count}{waiting}");
                }

                return true;
            case "log":
                foreach (ulong id in command.Ids(cluster.Ids))
                {
                    Log(cluster, cluster[id].Node);
                }

                return true;
            case "in-flight":
                foreach (Message message in cluster.InFlight)
                {
                    cluster.Print(Describe.Message(message));
                }

                return true;
            default:
                return false;
        }
    }

    private static void Status(ScenarioCluster cluster, Member member)
    {
        if (!member.IsUp)
        {
            cluster.Print($"{member.Id} down");
            return;
        }

        RaftNode node = member.Node;
        cluster.Print($"{node.Id} {node.Role} term={node.Term} vote={node.Vote} leader={node.Leader} last={node.LastIndex} durable={node.DurableIndex} commit={node.CommitIndex} applied={member.Machine.Applied}{(node.IsQuiescent ? " asleep" : "")}");
    }

    private static void Log(ScenarioCluster cluster, RaftNode node)
    {
        List<Entry> entries = [];
        for (ulong index = node.FirstIndex.Value; index <= node.LastIndex.Value; index++)
        {
            entries.Add(node.EntryAt(new LogIndex(index))!.Value);
        }

        string snapshot = node.SnapshotIndex > LogIndex.Zero ? $" snapshot={node.SnapshotIndex}" : "";
        cluster.Print($"{node.Id}:{snapshot} {Describe.Entries(entries)}");
    }
}
