using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>A family of commands.</summary>
internal interface IVerbs
{
    /// <summary>False: the verb belongs to another family.</summary>
    bool TryRun(ScenarioCluster cluster, Command command);
}

/// <summary>Who there is: add-nodes N [voters=V: the first V; the others know nobody] [witnesses=IDS: none of those] [quiesces=1], set-log, crash, restart.</summary>
internal sealed class ClusterVerbs : IVerbs
{
    public bool TryRun(ScenarioCluster cluster, Command command)
    {
        switch (command.Verb)
        {
            case "add-nodes":
                AddNodes(cluster, command);
                return true;
            case "set-log":
                SetLog(cluster, command);
                return true;
            case "crash":
                cluster[command.Number(0)].Crash(command.Setting("surviving-writes", 0));
                return true;
            case "restart":
                cluster[command.Number(0)].Restart();
                return true;
            default:
                return false;
        }
    }

    private static void AddNodes(ScenarioCluster cluster, Command command)
    {
        NodeId[] all = [.. Enumerable.Range(1, (int)command.Number(0)).Select(id => new NodeId((ulong)id))];
        NodeId[] voters = all[..command.Setting("voters", all.Length)];
        cluster.Checker.Initial = new Membership(voters);
        foreach (NodeId id in all)
        {
            cluster.Add(new Member(new RaftOptions
            {
                Id = id,
                Voters = voters.Contains(id) ? voters : [],
                Seed = id.Value,
                ReadOrigin = 0,
                AppendBytesMax = command.Setting("append-bytes", 1 << 20),
                InflightMessagesMax = command.Setting("inflight-messages", 256),
                CommittedBytesMax = command.Setting("committed-bytes", 1 << 20),
                UncommittedBytesMax = command.Setting("uncommitted-bytes", 1 << 20),
                CompactionTailEntries = command.Setting("tail", 0),
                Quiesces = command.Setting("quiesces", 0) == 1,
            })
            {
                IsWitness = command.Setting("witnesses") is { } witnesses && witnesses.Split(',').Contains(id.ToString()),
            });
        }
    }

    /// <summary>Restarts a member with a log on disk that has these terms: set-log 2 1,1,2 term=3.</summary>
    private static void SetLog(ScenarioCluster cluster, Command command)
    {
        Member member = cluster[command.Number(0)];
        Term[] terms = [.. command.Words[1].Split(',').Select(term => new Term(ulong.Parse(term)))];
        var term = new Term((ulong)command.Setting("term", (int)terms[^1].Value));
        member.Disk.Submit(new PendingAppend
        {
            WriteId = 1,
            Entries = [.. terms.Select((entryTerm, position) => new Entry(entryTerm, new LogIndex((ulong)position + 1), EntryKind.Empty, default))],
            HardState = new HardState(term, NodeId.None, LogIndex.Zero),
        });
        member.Crash(survivingWrites: 1);
        member.Restart();
    }
}
