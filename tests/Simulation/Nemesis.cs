using MetaStore.Raft;
using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>Makes things go wrong, at random times, in the ways the run's options allow; and ends it all when told to.</summary>
internal sealed class Nemesis
{
    private readonly World _world;
    private readonly SimulationRandom _random;
    private readonly List<Action> _repertoire = [];
    private readonly MembershipNemesis _members;
    private bool _ended;
    private bool _hasRotted;

    public Nemesis(World world, SimulationRandom random)
    {
        _world = world;
        _random = random;
        _members = new MembershipNemesis(world, random.Branch());
        RunOptions options = world.Options;
        if (options.Partitions && options.Nodes > 1)
        {
            _repertoire.AddRange([Isolate, IsolateLeader, CutOneWay, Bridge, SplitInHalves]);
        }

        if (options.Pauses)
        {
            _repertoire.Add(Pause);
        }

        if (options.Crashes)
        {
            _repertoire.AddRange([CrashOne, CrashOne, CrashOne, CrashLeader, CrashAll, KillAtOperation]);
        }

        if (options.DiskErrors)
        {
            _repertoire.AddRange([FailDisk, FillDisk]);
        }

        if (options.BitRot && options.Nodes > 1)
        {
            _repertoire.Add(Rot);
        }

        if (options.MembershipChanges)
        {
            _repertoire.AddRange([ChangeMembers, ChangeMembers, ChangeMembers]);
        }
    }

    /// <summary>Faults so far.</summary>
    public int Faults { get; private set; }

    /// <summary>Whether something that was asked for has not been answered.</summary>
    public bool IsBusy => _members.IsBusy;

    public void Start()
    {
        if (_repertoire.Count > 0)
        {
            Plan();
        }

        if (_world.Options.MembershipChanges)
        {
            StartMembers();
        }
    }

    /// <summary>No more faults: the network is whole, every node is up and awake.</summary>
    public void End()
    {
        _ended = true;
        _world.Network.HealAll();
        _world.Network.IsCalm = true;
        foreach (SimulatedNode node in _world.Nodes)
        {
            _world.Network.Rejoin(node.Id);
            node.Resume();
            node.Disk.Faults = new DiskFaults();
            node.Start();
        }
    }

    private void Plan() => _world.Time.After(_random.Between(100 * VirtualTime.Millisecond, _world.Options.FaultIntervalMax), () =>
    {
        if (_ended)
        {
            return;
        }

        Action fault = _repertoire[_random.Next(_repertoire.Count)];
        Faults++;
        _world.Trace.Add(_world.Time.Now, fault.Method.Name);
        fault();
        Plan();
    });

    private void ChangeMembers() => _members.Change();

    /// <summary>All the while, and to the end: a member that is never started may be the one that a majority needs.</summary>
    private void StartMembers()
    {
        _members.StartMembers();
        _members.RefuseRemoved();
        _world.Time.After(_random.Between(100 * VirtualTime.Millisecond, VirtualTime.Second), StartMembers);
    }

    private SimulatedNode Any() => _world.Nodes[_random.Next(_world.Nodes.Count)];

    private CrashPolicy AnyPolicy() => (CrashPolicy)_random.Next(5);

    private void HealLater() =>
        _world.Time.After(_random.Between(50 * VirtualTime.Millisecond, 5 * VirtualTime.Second), _world.Network.HealAll);

    private void CutBoth(NodeId left, NodeId right)
    {
        _world.Network.Cut(left, right);
        _world.Network.Cut(right, left);
    }

    private void Isolate() => Isolate(Any());

    /// <summary>It goes on believing that it leads, for as long as it may.</summary>
    private void IsolateLeader() => Isolate(_world.Nodes.FirstOrDefault(n => n.LeadsAny) ?? Any());

    private void Isolate(SimulatedNode alone)
    {
        foreach (SimulatedNode other in _world.Nodes.Where(n => n != alone))
        {
            CutBoth(alone.Id, other.Id);
        }

        HealLater();
    }

