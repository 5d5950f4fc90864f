using MetaStore.Engine.Members;
using MetaStore.Raft;
using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>Makes things go wrong, at random times, in the ways the run's options allow; and ends it all when told to.</summary>
internal sealed class Nemesis
{
    private readonly World _world;
    private readonly SimulationRandom _random;
    private readonly List<Func<bool>> _repertoire = [];
    private readonly SortedDictionary<string, int> _byKind = new(StringComparer.Ordinal);
    private readonly MembershipNemesis _members;
    private bool _ended;

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

        if (options.BitRot)
        {
            _repertoire.Add(Rot);
        }

        if (options.MisdirectedWrites)
        {
            _repertoire.Add(Misdirect);
        }

        if (options.Reformats)
        {
            _repertoire.Add(Reformat);
        }

        if (options.DiskStalls)
        {
            _repertoire.AddRange([StallDisk, StallDisk]);
        }

        if (options.ClockJumps)
        {
            _repertoire.Add(JumpClock);
        }

        if (options.MembershipChanges)
        {
            _repertoire.AddRange([ChangeMembers, ChangeMembers, ChangeMembers]);
        }
    }

    /// <summary>What went wrong so far, by kind. What was tried and changed nothing (the node was down already, or had to be spared) does not count.</summary>
    public IReadOnlyDictionary<string, int> Faults => _byKind;

    /// <inheritdoc cref="MembershipNemesis.CheckAnswers"/>
    public void CheckAnswers(IReadOnlyList<Membership> committed) => _members.CheckAnswers(committed);

    /// <inheritdoc cref="MembershipNemesis.Replaced"/>
    public int Replaced => _members.Replaced;

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
            if (node.IsUp && node.MayRefuse)
            {
                node.Crash(CrashPolicy.KeepAll); // What is damaged comes to light, and is repaired.
            }

            node.Start();
        }
    }

    private void Plan() => _world.Time.After(_random.Between(100 * VirtualTime.Millisecond, _world.Options.FaultIntervalMax), () =>
    {
        if (_ended)
        {
            return;
        }

        Func<bool> fault = _repertoire[_random.Next(_repertoire.Count)];
        _world.Trace.Add(_world.Time.Now, fault.Method.Name);
        if (fault())
        {
            _byKind[fault.Method.Name] = _byKind.GetValueOrDefault(fault.Method.Name) + 1;
        }

        Plan();
    });

    private bool ChangeMembers() => _members.Change();

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

    private bool Cut(Action cut)
    {
        cut();
        HealLater();
        return true;
    }

    private void CutBoth(NodeId left, NodeId right)
    {
        _world.Network.Cut(left, right);
        _world.Network.Cut(right, left);
    }

    private bool Isolate() => Isolate(Any());

    /// <summary>It goes on believing that it leads, for as long as it may.</summary>
    private bool IsolateLeader() => Isolate(_world.Nodes.FirstOrDefault(n => n.LeadsAny) ?? Any());

    private bool Isolate(SimulatedNode alone) => Cut(() =>
    {
        foreach (SimulatedNode other in _world.Nodes.Where(n => n != alone))
        {
            CutBoth(alone.Id, other.Id);
        }
    });

    private bool CutOneWay() => Cut(() =>
    {
        SimulatedNode deaf = Any();
        foreach (SimulatedNode other in _world.Nodes.Where(n => n != deaf))
        {
            if (_random.Chance(0.7))
            {
                _world.Network.Cut(other.Id, deaf.Id);
            }
        }
    });

    /// <summary>A chain: two sides that both reach one node in the middle, and not each other.</summary>
    private bool Bridge() => Cut(() =>
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
    });

    private bool SplitInHalves() => Cut(() =>
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
    });

    private bool Pause() => IfUp(Any(), node => node.Pause(_random.Between(10 * VirtualTime.Millisecond, 5 * VirtualTime.Second)));

    private bool CrashOne() => Crash(Any());

    private bool CrashLeader() => Crash(_world.Nodes.FirstOrDefault(n => n.LeadsAny) ?? Any());

    /// <summary>A power cut in the whole room.</summary>
    private bool CrashAll() => _world.Nodes.Count(Crash) > 0;

    private bool Crash(SimulatedNode node) => IfUp(node, _ =>
    {
        node.Crash(AnyPolicy());
        RestartLater(node);
    });

    private static bool IfUp(SimulatedNode node, Action<SimulatedNode> fault)
    {
        bool isUp = node.IsUp;
        if (isUp)
        {
            fault(node);
        }

        return isUp;
    }

    private void RestartLater(SimulatedNode node) =>
        _world.Time.After(_random.Between(10 * VirtualTime.Millisecond, 4 * VirtualTime.Second), () => _world.Restart(node, AtStartFaults()));

    /// <summary>Sometimes the power goes again while the node recovers.</summary>
    private DiskFaults AtStartFaults() =>
        _ended || _random.Chance(0.8)
            ? new DiskFaults()
            : new DiskFaults { PowerOffAtOperation = 1 + _random.Next(12), CrashLeavesPartialWrite = _random.Chance(0.5) };

    /// <summary>The power goes in the middle of one of the next disk operations, before, after or half-way through its effect.</summary>
    private bool KillAtOperation() => IfUp(Any(), node => node.Disk.Faults = new DiskFaults
    {
        PowerOffAtOperation = node.Disk.Operations + 1 + _random.Next(30),
        CrashLeavesPartialWrite = _random.Chance(0.5),
    });

    private bool FailDisk() => IfUp(Any(), node => node.Disk.Faults = new DiskFaults { ErrorProbability = _random.NextDouble() * 0.1 });

    private bool FillDisk() => IfUp(Any(), node => node.Disk.Faults = new DiskFaults { NoSpaceProbability = _random.NextDouble() * 0.3 });

    /// <summary>A bit flips on a disk while its node is down. It comes back whole, or says why it does not, and is repaired.</summary>
    private bool Rot()
    {
        if (TakeToDamage(mayBeDown: true) is not { } node)
        {
            return false;
        }

        if (node.IsUp)
        {
            node.Crash(CrashPolicy.KeepAll);
            RestartLater(node);
        }

        node.MayRefuse = true;
        (string Path, long Offset, int Bit)? place = _random.Next(10) switch
        {
            < 7 => node.Disk.FlipRandomBit("/data/wal", string.Empty),
            < 9 => node.Disk.FlipRandomBit("/data/snap", string.Empty),
            _ => node.Disk.FlipRandomBit("/data", _random.Chance(0.5) ? "vote.a" : "vote.b"), // The other copy has the same.
        };
        _world.Trace.Note(_world.Time.Now, $"a bit of node {node.Id} rots: {place}");
        return place is not null;
    }

    /// <summary>The node goes on, and finds out when it starts again, unless what was hit is not needed any more by then.</summary>
    private bool Misdirect()
    {
        if (TakeToDamage(mayBeDown: false) is not { } node)
        {
            return false;
        }

        node.Disk.Misdirected = what =>
        {
            node.MayRefuse = true;
            _world.Trace.Note(_world.Time.Now, $"node {node.Id}: {what}");
        };
        node.Disk.MisdirectNext(".wal");
        node.MayRefuse = true;
        return true;
    }

    /// <summary>Its peers know its directory by name: what comes from the empty one is refused.</summary>
    private bool Reformat()
    {
        SimulatedNode? node = TakeToDamage(mayBeDown: false);
        bool isKnownToAll = node is not null && _world.Nodes.Where(other => other != node && !other.IsRetired).All(other =>
            other.Core is { } core
            && core.Node.Raft.MembershipIndex <= core.Node.Raft.DurableIndex
            && MemberTable.From(core.Node.Raft.Membership).Find(node.Id.Value)?.DirectoryId == node.Core!.DirectoryId);
        if (isKnownToAll)
        {
            node!.Crash(CrashPolicy.LoseAll);
            node.Wipe();
            RestartLater(node);
            _world.Trace.Note(_world.Time.Now, $"the disk of node {node.Id} is replaced by an empty one");
        }

        return isKnownToAll;
    }

    /// <summary>A node that each membership that any node goes by can do without, with no other in the offing.</summary>
    private SimulatedNode? TakeToDamage(bool mayBeDown)
    {
        (Membership Membership, bool IsCommitted)[] known =
            [.. _world.Nodes.Where(other => !other.IsRetired).SelectMany(other => other.Memberships).Where(view => view.Membership.All.Any())];
        if (known.Length == 0 || _members.IsChangeInTheOffing || !Array.TrueForAll(known, view => view.IsCommitted))
        {
            return null;
        }

        SimulatedNode[] fit = [.. _world.Nodes.Where(node =>
            !node.IsRetired && !node.IsUnsound && (mayBeDown || node.IsUp) && Array.TrueForAll(known, view => CanDoWithout(view.Membership, node)))];
        return fit.Length == 0 ? null : fit[_random.Next(fit.Length)];
    }

    /// <summary>
    /// A minority of the voters is damaged at a time, those included that have not caught up. A learner is damaged only where it would be the one unsound voter
    /// of three or more: it may become a voter by itself, before anybody knows of the damage.
    /// </summary>
    private bool CanDoWithout(Membership membership, SimulatedNode node)
    {
        bool IsUnsound(NodeId member) => member == node.Id || _world.Find(member) is null or { IsUnsound: true };
        int voters = membership.Voters.Count(IsUnsound);
        int learners = membership.Learners.Count(IsUnsound);
        return !membership.IsJoint
            && (learners == 0 ? voters <= (membership.Voters.Count - 1) / 2 : voters == 0 && learners == 1 && membership.Voters.Count >= 2);
    }

    /// <summary>Longer than an election timeout, at times: whoever leads should not be the one whose disk takes nothing.</summary>
    private bool StallDisk() => IfUp(Any(), node => node.StallDisk(_random.Between(100 * VirtualTime.Millisecond, 5 * VirtualTime.Second)));

    /// <summary>
    /// Where leaders have a lease, by so much that it counts as a pause, as after a suspend: many small jumps are a clock that runs fast beyond what the lease
    /// allows for.
    /// </summary>
    private bool JumpClock() => IfUp(Any(), node => node.JumpClock(_random.Between(
        _world.Options.Lease ? VirtualTime.Second : 10 * VirtualTime.Millisecond, _random.Chance(0.5) ? 2 * VirtualTime.Second : 1000 * VirtualTime.Second)));
}
