using System.Text;
using MetaStore.Raft.Tests.Cluster;

namespace MetaStore.Raft.Tests.Scenarios;

/// <summary>What the commands of a script act on: the members, the messages on their way, and the output of the step.</summary>
internal sealed class ScenarioCluster
{
    private readonly SortedDictionary<ulong, Member> _members = [];
    private readonly List<Member> _list = [];

    public ScenarioCluster()
    {
        Checker = new ClusterChecker(_list);
    }

    public ClusterChecker Checker { get; }

    public StringBuilder Output { get; } = new();

    public List<Message> InFlight { get; } = [];

    /// <summary>Snapshots that arrived and are not installed yet.</summary>
    public Dictionary<ulong, Message> Received { get; } = [];

    public IEnumerable<ulong> Ids => _members.Keys;

    /// <summary>The members that run.</summary>
    public IEnumerable<ulong> UpIds => _members.Where(member => member.Value.IsUp).Select(member => member.Key);

    public Member this[ulong id] => _members[id];

    public void Add(Member member)
    {
        _members.Add(member.Id.Value, member);
        _list.Add(member);
    }

    public void Print(string line) => Output.Append(line).Append('\n');

    /// <summary>Takes one Ready, shows it if asked to, and puts its messages on their way.</summary>
    public void Process(ulong id, bool quiet)
    {
        Member member = this[id];
        Checker.Check();
        Ready ready = member.Process();
        if (!quiet)
        {
            Describe.Ready(Output, member.Id, ready);
        }

        InFlight.AddRange(ready.Messages);
        foreach (ReadState read in ready.Reads)
        {
            Checker.ReadAnswered(read);
        }

        foreach (ReadContext context in ready.AbortedReads)
        {
            Checker.ReadAborted(context);
        }

        foreach (Message message in ready.SnapshotTraffic.Where(message => message.Kind == MessageKind.SnapshotChunk))
        {
            Received[id] = message;
        }
    }

    /// <summary>Hands a message to its receiver, through the codec.</summary>
    public void Deliver(Message message)
    {
        InFlight.Remove(message);
        Member receiver = this[message.To.Value];
        if (receiver.IsUp)
        {
            var bytes = new byte[MessageCodec.GetLength(message)];
            MessageCodec.Write(message, bytes);
            receiver.Node.Step(MessageCodec.Read(bytes));
        }
    }
}