    private void CutOneWay()
    {
        SimulatedNode deaf = Any();
        foreach (SimulatedNode other in _world.Nodes.Where(n => n != deaf))
        {
            if (_random.Chance(0.7))
            {
                _world.Network.Cut(other.Id, deaf.Id);
            }
        }

        HealLater();
    }

    /// <summary>A chain: two sides that both reach one node in the middle, and not each other.</summary>
    private void Bridge()
    {
        SimulatedNode middle = Any();
        SimulatedNode[] others = [.. _world.Nodes.Where(n => n != middle)];
        for (int i = 0; i < others.Length; i++)
        {
            for (int j = i + 1; j < others.Length; j++)
            {
                if (i % 2 != j % 2)
                {
                    CutBoth(others[i].Id, others[j].Id);
                }
            }
        }

        HealLater();
    }

    private void SplitInHalves()
    {
        bool[] side = [.. _world.Nodes.Select(_ => _random.Chance(0.5))];
        for (int i = 0; i < side.Length; i++)
        {
            for (int j = i + 1; j < side.Length; j++)
            {
                if (side[i] != side[j])
                {
                    CutBoth(_world.Nodes[i].Id, _world.Nodes[j].Id);
                }
            }
        }

        HealLater();
    }

    private void Pause() => Any().Pause(_random.Between(10 * VirtualTime.Millisecond, 5 * VirtualTime.Second));

    private void CrashOne() => Crash(Any());

    private void CrashLeader()
    {
        SimulatedNode? leader = _world.Nodes.FirstOrDefault(n => n.LeadsAny);
        Crash(leader ?? Any());
    }

    /// <summary>A power cut in the whole room.</summary>
    private void CrashAll()
    {
        foreach (SimulatedNode node in _world.Nodes)
        {
            Crash(node);
        }
    }

    private void Crash(SimulatedNode node)
    {
        if (node.IsUp)
        {
            node.Crash(AnyPolicy());
            RestartLater(node);
        }
    }

    private void RestartLater(SimulatedNode node) =>
        _world.Time.After(_random.Between(10 * VirtualTime.Millisecond, 4 * VirtualTime.Second), () => _world.Restart(node, AtStartFaults()));

    /// <summary>Sometimes the power goes again while the node recovers.</summary>
    private DiskFaults AtStartFaults() =>
        _ended || _random.Chance(0.8)
            ? new DiskFaults()
            : new DiskFaults { PowerOffAtOperation = 1 + _random.Next(12), CrashLeavesPartialWrite = _random.Chance(0.5) };

    /// <summary>The power goes in the middle of one of the next disk operations, before, after or half-way through its effect.</summary>
    private void KillAtOperation()
    {
        SimulatedNode node = Any();
        node.Disk.Faults = new DiskFaults
        {
            PowerOffAtOperation = node.Disk.Operations + 1 + _random.Next(30),
            CrashLeavesPartialWrite = _random.Chance(0.5),
        };
    }

    private void FailDisk() => Any().Disk.Faults = new DiskFaults { ErrorProbability = _random.NextDouble() * 0.1 };

    private void FillDisk() => Any().Disk.Faults = new DiskFaults { NoSpaceProbability = _random.NextDouble() * 0.3 };

    /// <summary>A bit flips on a disk, of one node of the run only, while it is down. It comes back whole, or says why it does not.</summary>
    private void Rot()
    {
        SimulatedNode? node = _hasRotted ? null : _world.Nodes.FirstOrDefault(n => !n.IsUp && !n.IsRetired) ?? Any();
        if (node is null || (!node.IsUp && node.MayRefuse))
        {
            return;
        }

        if (node.IsUp)
        {
            node.Crash(CrashPolicy.KeepAll);
            RestartLater(node);
        }

        _hasRotted = true;
        node.MayRefuse = true;
        (string Path, long Offset, int Bit)? place = node.Disk.FlipRandomBit(_random.Chance(0.8) ? "/data/wal" : "/data/snap", string.Empty);
        _world.Trace.Note(_world.Time.Now, $"a bit of node {node.Id} rots: {place}");
    }
}
