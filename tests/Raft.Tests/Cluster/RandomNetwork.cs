namespace MetaStore.Raft.Tests.Cluster;

/// <summary>What may happen in a run, in percent of chances. Drawn per seed, so that no two runs stress the same mixture.</summary>
internal sealed record NetworkFaults
{
    public int LossPercent { get; init; }

    public int DuplicatePercent { get; init; }

    public int CrashPerMille { get; init; }

    public int PartitionPerMille { get; init; }

    public int SnapshotPerMille { get; init; }

    public int SlowDiskPercent { get; init; }

    /// <summary>A member crashes right after it sent a promise: the moment when a promise not kept by the disk is forgotten.</summary>
    public int CrashAfterPromisePercent { get; init; }

    /// <summary>Somebody stands for election though there may be a leader.</summary>
    public int CampaignPerMille { get; init; }

    /// <summary>So often much happens to a member between two of its Readys: a busy driver has the node take many inputs at once.</summary>
    public int BurstPercent { get; init; }

    /// <summary>The leader is asked for another membership, any, or to hand over.</summary>
    public int MembershipPerMille { get; init; }

    /// <summary>The leader is asked to hand over: so the patient lead as well, who would hardly ever be the first to stand.</summary>
    public int TransferPerMille { get; init; }

    /// <summary>The disk of a member, of a minority at a time, loses a part of its log, or all of it, or its snapshots too.</summary>
    public int DamagePerMille { get; init; }

    /// <summary>Any mixture.</summary>
    public static NetworkFaults Draw(Random random) => new()
    {
        LossPercent = random.Next(0, 25),
        DuplicatePercent = random.Next(0, 25),
        CrashPerMille = random.Next(0, 8),
        PartitionPerMille = random.Next(0, 6),
        SnapshotPerMille = random.Next(0, 15),
        SlowDiskPercent = random.Next(0, 95),
        CrashAfterPromisePercent = random.Next(2) * random.Next(0, 10),
        CampaignPerMille = random.Next(2) * random.Next(0, 20),
        BurstPercent = random.Next(2) * random.Next(0, 20),
    };

    /// <summary>Hardly any term lasts: the season of votes given twice and of logs with the ends of many terms (paper, figure 8).</summary>
    public static NetworkFaults DrawStorm(Random random) => new()
    {
        LossPercent = random.Next(0, 40),
        CrashPerMille = random.Next(2, 12),
        PartitionPerMille = random.Next(0, 20),
        SlowDiskPercent = random.Next(0, 90),
        CrashAfterPromisePercent = random.Next(0, 50),
        CampaignPerMille = random.Next(10, 80),
        BurstPercent = random.Next(2) * random.Next(0, 20),
    };
}

/// <summary>
/// A cluster on a network that loses, doubles, reorders and cuts off, with disks that are slow and members that crash. One
/// thread, one seed: the same seed gives the same run. After every step the <see cref="ClusterChecker"/> looks at all of it.
/// </summary>
internal sealed class RandomNetwork
{
    private const int UnitsPerTick = 4;

    private readonly Random _random;
    private readonly NetworkFaults _faults;
    private readonly List<Message> _inFlight = [];
    private readonly HashSet<(NodeId From, NodeId To)> _cut = [];
    private readonly Dictionary<ReadContext, NodeId> _readsOf = [];
    private ulong _nextCommand;
    private readonly bool _sleeps;
    private readonly bool _leases;
    private long _now;
    private bool _isCalm;
    private bool _isIdle;

