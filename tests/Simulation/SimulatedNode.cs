using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Members;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Simulation;

/// <summary>One member with its disk and clock, through all its lives. Steps the loops of the shipped classes.</summary>
internal sealed class SimulatedNode
{
    /// <summary>Between two heartbeats of a leader.</summary>
    public const long Tick = 50 * VirtualTime.Millisecond;

    private readonly World _world;
    private readonly SimulationRandom _random;
    private readonly DriftingClock _clock;
    private readonly FaultyDisk _disk;
    private readonly Dictionary<GroupId, NodeInvariants> _invariants;
    private readonly bool _isFounder;
    private Life? _life;
    private Membership? _membership;
    private MemberTable? _members;
    private long _pausedUntil;
    private int _resumedInFormerLives;

    public SimulatedNode(World world, NodeId id, SimulationRandom random, bool isFounder)
    {
        _isFounder = isFounder;
        _world = world;
        Id = id;
        _random = random;
        double share = (2 * random.NextDouble()) - 1;
        double drift = (world.Options.ClocksAtExtremes ? Math.Sign(share) : share) * world.Options.ClockDriftMax;
        _clock = new DriftingClock(world.Time, 1 + drift, random.NextInt64(1000 * VirtualTime.Second));
        _disk = new FaultyDisk(random.Branch());
        _invariants = world.Groups.ToDictionary(group => group.Id, group => new NodeInvariants(id, group.Invariants));
    }

    public NodeId Id { get; }

    public FaultyDisk Disk => _disk;

    public ILoopHost? Host => _life?.Host;

    /// <summary>The node, in runs of one group.</summary>
    public NodeCore? Core => _life?.Host as NodeCore;

    /// <summary>It leads some group.</summary>
    public bool LeadsAny => _life is not null && _life.Host.Groups.Any(group => group.Node.Raft.Role == Role.Leader);

    /// <summary>It is not started, whoever wants it to.</summary>
    public bool IsKeptDown { get; set; }

    public bool IsUp => _life is not null;

    /// <summary>Snapshot transfers of this node, in all its lives, that went on where one before them had stopped.</summary>
    public int SnapshotsResumed => _resumedInFormerLives + (_life?.Host.Groups.Sum(group => group.Snapshot.TransfersResumed) ?? 0);

    /// <summary>The node is gone for good: it refuses its damaged disk, or was removed.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Its disk was damaged on purpose: a refusal to start is the right answer.</summary>
    public bool MayRefuse { get; set; }

    /// <summary>The members as this node has applied them; it is up, and of one group. Looked at for each message, so it is decoded once.</summary>
    public MemberTable Members
    {
        get
        {
            Membership membership = Core!.View.Membership;
            if (!ReferenceEquals(membership, _membership))
            {
                _membership = membership;
                _members = MemberTable.From(membership);
            }

            return _members!;
        }
    }

    public bool IsPaused => _world.Time.Now < _pausedUntil;

    public void Start() => Start(new DiskFaults());

    /// <summary>Starts the node; the faults count the disk operations from here.</summary>
    public void Start(DiskFaults faults)
    {
        if (IsUp || IsRetired || IsKeptDown)
        {
            return;
        }

        _disk.Faults = faults with { PowerOffAtOperation = faults.PowerOffAtOperation == 0 ? 0 : _disk.Operations + faults.PowerOffAtOperation };
        var life = new Life(this);
        try
        {
            NodeSeams seams = life.Seams(_disk, _clock);
            life.Host = _world.Groups.Count == 1 ? new NodeCore(Settings(), seams) : new GroupHost(Settings(), seams, [.. _world.Groups.Select(group => group.Id)]);
        }
        catch (Exception error) when (Root(error) is CorruptionException)
        {
            if (!MayRefuse)
            {
                throw new SimulationFailure(FailureKind.Correctness, $"node {Id} refuses an undamaged disk: {error.Message}", error);
            }

            IsRetired = true;
            _world.Trace.Note(_world.Time.Now, $"node {Id} refuses to start: {error.Message}");
            return;
        }
        catch (SimulatedCrashException)
        {
            // The power went during recovery; NodeDied plans the next try.
            Crash(CrashPolicy.KeepRandom);
            return;
        }
        catch (Exception error)
        {
            throw new SimulationFailure(FailureKind.Crash, $"node {Id} does not start: {error.Message}", error);
        }

        _disk.Faults = new DiskFaults();

        _life = life;
        foreach (GroupCore group in life.Host.Groups)
        {
            _world.Trace.Add(_world.Time.Now, "start", Id.Value, group.Node.Raft.Term.Value, group.Node.Raft.LastIndex.Value);
            _invariants[group.Group].AfterStart(group);
        }

        foreach (ILoop loop in life.Host.Loops)
        {
            life.Schedule(loop.Name, _world.Time.Now);
        }
    }

