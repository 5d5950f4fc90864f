using MetaStore.Engine;
using MetaStore.Engine.Hosting;
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

    /// <summary>How long a request waits for its answer, by its node's clock.</summary>
    public const long RequestTimeout = 3 * VirtualTime.Second;

    private const long ElectionTimeout = 500 * VirtualTime.Millisecond;
    private const long MixedTimeoutLeast = 300 * VirtualTime.Millisecond;
    private const long MixedTimeoutMost = 2000 * VirtualTime.Millisecond;

    /// <summary>The drift of clocks that leaders' leases allow for.</summary>
    private const double LeaseDriftMax = 0.1;

    /// <summary>By what share an age may be told too small: by none where clocks are as right as the nodes believe.</summary>
    public static double ClockErrorBeyondBound(RunOptions options) => Math.Max(0, 1 - ((1 - options.ClockDriftMax) / (1 - LeaseDriftMax)));

    private const string DataDirectory = "/data";

    private readonly World _world;
    private readonly SimulationRandom _random;
    private readonly DriftingClock _clock;
    private readonly FaultyDisk _disk;
    private readonly Dictionary<GroupId, NodeInvariants> _invariants;
    private bool _isFounder;
    private Life? _life;
    private long _pausedUntil;
    private int _resumedInFormerLives;
    private long _agreedInFormerLives;
    private long _diskStalledUntil;
    private bool _hasRefused;
    private IReadOnlyList<(Membership Membership, bool IsCommitted)> _lastMemberships = [];

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
        _invariants = world.Groups.ToDictionary(group => group.Id, group => new NodeInvariants(id, group.Invariants, world.Options.ClockDriftMax <= LeaseDriftMax ? _clock : null));
    }

    /// <summary>The longest election timeout that a member of such a run may have.</summary>
    public static long ElectionTimeoutMax(RunOptions options) => options.MixedTimeouts ? MixedTimeoutMost : ElectionTimeout;

    public NodeId Id { get; }

    public FaultyDisk Disk => _disk;

    public ILoopHost? Host => _life?.Host;

    /// <summary>The node, in runs of one group.</summary>
    public NodeCore? Core => _life?.Host as NodeCore;

    /// <summary>The memberships that the node goes by, one for each group; of a node that is down, those it went by when it died.</summary>
    public IReadOnlyList<(Membership Membership, bool IsCommitted)> Memberships => _life is null
        ? _lastMemberships
        : [.. _life.Host.Groups.Select(group => (group.Node.Raft.Membership, group.Node.Raft.MembershipIndex <= group.Node.Raft.CommitIndex))];

    /// <summary>It leads some group.</summary>
    public bool LeadsAny => _life is not null && _life.Host.Groups.Any(group => group.Node.Raft.Role == Role.Leader);

    /// <summary>It is not started, whoever wants it to.</summary>
    public bool IsKeptDown { get; set; }

    public bool IsUp => _life is not null;

    /// <summary>Snapshot transfers of this node, in all its lives, that went on where one before them had stopped.</summary>
    public int SnapshotsResumed => _resumedInFormerLives + (_life?.Host.Groups.Sum(group => group.Snapshot.TransfersResumed) ?? 0);

    /// <summary>States of this node, in all its lives, that it compared with the others' and found equal.</summary>
    public long StatesAgreed => _agreedInFormerLives + (_life?.Host.Groups.Sum(group => group.Apply.ChecksAgreed) ?? 0);

    /// <summary>The last state of the first group that this node, in this life, compared with the others' and found equal.</summary>
    public ulong? AgreedDigest => _life?.Host.Groups[0].Apply.AgreedDigest;

    /// <summary>The node is gone for good: it was removed, its disk was wiped, or nobody knows its term and vote any more.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Its disk was damaged on purpose: a refusal to start is the right answer, and a repair the next step.</summary>
    public bool MayRefuse { get; set; }

    /// <summary>Its disk was wiped: what it had promised is lost, and nobody may listen to it.</summary>
    public bool IsWiped { get; private set; }

    /// <summary>It may lack what it acknowledged: damaged, under repair, or not caught up yet.</summary>
    public bool IsUnsound => MayRefuse || _hasRefused || IsWiped || IsLost || RecoveryMarker.Exists(_disk, DataDirectory);

    /// <summary>Its term and vote were lost with its log: it cannot be repaired.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Whom the node's transport was last told of, in this life.</summary>
    public MemberDirectory Known { get; private set; } = MemberDirectory.Nobody;

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
        Known = MemberDirectory.Nobody;
        var life = new Life(this);
        try
        {
            if (_hasRefused && !Repair())
            {
                return;
            }

            NodeSeams seams = life.Seams(_disk, _clock);
            life.Host = _world.Groups.Count == 1 ? new NodeCore(Settings(), seams) : new GroupHost(Settings(), seams, [.. _world.Groups.Select(group => group.Id)]);
        }
        catch (Exception error) when (Root(error) is CorruptionException)
        {
            if (!MayRefuse)
            {
                throw new SimulationFailure(FailureKind.Correctness, $"node {Id} refuses an undamaged disk: {error.Message}", error);
            }

            _hasRefused = true;
            _world.Trace.Note(_world.Time.Now, $"node {Id} refuses to start: {error.Message}");
            Crash(CrashPolicy.ProcessKill);
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
        MayRefuse = false; // Everything was read, and found to be sound.

        _life = life;
        foreach (GroupCore group in life.Host.Groups)
        {
            _world.Trace.Add(_world.Time.Now, "start", Id.Value, group.Node.Raft.Term.Value, group.Node.Raft.LastIndex.Value);
            _invariants[group.Group].AfterStart(group);
        }

        life.Begin();
    }

    /// <summary>The power goes, or only the process: what was not synced may be lost or torn.</summary>
    public void Crash(CrashPolicy policy)
    {
        if (_life is not null)
        {
            _world.Trace.Add(_world.Time.Now, "crash", Id.Value, (ulong)policy);
            foreach (GroupCore group in _life.Host.Groups)
            {
                _invariants[group.Group].BeforeCrash(group);
            }

            _resumedInFormerLives = SnapshotsResumed;
            _agreedInFormerLives = StatesAgreed;
            _lastMemberships = Memberships;
            _life = null;
        }

        _disk.Crash(policy);
        _world.NodeDied(this);
    }

    public void Pause(long duration) => _pausedUntil = Math.Max(_pausedUntil, _world.Time.Now + duration);

    public void Resume()
    {
        _pausedUntil = 0;
        _diskStalledUntil = 0;
        _life?.WakeAll();
    }

    /// <summary>The disk takes nothing for a while, and then goes on as if nothing had been.</summary>
    public void StallDisk(long duration) => _diskStalledUntil = Math.Max(_diskStalledUntil, _world.Time.Now + duration);

    /// <summary>The node's clock jumps forward, as after a suspend that it alone counts.</summary>
    public void JumpClock(long by)
    {
        _clock.Jump(by);
        _world.Leases.ClockJumps++;
        _life?.WakeNode();
    }

    /// <summary>The disk of a node that is down is replaced by an empty one.</summary>
    public void Wipe()
    {
        Invariant.Check(!IsUp, "the disk of a running node is replaced");
        _disk.Reformat();
        IsWiped = true;

        // One that founded its cluster alone would found another: only its operator knows that it has peers (--initial-cluster-state existing).
        _isFounder &= _world.Members.Count > 1;
        foreach (NodeInvariants invariants in _invariants.Values)
        {
            invariants.Wiped();
        }
    }

    /// <summary>What an operator does with a node that refuses its damaged disk. False: the node does not start.</summary>
    private bool Repair()
    {
        DirectoryRepair repair;
        try
        {
            repair = MemberRepair.Examine(_disk, DataDirectory, isDiverged: false, hasPeers: true);
        }
        catch (RepairRefusedException refused)
        {
            _world.Trace.Note(_world.Time.Now, $"node {Id} cannot be repaired: {refused.Message}");
            if (!HasLostWhatItPromised())
            {
                throw new SimulationFailure(FailureKind.Correctness, $"node {Id} has its name, its term and its vote, and its repair is refused: {refused.Message}");
            }

            IsLost = true;
            IsRetired = true;
            return false;
        }

        if (!repair.IsNeeded && !RecoveryMarker.Exists(_disk, DataDirectory))
        {
            throw new SimulationFailure(FailureKind.Correctness, $"node {Id} refuses to start, and the repair finds nothing to do");
        }

        if (repair.IsNeeded)
        {
            repair.Execute(new WalOptions { SegmentBytes = _world.Options.SegmentBytes });
        }

        // What it kept may end before its cluster grew: only its operator knows that it has peers.
        _isFounder &= _world.Members.Count > 1;
        _world.Repairs++;
        _world.Trace.Note(_world.Time.Now, $"node {Id} is repaired: {string.Join("; ", repair.Groups.Select(group => $"snapshot {group.Snapshot?.Index} entries {group.Entries.Count}"))}");
        _hasRefused = false;
        foreach (NodeInvariants invariants in _invariants.Values)
        {
            invariants.Repaired();
        }

        return true;
    }

    private bool HasLostWhatItPromised()
    {
        try
        {
            bool hasName = DirectoryIdentity.TryRead(_disk, DataDirectory) is not null;
            SilenceFile.Read(_disk, DataDirectory);
            string[] files = [.. WalInspector.Inspect(_disk, DataDirectory).Findings.Select(finding => Path.GetFileName(finding.File))];
            return !hasName || (files.Contains("vote.a") && files.Contains("vote.b"));
        }
        catch (CorruptionException)
        {
            return true;
        }
    }

    public void Deliver(GroupId group, Message message) => _life?.Host.Receive(group, message);

    /// <summary>The store of a group, as a client of this node reaches it.</summary>
    public GroupCore? StoreOf(GroupId group) => _life?.Host.Groups.First(core => core.Group == group);

    private NodeSettings Settings() => new()
    {
        Name = $"n{Id}",
        ClusterId = 0xC1,
        NodeId = Id,
        Members = _isFounder ? _world.Members : [],
        DataDirectory = DataDirectory,
        HeartbeatInterval = TimeSpan.FromMilliseconds(Tick / VirtualTime.Millisecond),
        ElectionTimeout = TimeSpan.FromMilliseconds((_world.Options.MixedTimeouts ? _random.NextInt64(MixedTimeoutLeast, MixedTimeoutMost) : ElectionTimeout) / VirtualTime.Millisecond),
        RequestTimeout = TimeSpan.FromSeconds(RequestTimeout / (double)VirtualTime.Second),
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
            LogBytesHeld = _world.Options.LogBytesHeld,
            TransfersMax = _world.Options.SnapshotTransfers,
            BytesPerSecondMax = _world.Options.SnapshotRate,
        },
        AppendBytesMax = _world.Options.AppendBytesMax,
        AppendsInFlightMax = _world.Options.AppendsInFlight,
        StateCheckEntries = 20,
        StateCheckInterval = TimeSpan.FromSeconds(2),
        SessionsMax = _world.Options.SessionsMax,
        SessionKeptBytesMax = _world.Options.SessionKeptBytesMax,
        SessionsKeptBytesMax = _world.Options.SessionsKeptBytesMax,
        AutoCompaction = new AutoCompactionOptions
        {
            RevisionsKept = _world.Options.RevisionsKept,
            AgeKept = TimeSpan.FromMilliseconds(_world.Options.AgeKept / VirtualTime.Millisecond),
        },
        Watches = new WatchOptions
        {
            QueueBytesMax = _world.Options.WatchQueueBytes,
            TotalBytesMax = 3L * _world.Options.WatchQueueBytes,
            FragmentBytes = _world.Options.WatchFragmentBytes,
            ProgressInterval = TimeSpan.FromSeconds(1),
        },
        ClockDriftMax = _world.Options.Lease ? LeaseDriftMax : 1,
        Wal = new WalOptions { SegmentBytes = _world.Options.SegmentBytes },
        Seed = _random.NextUInt64(),
    };

    private void Died(Exception cause)
    {
        _world.Trace.Note(_world.Time.Now, $"node {Id} failed: {cause.Message}");
        IsRetired = Root(cause) is MemberRefusedException;

        // A wiped node that hears of a commit before it is refused finds that it has lost it.
        IsRetired |= IsWiped && Root(cause).Message.Contains("this log lost entries that it acknowledged", StringComparison.Ordinal);
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
        private readonly List<Seat> _seats = [];
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
            Signals = SeatOf,
            Parts = new InlineForkJoin(2),
            RunContinuationsAsynchronously = false,
        };

        /// <summary>Runs all loops for the first time.</summary>
        public void Begin()
        {
            foreach (ILoop loop in Host.Loops)
            {
                Seat seat = SeatOf(loop.Name);
                seat.Loop = loop;
                seat.Schedule(node._world.Time.Now);
            }
        }

        /// <summary>What was put off, to the end of a pause or of a stall of the disk, is due now.</summary>
        public void WakeAll() => _seats.ForEach(seat => seat.Schedule(node._world.Time.Now));

        /// <summary>The node's own loop has work, or another time to wake at.</summary>
        public void WakeNode() => SeatOf("node").Schedule(node._world.Time.Now);

        private Seat SeatOf(string loop)
        {
            Seat? seat = _seats.Find(s => s.Name == loop);
            if (seat is null)
            {
                seat = new Seat(this, loop);
                _seats.Add(seat);
            }

            return seat;
        }

        private long Delay(Seat seat)
        {
            long longest = seat.WaitsForDisk && !node._world.Network.IsCalm ? node._world.Options.DiskDelayMax : 2 * VirtualTime.Millisecond;
            return node._random.Between(10 * VirtualTime.Microsecond, longest);
        }

        private void Run(Seat seat)
        {
            if (node.IsPaused)
            {
                seat.Schedule(node._pausedUntil);
            }
            else if (seat.WaitsForDisk && node._world.Time.Now < node._diskStalledUntil)
            {
                seat.Schedule(node._diskStalledUntil);
            }
            else
            {
                Step(seat);
            }
        }

        private void Step(Seat seat)
        {
            Invariant.Check(!_running, "a loop ran inside another");
            try
            {
                _running = true;
                bool worked = seat.Loop.RunOnce();
                if (IsOver)
                {
                    return;
                }

                if (seat.IsChecked)
                {
                    CheckInvariants();
                }

                if (worked)
                {
                    seat.Schedule(node._world.Time.Now + Delay(seat));
                }
                else if (seat.Loop.NextWake != long.MaxValue)
                {
                    seat.Schedule(node._clock.ToRunTime(seat.Loop.NextWake));
                }
            }
            catch (Exception error) when (error is not SimulationFailure)
            {
                Host.Failure.Fail(seat.Name, error);
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

        private void CheckInvariants()
        {
            foreach (GroupCore group in Host.Groups)
            {
                node._invariants[group.Group].AfterStep(group);
                TellElection(group);
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
                // The simulated network reaches everybody; World.Deliver asks here whom to refuse.
                if (!life.IsOver)
                {
                    life.Node.Known = new MemberDirectory(members, removed);
                }
            }

            public void Send(GroupId group, Message message)
            {
                if (!life.IsOver)
                {
                    life.Node._invariants.GetValueOrDefault(group)?.Sent(message, life.Host.Groups.First(core => core.Group == group).Node.Raft);
                    life.Node._world.Network.Send(life.Node.Id, group, message);
                    if (message is { Kind: MessageKind.VoteReply, Reject: false })
                    {
                        life.Node._world.Hunt.Voted(life.Node);
                    }
                }
            }
        }

        /// <summary>One loop of the node, and the time at which it runs next. What was scheduled before an earlier time came up does nothing.</summary>
        private sealed class Seat : ILoopSignal
        {
            private readonly Life _life;
            private readonly Action _run;
            private long _next = long.MaxValue;

            public Seat(Life life, string name)
            {
                _life = life;
                Name = name;
                _run = Run;
                WaitsForDisk = name is "log" or "snapshot";
                IsChecked = name is "node" or "apply";
            }

            public string Name { get; }

            public bool WaitsForDisk { get; }

            /// <summary>What the invariants are about changes on these two loops alone.</summary>
            public bool IsChecked { get; }

            public ILoop Loop { get; set; } = null!;

            public void Set()
            {
                if (_life.Node._life is not null && !_life.IsOver)
                {
                    Schedule(_life.Node._world.Time.Now + _life.Delay(this));
                }
            }

            public void Schedule(long time)
            {
                if (time < _next)
                {
                    _next = Math.Max(time, _life.Node._world.Time.Now);
                    _life.Node._world.Time.At(_next, _run);
                }
            }

            private void Run()
            {
                if (!_life.IsOver && _life.Node._world.Time.Now == _next)
                {
                    _next = long.MaxValue;
                    _life.Run(this);
                }
            }
        }
    }
}