    /// <param name="seed">All chance comes from it.</param>
    /// <param name="size">The members there are, in the group or not.</param>
    /// <param name="storm">Hardly any term lasts.</param>
    /// <param name="membershipChanges">The membership changes all the while.</param>
    /// <param name="witnesses">So many of the members are witnesses, who are no founders.</param>
    /// <param name="damage">Disks are damaged, of a minority at a time.</param>
    /// <param name="sleeps">There are times when nobody asks for anything, and then the group may sleep; whoever does is woken at random.</param>
    /// <param name="leases">Leaders have leases, as long as they may be; all clocks run alike, and each member ticks at a moment of its own.</param>
    public RandomNetwork(
        int seed, int size, bool storm = false, bool membershipChanges = false, int witnesses = 0, bool sleeps = false, bool damage = false, bool leases = false)
    {
        _sleeps = sleeps;
        _leases = leases;
        _random = new Random(seed);
        _faults = storm ? NetworkFaults.DrawStorm(_random) : NetworkFaults.Draw(_random);
        NodeId[] all = [.. Enumerable.Range(1, size).Select(id => new NodeId((ulong)id))];
        NodeId[] voters = all;
        if (membershipChanges)
        {
            _faults = _faults with { MembershipPerMille = _random.Next(2, 40) };
            voters = all[.._random.Next(1, size - witnesses + 1)];
        }

        if (sleeps)
        {
            // An idle time must be long enough for a group to settle in it.
            _faults = _faults with
            {
                LossPercent = _faults.LossPercent / 4,
                CrashPerMille = (_faults.CrashPerMille + 3) / 4,
                PartitionPerMille = (_faults.PartitionPerMille + 3) / 4,
                CampaignPerMille = _faults.CampaignPerMille / 8,
            };
        }

        if (damage)
        {
            _faults = _faults with { DamagePerMille = _random.Next(2, 15) };
        }

        if (leases)
        {
            // Whoever stands by force breaks its own promise. And a leader has to be cut off for as long as an election takes.
            _faults = _faults with { CampaignPerMille = 0, PartitionPerMille = _random.Next(1, 3), TransferPerMille = _random.Next(2) };
        }

        Func<int>? drawElectionTicks = leases && _random.Next(2) == 0 ? () => _random.Next(2) == 0 ? _random.Next(4, 7) : _random.Next(15, 30) : null;
        bool tight = storm || _random.Next(2) == 0;
        Members = [.. all.Select(id => new Member(new RaftOptions
        {
            Id = id,
            Voters = voters.Contains(id) ? voters : [],
            Seed = (ulong)seed,
            ReadOrigin = 0,
            AppendBytesMax = tight ? 1 : 1 << 20,
            InflightMessagesMax = tight ? 2 : 256,
            CommittedBytesMax = tight ? 1 : 1 << 20,
            UncommittedBytesMax = tight ? 2048 : 1 << 20,
            CompactionTailEntries = _random.Next(4),
            Quiesces = sleeps,
            Silence = leases ? UnitsPerTick : 0,
        }, drawElectionTicks)
        {
            IsWitness = (int)id.Value > size - witnesses,
        })];
        Checker = new ClusterChecker(Members) { Initial = new Membership(voters), HasLeases = leases };
    }

    public IReadOnlyList<Member> Members { get; }

    public ClusterChecker Checker { get; }

    /// <summary>Those who belong to the group by what its leader holds.</summary>
    public IEnumerable<Member> Current
    {
        get
        {
            Member? leader = Members.FirstOrDefault(member => member.IsUp && member.Node.Role == Role.Leader);
            return Members.Where(member => leader?.Node.Membership.Contains(member.Id) ?? true);
        }
    }

    /// <summary>Changes of the membership that were begun.</summary>
    public int MembershipChanges { get; private set; }

    /// <summary>How often a leader put the group to sleep.</summary>
    public int Sleeps { get; private set; }

    /// <summary>How often a disk was damaged.</summary>
    public int Damages { get; private set; }

    /// <summary>How often something went wrong on purpose.</summary>
    public int FaultCount { get; private set; }