    /// <summary>The power goes, or only the process: what was not synced may be lost or torn.</summary>
    public void Crash(CrashPolicy policy)
    {
        if (_life is not null)
        {
            _world.Trace.Add(_world.Time.Now, "crash", Id.Value, (ulong)policy);
            _resumedInFormerLives = SnapshotsResumed;
            foreach (GroupCore group in _life.Host.Groups)
            {
                _invariants[group.Group].BeforeCrash(group);
            }

            _life = null;
        }

        _disk.Crash(policy);
        _world.NodeDied(this);
    }

    public void Pause(long duration) => _pausedUntil = Math.Max(_pausedUntil, _world.Time.Now + duration);

    public void Resume() => _pausedUntil = 0;

    public void Deliver(GroupId group, Message message) => _life?.Host.Receive(group, message);

    /// <summary>The store of a group, as a client of this node reaches it.</summary>
    public GroupCore? StoreOf(GroupId group) => _life?.Host.Groups.First(core => core.Group == group);

    private NodeSettings Settings() => new()
    {
        Name = $"n{Id}",
        ClusterId = 0xC1,
        NodeId = Id,
        Members = _isFounder ? _world.Members : [],
        DataDirectory = "/data",
        HeartbeatInterval = TimeSpan.FromMilliseconds(Tick / VirtualTime.Millisecond),
        ElectionTimeout = TimeSpan.FromMilliseconds(500),
        RequestTimeout = TimeSpan.FromSeconds(3),
        Proposer = new ProposerOptions { BatchOperationsMax = _world.Options.BatchOperations },
        Snapshots = new SnapshotOptions
        {
            EntriesMin = _world.Options.SnapshotEntries,
            LogBytesMin = (256 << 10) / _world.Groups.Count,
            SliceBytes = 2048,
            ChunkBytes = _world.Options.ChunkBytes,
            EntriesKept = _world.Options.SnapshotEntriesKept,
            ResendTicks = 10,
            GiveUpTicks = 60,
            CatchUpBytesMin = _world.Options.CatchUpBytes,
            TransfersMax = _world.Options.SnapshotTransfers,
            BytesPerSecondMax = _world.Options.SnapshotRate,
        },
        AppendBytesMax = _world.Options.AppendBytesMax,
        StateCheckEntries = 20,
        SessionsMax = _world.Options.SessionsMax,
        ClockDriftMax = _world.Options.Lease ? 0.1 : 1,
        Wal = new WalOptions { SegmentBytes = _world.Options.SegmentBytes },
        Seed = _random.NextUInt64(),
    };

    private void Died(Exception cause)
    {
        _world.Trace.Note(_world.Time.Now, $"node {Id} failed: {cause.Message}");
        IsRetired = Root(cause) is MemberRefusedException;
        bool expected = IsRetired || Root(cause) is DiskException or SimulatedCrashException;
        if (!expected)
        {
            throw new SimulationFailure(FailureKind.Crash, $"node {Id}: {cause.Message}", cause);
        }

        // A supervisor restarts it; what it had not synced is still in the cache, unless the failed sync threw it away.
        Crash(CrashPolicy.ProcessKill);
    }

