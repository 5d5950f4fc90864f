using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>Three whole nodes on memory disks, stepped by the test's thread; what one sends the others get at once. Requests go to each of them in turn.</summary>
internal sealed class SteppedCluster : SteppedStore, IDisposable
{
    private const int Size = 3;

    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(20);

    private readonly FaultyDisk[] _disks = [.. Enumerable.Range(0, Size).Select(i => new FaultyDisk(new Random(i)))];
    private readonly NodeCore[] _nodes = new NodeCore[Size];
    private readonly Queue<(NodeId To, GroupId Group, Message Message)> _wire = new();
    private readonly SnapshotOptions _snapshots;
    private readonly Func<int, TimeSpan> _electionTimeout;
    private readonly Dictionary<(int Node, string Loop), int> _signals = [];
    private ulong _seed = 1;
    private int _turn;

    /// <param name="snapshots">Settings of all of them.</param>
    /// <param name="electionTimeout">That of each node; null: a second.</param>
    public SteppedCluster(SnapshotOptions snapshots, Func<int, TimeSpan>? electionTimeout = null)
    {
        _snapshots = snapshots;
        _electionTimeout = electionTimeout ?? (_ => TimeSpan.FromSeconds(1));
        for (int i = 0; i < Size; i++)
        {
            _nodes[i] = Open(i);
        }

        AwaitLeader();
    }

    public IReadOnlyList<NodeCore> Nodes => _nodes;

    /// <summary>Messages that the nodes have sent.</summary>
    public long Sent { get; private set; }

    /// <summary>How often a loop of a node was signalled.</summary>
    public int SignalsOf(int node, string loop) => _signals.GetValueOrDefault((node, loop));

    /// <summary>Messages that get lost on their way.</summary>
    public Func<NodeId, Message, bool> IsLost { get; set; } = (_, _) => false;

    protected override IMetaStore Door => _nodes[_turn = (_turn + 1) % Size];

    /// <summary>Kills a node and starts it again from what is on its disk. The others choose another leader, if it led.</summary>
    public void Restart(int node, CrashPolicy policy)
    {
        _disks[node].Crash(policy);
        _nodes[node] = Open(node);
        AwaitLeader();
    }

    /// <inheritdoc/>
    public override void Settle()
    {
        bool worked = true;
        while (worked)
        {
            worked = false;
            foreach (NodeCore node in _nodes)
            {
                foreach (ILoop loop in node.Loops)
                {
                    worked |= loop.RunOnce();
                }

                if (node.Failure.Cause is Exception cause)
                {
                    throw cause;
                }
            }

            while (_wire.TryDequeue(out (NodeId To, GroupId Group, Message Message) sent))
            {
                if (!IsLost(sent.To, sent.Message))
                {
                    _nodes[(int)sent.To.Value - 1].Receive(sent.Group, sent.Message);
                    worked = true;
                }
            }
        }
    }

    /// <summary>Lets time pass until all have applied what any has.</summary>
    public void AwaitAgreement()
    {
        for (int i = 0; i < 10_000 && _nodes.Select(node => node.View.AppliedIndex).Distinct().Count() > 1; i++)
        {
            Step();
        }

        Assert.Single(_nodes.Select(node => (node.View.AppliedIndex, node.View.Digest)).Distinct());
    }

    public void Dispose() => Array.ForEach(_nodes, node => node.Dispose());

    /// <summary>Lets time pass.</summary>
    public void Pass(TimeSpan time)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += s_step)
        {
            Step();
        }
    }

    /// <summary>Lets time pass until something is so.</summary>
    public void Await(Func<bool> condition, string what)
    {
        for (int i = 0; i < 10_000 && !condition(); i++)
        {
            Step();
        }

        Assert.True(condition(), what);
    }

    private void AwaitLeader()
    {
        for (int i = 0; i < 10_000 && !HasLeader(); i++)
        {
            Step();
        }

        Assert.True(HasLeader(), "three nodes find a leader");
    }

    private bool HasLeader()
    {
        NodeId leader = _nodes[0].Node.Status.Leader;
        return !leader.IsNone && _nodes.All(node => node.Node.Status.Leader == leader && node.Node.Status.Term == _nodes[0].Node.Status.Term)
            && _nodes[(int)leader.Value - 1].Node.Status.Role == Role.Leader;
    }

    private void Step()
    {
        Time.Advance(s_step);
        Settle();
    }

    private NodeCore Open(int node) => new(
        new NodeSettings
        {
            Name = $"n{node + 1}",
            ClusterId = 7,
            NodeId = new NodeId((ulong)node + 1),
            Members = [.. Enumerable.Range(1, Size).Select(id => new Member((ulong)id, $"n{id}", [$"http://n{id}:2380"], []))],
            DataDirectory = "/data",
            Seed = _seed++,
            Snapshots = _snapshots,
            ElectionTimeout = _electionTimeout(node),
            Wal = new WalOptions { SegmentBytes = 64 << 10 },
        },
        new NodeSeams
        {
            Disk = _disks[node],
            Transport = new Wire(this),
            Time = Time,
            Parts = new InlineForkJoin(2),
            Signals = loop => new CountedSignal(() => _signals[(node, loop)] = SignalsOf(node, loop) + 1),
            RunContinuationsAsynchronously = false,
        });

    /// <summary>All loops are stepped, signalled or not.</summary>
    private sealed class CountedSignal(Action set) : ILoopSignal
    {
        public void Set() => set();
    }

    private sealed class Wire(SteppedCluster cluster) : IPeerTransport
    {
        public void Send(GroupId group, Message message)
        {
            cluster.Sent++;
            cluster._wire.Enqueue((message.To, group, message));
        }

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // Everybody reaches everybody.
        }
    }
}