    /// <summary>Steps at random, faults included.</summary>
    public void Run(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            Step();
            if (i % 50 == 0)
            {
                Checker.CheckLogMatching();
            }
        }
    }

    /// <summary>Ends all faults, and runs until everybody agrees and nothing is left to do. Fails when that takes too long.</summary>
    public void Heal()
    {
        _isCalm = true;
        _cut.Clear();
        foreach (Member member in Members.Where(member => !member.IsUp))
        {
            member.Restart();
        }

        for (int tick = 0; tick < 600; tick++)
        {
            TickAll();
            Drain();
            if (tick > 100 && IsQuiet())
            {
                return;
            }
        }

        string state = string.Join("; ", Members.Select(member => $"{member.Id} {member.Node.Role} term {member.Node.Term} commit {member.Node.CommitIndex} last {member.Node.LastIndex}"));
        throw new SafetyViolation($"no agreement 600 ticks after the last fault: {state}");
    }

    /// <summary>A command is committed in a calm cluster.</summary>
    public void ProposeToLeader() => Propose(Members.Single(member => member.Node.Role == Role.Leader));

    /// <summary>Delivers and syncs until nothing moves.</summary>
    public void Drain()
    {
        for (int round = 0; round < 10_000; round++)
        {
            bool moved = false;
            foreach (Member member in Members)
            {
                moved |= member.Node.HasReady;
                Process(member);
                while (member.Disk.UnderWay > 0)
                {
                    CompleteWrite(member);
                    moved = true;
                }
            }

            moved |= _inFlight.Count > 0;
            while (_inFlight.Count > 0)
            {
                Deliver(0);
            }

            if (!moved)
            {
                return;
            }
        }

        throw new SafetyViolation("the cluster never comes to rest");
    }

    private bool IsQuiet()
    {
        if (Members.Count(member => member.Node.Role == Role.Leader) != 1)
        {
            return false;
        }

        RaftNode leader = Members.Single(member => member.Node.Role == Role.Leader).Node;
        return !leader.Membership.IsJoint
            && leader.IsQuiescent == _sleeps
            && Current.All(member => member.Node.CommitIndex == leader.CommitIndex && member.Node.LastIndex == leader.CommitIndex && member.Machine.Applied == leader.CommitIndex)
            && Current.All(member => member.Transfers.Count == 0);
    }

    private void Step()
    {
        if (_sleeps && _random.Next(1500) == 0)
        {
            _isIdle = !_isIdle;
        }

        Member member = Members[_random.Next(Members.Count)];
        if (!member.IsUp)
        {
            if (_random.Next(100) < 10)
            {
                member.Restart();
                Checker.Check();
            }

            return;
        }

        if (_random.Next(100) < _faults.BurstPercent)
        {
            Burst(member);
        }
        else
        {
            Happen(member);
        }

        if (member.IsUp)
        {
            Checker.Check(); // A commit is judged by the membership it was made under, before another is begun.
            Disturb(member);
        }

        Checker.Check();
    }

    /// <summary>Messages, receipts, ticks, proposals and reads in any order, all of them before the node is asked for its next Ready.</summary>
    private void Burst(Member member)
    {
        for (int i = _random.Next(2, 12); i > 0; i--)
        {
            switch (_random.Next(10))
            {
                case < 5:
                    int[] waiting = [.. Enumerable.Range(0, _inFlight.Count).Where(position => _inFlight[position].To == member.Id)];
                    if (waiting.Length > 0)
                    {
                        Deliver(waiting[_random.Next(waiting.Length)]);
                    }

                    break;
                case 5 when member.Disk.UnderWay > 0:
                    CompleteWrite(member);
                    break;
                case 6:
                    PassTime(member);
                    break;
                case 7 when !_isIdle:
                    Read(member);
                    break;
                case > 7 when !_isIdle:
                    Propose(member);
                    break;
                default:
                    break;
            }

            Checker.Check();
        }

        Process(member);
    }

    private void Happen(Member member)
    {
        switch (_random.Next(100))
        {
            case < 45:
                if (_inFlight.Count > 0)
                {
                    Deliver(_random.Next(_inFlight.Count));
                }

                break;
            case < 70:
                if (member.Disk.UnderWay > 0 && _random.Next(100) >= _faults.SlowDiskPercent)
                {
                    CompleteWrite(member);
                }

                break;
            case < 76:
                PassTime(member);
                break;
            case < 81 when !_isIdle:
                Propose(member);
                break;
            case >= 81 and < 84 when !_isIdle:
                Read(member);
                break;
            default:
                Process(member);
                break;
        }
    }

    private void Disturb(Member member)
    {
        if (_random.Next(1000) < _faults.SnapshotPerMille && member.TakeSnapshot())
        {
            Process(member);
        }

        if (_random.Next(1000) < _faults.SnapshotPerMille)
        {
            member.Node.Trim(_random.Next(1, 500), _random.Next(2) * 1000);
        }

        if (_random.Next(1000) < _faults.PartitionPerMille)
        {
            FaultCount++;
            Cut();
        }

        if (_random.Next(1000) < _faults.CampaignPerMille)
        {
            member.Node.Campaign();
        }

        if (_faults.TransferPerMille > 0 && _random.Next(1000) < _faults.TransferPerMille)
        {
            member.Node.TransferLeadership(Members[_random.Next(Members.Count)].Id);
        }

        if (_random.Next(1000) < _faults.MembershipPerMille)
        {
            ChangeMembers(member);
        }

        if (_random.Next(1000) < _faults.CrashPerMille)
        {
            Crash(member);
        }

        if (_faults.DamagePerMille > 0 && _random.Next(1000) < _faults.DamagePerMille)
        {
            Damage(member);
        }
    }

    /// <summary>At most a minority is damaged at a time, those included that have not caught up.</summary>
    private void Damage(Member member)
    {
        int damaged = Members.Count(other => other.Disk.IsDamaged && other != member);
        if (damaged < (Members.Count - 1) / 2)
        {
            Damages++;
            AbandonReads(member);
            member.Damage(keep: _random.Next(member.Disk.Entries.Count + 1), all: _random.Next(3) == 0);
        }
    }

    /// <summary>Any membership at all: one voter more, all of them others, the leader without a vote, and each member of any priority.</summary>
    private void ChangeMembers(Member member)
    {
        if (_random.Next(4) == 0)
        {
            member.Node.TransferLeadership(Members[_random.Next(Members.Count)].Id);
            return;
        }

        NodeId[] shuffled = [.. Members.Select(other => other.Id).OrderBy(_ => _random.Next())];
        NodeId[] voters = shuffled[.._random.Next(1, shuffled.Length + 1)];
        NodeId[] learners = [.. shuffled[voters.Length..].Where(_ => _random.Next(2) == 0)];
        if (voters.All(IsWitness))
        {
            return; // There is no such membership.
        }

        var traits = voters.Concat(learners).ToDictionary(id => id, id => new MemberTraits((byte)(_random.Next(4) * 50), IsWitness(id)));
        if (member.Node.ChangeMembership(new Membership(voters, learners, traits: traits)) == MembershipResult.Accepted)
        {
            MembershipChanges++;
        }
    }

    private bool IsWitness(NodeId id) => Members[(int)id.Value - 1].IsWitness;

    private void Crash(Member member)
    {
        FaultCount++;
        AbandonReads(member);
        member.Crash(survivingWrites: _random.Next(2) * _random.Next(3));
    }

    /// <summary>Cuts some links, each in one direction only perhaps; or heals them all.</summary>
    private void Cut()
    {
        _cut.Clear();
        if (_random.Next(3) == 0)
        {
            return;
        }

        if (_leases && _random.Next(2) == 0 && Members.FirstOrDefault(member => member.IsUp && member.Node.Role == Role.Leader) is { } leader)
        {
            _cut.UnionWith(Members.Where(member => member != leader).SelectMany<Member, (NodeId, NodeId)>(member => [(leader.Id, member.Id), (member.Id, leader.Id)]));
            return;
        }

        foreach (Member from in Members)
        {
            foreach (Member to in Members)
            {
                if (_random.Next(100) < 35)
                {
                    _cut.Add((from.Id, to.Id));
                }
            }
        }
    }

    private void TickAll()
    {
        if (!_leases)
        {
            foreach (Member member in Members)
            {
                Tick(member);
            }

            return;
        }

        for (int unit = 0; unit < UnitsPerTick; unit++)
        {
            PassUnit();
        }
    }

    /// <summary>With leases the time is the same for all; without, each member has its own.</summary>
    private void PassTime(Member member)
    {
        if (_leases)
        {
            PassUnit();
        }
        else
        {
            Tick(member);
        }
    }

    private void PassUnit()
    {
        Checker.Now = ++_now;
        foreach (Member member in Members.Where(member => member.IsUp))
        {
            member.Node.SetTime(_now);
            if ((_now + (long)member.Id.Value) % UnitsPerTick == 0)
            {
                Tick(member);
            }
        }
    }

    private void Tick(Member member)
    {
        bool wasAsleep = member.Node.IsQuiescent;
        member.Node.Tick();
        member.Ticks++;
        Sleeps += !wasAsleep && member.Node.IsQuiescent ? 1 : 0;
        if (wasAsleep && !_isCalm && _random.Next(30) == 0)
        {
            // Without a lease, no promise rests on what it is told. With one it is told less than is so, or that.
            member.Node.SetLeaderSilence(_random.Next(_leases ? member.TicksSince(member.Node.Leader) + 1 : 15));
            member.Node.Wake();
        }

        foreach (NodeId peer in member.Transfers.Keys.ToArray())
        {
            if (--member.Transfers[peer] == 0)
            {
                member.Transfers.Remove(peer);
                member.Node.ReportSnapshot(peer, succeeded: false);
            }
        }
    }

    private void Propose(Member member)
    {
        byte[] command = StateMachine.Encode(++_nextCommand);
        member.Node.Propose(command);
    }

    private void Read(Member member)
    {
        if (member.Read() is { } context)
        {
            _readsOf[context] = member.Id;
            Checker.ReadStarted(context);
        }
    }

    private void AbandonReads(Member member)
    {
        foreach (ReadContext context in _readsOf.Where(read => read.Value == member.Id).Select(read => read.Key).ToArray())
        {
            _readsOf.Remove(context);
            Checker.ReadAborted(context);
        }
    }

    private void CompleteWrite(Member member)
    {
        member.CompleteWrite();
        Checker.Check();
        ClusterChecker.CheckDisk(member);
    }

    private void Process(Member member)
    {
        // The checks see commits before the state machine runs ahead of them.
        Checker.Check();
        while (member.Node.HasReady)
        {
            Ready ready = member.Process();
            Checker.Check();
            foreach (Message message in ready.Messages)
            {
                Send(message);
            }

            foreach (ReadState read in ready.Reads)
            {
                _readsOf.Remove(read.Context);
                Checker.ReadAnswered(read);
            }

            foreach (ReadContext context in ready.AbortedReads)
            {
                _readsOf.Remove(context);
                Checker.ReadAborted(context);
            }

            TransferSnapshots(member, ready);
            bool hasPromised = ready.Messages.Any(message => message.Kind == MessageKind.VoteReply && !message.Reject);
            if (!_isCalm && hasPromised && _random.Next(100) < _faults.CrashAfterPromisePercent)
            {
                Crash(member);
                return;
            }
        }
    }

    private void TransferSnapshots(Member member, Ready ready)
    {
        foreach (NodeId peer in ready.SnapshotsToSend)
        {
            if (member.SnapshotFor(peer) is { } chunk)
            {
                member.Transfers[peer] = 15;
                Send(chunk);
            }
        }

        foreach (Message message in ready.SnapshotTraffic)
        {
            if (message.Kind == MessageKind.SnapshotChunkReply)
            {
                member.Transfers.Remove(message.From);
                member.Node.ReportSnapshot(message.From, succeeded: true);
            }
            else if (member.ReceiveSnapshot(message) is { } reply)
            {
                Checker.Check();
                Send(reply);
            }
        }
    }

    private void Send(Message message)
    {
        Checker.Sent(message);
        if (!_isCalm && (_cut.Contains((message.From, message.To)) || _random.Next(100) < _faults.LossPercent))
        {
            FaultCount++;
            return;
        }

        _inFlight.Add(message);
        if (!_isCalm && _random.Next(100) < _faults.DuplicatePercent)
        {
            FaultCount++;
            _inFlight.Add(message);
        }
    }

    private void Deliver(int position)
    {
        Message message = _inFlight[position];
        _inFlight.RemoveAt(position);
        Member receiver = Members[(int)message.To.Value - 1];
        if (receiver.IsUp)
        {
            // Through the codec, so that the whole run also shows that nothing is lost by it.
            var bytes = new byte[MessageCodec.GetLength(message)];
            MessageCodec.Write(message, bytes);
            receiver.Hear(message.From);
            receiver.Node.Step(MessageCodec.Read(bytes));
        }
    }
}