    private static Exception Root(Exception error) => error.InnerException is null ? error : Root(error.InnerException);

    /// <summary>One life of the node, from a start to a crash. Its loops run as events.</summary>
    private sealed class Life(SimulatedNode node)
    {
        private readonly Dictionary<string, long> _scheduled = new(StringComparer.Ordinal);
        private readonly HashSet<GroupId> _leads = [];
        private bool _running;

        public ILoopHost Host { get; set; } = null!;

        private SimulatedNode Node => node;

        private bool IsOver => !ReferenceEquals(node._life, this);

        public NodeSeams Seams(IDisk disk, TimeProvider time) => new()
        {
            Disk = disk,
            Transport = new Outlet(this),
            Time = time,
            Signals = name => new Signal(this, name),
            RunContinuationsAsynchronously = false,
        };

        public void Wake(string loop)
        {
            if (node._life is not null && !IsOver)
            {
                Schedule(loop, node._world.Time.Now + Delay(loop));
            }
        }

        public void Schedule(string loop, long time)
        {
            if (_scheduled.TryGetValue(loop, out long earlier) && earlier <= time)
            {
                return;
            }

            _scheduled[loop] = time;
            node._world.Time.At(time, () => Run(loop, time));
        }

        private long Delay(string loop)
        {
            bool disk = loop is "log" or "snapshot";
            long longest = disk && !node._world.Network.IsCalm ? node._world.Options.DiskDelayMax : 2 * VirtualTime.Millisecond;
            return node._random.Between(10 * VirtualTime.Microsecond, longest);
        }

        private void Run(string name, long time)
        {
            if (IsOver || _scheduled.GetValueOrDefault(name) != time)
            {
                return;
            }

            if (node.IsPaused)
            {
                _scheduled.Remove(name);
                Schedule(name, node._pausedUntil);
                return;
            }

            _scheduled.Remove(name);
            Step(name);
        }

        private void Step(string name)
        {
            Invariant.Check(!_running, "a loop ran inside another");
            ILoop loop = Host.Loops.First(l => l.Name == name);
            try
            {
                _running = true;
                bool worked = loop.RunOnce();
                if (IsOver)
                {
                    return;
                }

                foreach (GroupCore group in Host.Groups)
                {
                    node._invariants[group.Group].AfterStep(group);
                    TellElection(group);
                }

                if (worked)
                {
                    Schedule(name, node._world.Time.Now + Delay(name));
                }
                else if (loop.NextWake != long.MaxValue)
                {
                    Schedule(name, node._clock.ToRunTime(loop.NextWake));
                }
            }
            catch (Exception error) when (error is not SimulationFailure)
            {
                Host.Failure.Fail(name, error);
            }
            finally
            {
                _running = false;
            }

            if (Host.Failure.IsFailed)
            {
                node.Died(Host.Failure.Cause!);
            }
        }

        private void TellElection(GroupCore group)
        {
            if (group.Node.Raft.Role != Role.Leader)
            {
                _leads.Remove(group.Group);
            }
            else if (_leads.Add(group.Group))
            {
                node._world.Hunt.Elected(node);
            }
        }

        private sealed class Outlet(Life life) : IPeerTransport
        {
            public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
            {
                // The simulated network reaches everybody; see World.Deliver for those who were removed.
            }

            public void Send(GroupId group, Message message)
            {
                if (!life.IsOver)
                {
                    life.Node._invariants.GetValueOrDefault(group)?.Sent(message);
                    life.Node._world.Network.Send(life.Node.Id, group, message);
                    if (message is { Kind: MessageKind.VoteReply, Reject: false })
                    {
                        life.Node._world.Hunt.Voted(life.Node);
                    }
                }
            }
        }

        private sealed class Signal(Life life, string loop) : ILoopSignal
        {
            public void Set() => life.Wake(loop);
        }
    }
}
