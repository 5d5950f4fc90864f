using System.Globalization;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;
using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>
/// One run: a cluster of whole nodes, its clients and its misfortunes, in one thread, on virtual time, all from one seed. First
/// everything goes wrong that may; then everything heals, and the cluster must answer and agree; then the history is checked.
/// </summary>
internal sealed class World
{
    private const long FaultyTimeMax = 600 * VirtualTime.Second;
    private const long HealTimeMax = 60 * VirtualTime.Second;
    private const double SlowestClock = 0.1;

    // One leader may give way to another of higher priority, or one that has caught up, once all have healed.
    private const int UnansweredMax = 3;

    private readonly SimulationRandom _random;
    private readonly Nemesis _nemesis;
    private readonly List<SimulatedClient> _clients = [];
    private readonly List<SimulatedSessions> _sessions = [];
    private readonly List<LeaseClient> _leaseClients = [];
    private readonly List<SimulatedWatcher> _watchers = [];
    private readonly List<SimulatedNode> _nodes;
    private readonly SimulatedGroup[] _groups;
    private SimulatedGroup[] _used;
    private int _operationsLeft;
    private long _event;
    private long _value;

    public World(ulong seed, RunOptions options, Trace trace)
    {
        Seed = seed;
        Options = options;
        Trace = trace;
        _random = new SimulationRandom(seed);
        _operationsLeft = options.Operations;
        _groups = [.. Enumerable.Range(1, options.Groups).Select(i => new SimulatedGroup(new GroupId((uint)i)))];
        _used = [_groups[0]];
        Members = [.. Enumerable.Range(1, options.Nodes).Select(i => Founder(i, new SimulationRandom(seed ^ ((ulong)i << 32))))];
        Network = new FakeNetwork(Time, _random.Branch(), options, Deliver, (from, to) => Find(from)?.Host?.ReportUnreachable(to), trace);
        _nodes = [.. Members.Select(m => new SimulatedNode(this, new NodeId(m.Id), _random.Branch(), isFounder: true))];
        _nemesis = new Nemesis(this, _random.Branch());
        for (int i = 0; i < options.Clients; i++)
        {
            if (options.Sessions && i % options.SessionWriters == 0)
            {
                OpenSessions();
            }

            _clients.Add(new SimulatedClient(this, _random.Branch(), _sessions.LastOrDefault()));
        }

        Hunt = new LeaderHunt(this, _random.Branch());
        for (int i = 0; i < options.LeaseClients; i++)
        {
            _leaseClients.Add(new LeaseClient(this, _random.Branch(), i));
        }

        for (int i = 0; i < options.Watchers; i++)
        {
            var random = new SimulationRandom(seed ^ 0x3A7C ^ ((ulong)i << 40));
            _watchers.Add(new SimulatedWatcher(this, random, _groups[random.Next(_groups.Length)]));
        }
    }

    public ulong Seed { get; }

    public RunOptions Options { get; }

    public Trace Trace { get; }

    public VirtualTime Time { get; } = new();

    public FakeNetwork Network { get; }

    public IReadOnlyList<SimulatedGroup> Groups => _groups;

    /// <summary>Those the cluster begins with.</summary>
    public IReadOnlyList<Member> Members { get; }

    /// <summary>All nodes there ever were.</summary>
    public IReadOnlyList<SimulatedNode> Nodes => _nodes;

    public LeaderHunt Hunt { get; }

    /// <summary>What went wrong, by kind.</summary>
    public IReadOnlyDictionary<string, int> Faults => new Dictionary<string, int>(_nemesis.Faults, StringComparer.Ordinal) { ["LeaderHunt"] = Hunt.Strikes };

    public LeaseChecks Leases { get; } = new();

    /// <summary>Snapshot transfers that went on where one before them had stopped.</summary>
    public int SnapshotsResumed => _nodes.Sum(node => node.SnapshotsResumed);

    /// <summary>States that a member compared with the others' and found equal.</summary>
    public long StatesAgreed => _nodes.Sum(node => node.StatesAgreed);

    /// <summary>At the end one thing was broken, and only one: see <see cref="OneFaultCheck"/>.</summary>
    public bool WasBrokenOnce { get; private set; }

    /// <summary>At the end each member compared its state with that of the others.</summary>
    public bool WereStatesCompared { get; private set; }

    /// <summary>Events that watchers were told of.</summary>
    public long EventsTold => _groups.Sum(group => group.Watches.Told);

    /// <summary>Watches that were taken up again elsewhere.</summary>
    public int WatchesResumed => _watchers.Sum(watcher => watcher.Resumed);

    /// <summary>Damaged directories that were repaired.</summary>
    public int Repairs { get; set; }

    /// <summary>Operations that got no answer though everything had healed, and were asked anew.</summary>
    public int Unanswered { get; private set; }

    /// <inheritdoc cref="MembershipNemesis.Replaced"/>
    public int Replaced => _nemesis.Replaced;

    /// <summary>How long the cluster was without a leader once everything had healed, and all were up.</summary>
    public long LeaderlessTime { get; private set; }

    private bool AreClientsBusy => _clients.Exists(client => client.IsBusy) || _sessions.Exists(sessions => sessions.IsBusy);

    public long NextEvent() => ++_event;

    public long NextValue() => ++_value;

    public bool TakeOperation() => _operationsLeft-- > 0;

    /// <summary>Of many groups the clients use a few at a time, and hardly ever another; the others may sleep.</summary>
    public SimulatedGroup ChooseGroup(SimulationRandom random) =>
        _groups.Length == 1 ? _groups[0] : random.Chance(0.02) ? _groups[random.Next(_groups.Length)] : _used[random.Next(_used.Length)];

    public void Run()
    {
        if (_groups.Length > 1)
        {
            UseOtherGroups();
        }

        foreach (SimulatedNode node in _nodes)
        {
            node.Start();
        }

        foreach (SimulatedClient client in _clients)
        {
            client.Start();
        }

        _leaseClients.ForEach(client => client.Start());
        foreach (SimulatedWatcher watcher in _watchers)
        {
            watcher.Start();
        }

        _nemesis.Start();
        RunUntil(() => _operationsLeft <= 0, FaultyTimeMax, orFail: false);
        _operationsLeft = 0;
        Leases.HaveEnded = true;
        Hunt.End();
        _nemesis.End();
        AwaitLeaders();
        RunUntil(() => HaveCommittingLeaders() && AllAreBack() && !_nemesis.IsBusy && !AreClientsBusy && _leaseClients.TrueForAll(c => !c.IsBusy), HealTimeMax, orFail: true);
        if (_groups.Length == 1)
        {
            ReadAndWriteOnce();
            RunUntil(AllHavePublished, HealTimeMax, orFail: true);
            WasBrokenOnce = new OneFaultCheck(this, new SimulationRandom(Seed ^ 0x0FA0_17)).Run();
            if (Options.LeaseClients > 0)
            {
                EndLeases();
            }

            AwaitComparison();
        }
        else
        {
            new ManyGroupsCheck(this).Run();
        }

        LetWatchersFinish();
        CheckRetired();
        _nemesis.CheckAnswers(_groups[0].Invariants.Memberships);
        CheckHandles();
        foreach (SimulatedGroup group in _groups)
        {
            group.History.Check(SimulatedNode.ClockErrorBeyondBound(Options));
            group.Watches.Check(group.History.Entries);
        }
    }

    public void NodeDied(SimulatedNode node)
    {
        _leaseClients.ForEach(client => client.NodeDied(node));
        foreach (SimulatedClient client in _clients)
        {
            client.NodeDied(node);
        }

        foreach (SimulatedSessions sessions in _sessions)
        {
            sessions.NodeDied(node);
        }

        foreach (SimulatedWatcher watcher in _watchers)
        {
            watcher.NodeDied(node);
        }

        if (!node.IsRetired && !node.IsKeptDown)
        {
            Time.After(_random.Between(100 * VirtualTime.Millisecond, 10 * VirtualTime.Second), () => Restart(node, new DiskFaults()));
        }
    }

    /// <summary>Starts the node; where the faults strike during its recovery, it is started again later.</summary>
    public void Restart(SimulatedNode node, DiskFaults faults)
    {
        if (!node.IsUp && !node.IsRetired)
        {
            node.Start(faults);
        }
    }

    /// <summary>The last ones are witnesses, as many as leave most of the voters with data.</summary>
    private Member Founder(int number, SimulationRandom random)
    {
        bool isWitness = Options.Witnesses && number > (Options.Nodes / 2) + 1;
        byte priority = Options.Priorities && !isWitness ? (byte)(50 * random.Next(6)) : MemberTraits.DefaultPriority;
        return new Member((ulong)number, $"n{number}", [$"http://n{number}:2380"], [], Priority: priority, IsWitness: isWitness);
    }

    public SimulatedNode? Find(NodeId id) => _nodes.Find(node => node.Id == id);

    /// <summary>A member that was added is started, with nothing but its id.</summary>
    public void AddNode(NodeId id)
    {
        var node = new SimulatedNode(this, id, _random.Branch(), isFounder: false);
        _nodes.Add(node);
        node.Start();
    }

    /// <summary>As the peer transport does: whoever was removed, or comes with another data directory, is refused, and told so.</summary>
    private void Deliver(NodeId to, GroupId group, Message message)
    {
        SimulatedNode? receiver = Find(to);
        if (receiver?.Core is not null && Find(message.From) is { Core: { } sender } && receiver.Known.Judge(message.From.Value, sender.DirectoryId) is { } refusal)
        {
            sender.ReportRefused(to, refusal, refusal.ToString());
            return;
        }

        if (receiver is not null)
        {
            receiver.Deliver(group, message);
            Hunt.Received(receiver);
        }
    }

    /// <summary>Whoever was damaged has been repaired and has caught up; of a node that is no member any more nobody asks that.</summary>
    private bool AllAreBack()
    {
        if (_groups.Length > 1)
        {
            return Nodes.All(n => n.IsUp && !n.IsUnsound); // Their members stay the same.
        }

        Membership membership = Nodes.Where(n => n.IsUp).MaxBy(n => n.Core!.View.AppliedIndex)?.Core!.View.Membership ?? Membership.Empty;
        return Nodes.Where(n => !n.IsRetired && membership.Contains(n.Id)).All(n => n.IsUp && !n.IsUnsound);
    }

    /// <summary>
    /// Everything has healed and all are up: three election timeouts, by the slowest clock there is, are enough to elect a leader. Where only one that stands behind all
    /// others in priority may have the log, it waits for them two timeouts more, and so it does once more if its first try fails.
    /// </summary>
    private void AwaitLeaders()
    {
        RunUntil(() => _nodes.TrueForAll(node => node.IsUp || node.IsRetired));
        long healed = Time.Now;
        RunUntil(HaveLeaders, ElectionTimeMax, orFail: true);
        LeaderlessTime = Time.Now - healed;
    }

    /// <summary>Each member that runs has told the others who it is: without that it is taken for one that never started, and never gets a vote.</summary>
    private bool AllHavePublished()
    {
        Membership newest = Nodes.Where(node => node.IsUp).MaxBy(node => node.Core!.View.AppliedIndex)!.Core!.View.Membership;
        return MemberTable.From(newest).Members.Where(member => Find(new NodeId(member.Id)) is { IsUp: true }).All(member => member.Name.Length > 0);
    }

    /// <summary>In each group some node leads, and a majority of the voters follows it: one that has not heard yet that its time is over does not lead.</summary>
    public bool HaveLeaders() => HaveLeaders(_ => true);

    /// <summary>
    /// Leaders that have committed an entry of their own term, and have left a joint membership that another may have begun; to that end a follower may have to catch up first.
    /// </summary>
    private bool HaveCommittingLeaders() => HaveLeaders(raft => raft.TermAt(raft.CommitIndex) == raft.Term && !raft.Membership.IsJoint);

    private bool HaveLeaders(Func<RaftNode, bool> isReady) =>
        Array.TrueForAll(_groups, group => Nodes.Any(node => node.StoreOf(group.Id)?.Node.Raft is { Role: Role.Leader } raft && IsFollowed(group.Id, raft) && isReady(raft)));

    private bool IsFollowed(GroupId group, RaftNode raft)
    {
        bool Follows(NodeId voter) => Find(voter)?.StoreOf(group)?.Node.Raft is { } other && other.Leader == raft.Id && other.Term == raft.Term;
        return raft.Membership.Voters.Count(Follows) > raft.Membership.Voters.Count / 2;
    }

    /// <summary>All nodes that are up have applied the same log, in each group; that their states are equal then is an invariant of its own.</summary>
    public bool Agree() => Array.TrueForAll(_groups, Agree);

    /// <summary>
    /// Clients of their own get answers to so many operations in each group, one after the other; then each member that holds data is asked for all of it. Not before all have caught up: who is
    /// behind may wait for a snapshot, which comes slowly, and answers nothing meanwhile.
    /// </summary>
    public void ReadAndWriteOnce(int operations = 20)
    {
        RunUntil(Agree);
        foreach (SimulatedGroup group in _groups)
        {
            AwaitAnswers(NewClient(group, Options.Sessions ? OpenSessions() : null), client => client.Insist(operations));
        }

        RunUntil(Agree);
        foreach (SimulatedGroup group in _groups)
        {
            foreach (SimulatedNode node in Nodes.Where(node => node.StoreOf(group.Id) is { IsWitness: false } store && store.View.Membership.Contains(node.Id)).ToArray())
            {
                AwaitAnswers(NewClient(group), client => client.Insist(1, [node], ClientWish.AllKeys));
            }
        }
    }

    /// <summary>Some nodes answer so many operations of a client that writes without a session, in time.</summary>
    public void AwaitAnswers(IReadOnlyList<SimulatedNode> asked, int operations, long atMost, ClientWish wish = ClientWish.Anything) =>
        AwaitAnswers(NewClient(_groups[0]), client => client.Insist(operations, asked, wish), atMost);

    /// <summary>
    /// Some nodes answer a put in time, as long as they are led. Where they are not any more it has the time of two elections besides; what is asked meanwhile is given up, and asked anew.
    /// </summary>
    public void AwaitPut(IReadOnlyList<SimulatedNode> asked, long atMost, Func<bool> areLed)
    {
        SimulatedClient client = NewClient(_groups[0]);
        client.Insist(1, asked, ClientWish.Puts);
        RunUntil(() => IsAnswered(client) || !areLed(), atMost, orFail: true);
        long electing = areLed() ? 0 : 2 * ElectionTimeMax;
        RunUntil(() => IsAnswered(client), atMost + electing, orFail: true);
        CheckUnanswered(client, UnansweredMax + (int)(electing / SimulatedNode.RequestTimeout));
    }

    private SimulatedClient NewClient(SimulatedGroup group, SimulatedSessions? sessions = null)
    {
        var client = new SimulatedClient(this, _random.Branch(), sessions, group);
        _clients.Add(client);
        return client;
    }

    private void AwaitAnswers(SimulatedClient client, Action<SimulatedClient> insist, long atMost = HealTimeMax)
    {
        insist(client);
        RunUntil(() => IsAnswered(client), atMost, orFail: true);
        CheckUnanswered(client, UnansweredMax);
    }

    private bool IsAnswered(SimulatedClient client) => client.Due <= 0 && !AreClientsBusy;

    private void CheckUnanswered(SimulatedClient client, int unansweredMax)
    {
        Unanswered += client.Unanswered;
        if (client.Unanswered > unansweredMax)
        {
            throw new SimulationFailure(FailureKind.Liveness, $"{client.Unanswered} operations got no answer though a majority is whole and connected: {Describe()}");
        }
    }

    /// <summary>
    /// As long as it may take to elect a leader where nothing else goes wrong: see <see cref="AwaitLeaders"/>. Groups that sleep do not notice that their leader was away for a moment, and has come back
    /// as none: it asks them, after a timeout or two, and then they wait for theirs.
    /// </summary>
    public long ElectionTimeMax => (long)((Options.Priorities ? 7 : _groups.Length > 1 ? 5 : 3) * SimulatedNode.ElectionTimeoutMax(Options) / (1 - SlowestClock));

    public void RunUntil(Func<bool> reached) => RunUntil(reached, HealTimeMax, orFail: true);

    public void RunUntil(Func<bool> reached, long atMost) => RunUntil(reached, atMost, orFail: true);

    public void RunFor(long duration) => RunUntil(() => false, duration, orFail: false);

    /// <summary>Of randomness of their own, so that runs without them stay what they were.</summary>
    private SimulatedSessions OpenSessions()
    {
        var sessions = new SimulatedSessions(this, new SimulationRandom(Seed ^ ((ulong)(_sessions.Count + 1) << 48)));
        _sessions.Add(sessions);
        return sessions;
    }

    private bool Agree(SimulatedGroup group)
    {
        GroupCore newest = Nodes.Where(n => n.IsUp).Select(n => n.StoreOf(group.Id)!).MaxBy(core => core.View.AppliedIndex)!;
        ulong applied = newest.View.AppliedIndex;
        Membership membership = newest.View.Membership;
        SimulatedNode[] up = [.. Nodes.Where(n => n.IsUp && membership.Contains(n.Id))];
        return applied >= group.Invariants.CommittedMax.Value && Array.TrueForAll(up, n => n.StoreOf(group.Id)!.View.AppliedIndex == applied);
    }

    /// <summary>
    /// Nobody renews any more. The longest lease is of 5 s, and its leader waits a tenth longer by a clock that may be a tenth slow; what else it takes (the round
    /// of the log, and entries of so many leases at a time) is far below the rest.
    /// </summary>
    private void EndLeases()
    {
        LeaseChecks.CheckAttachments(Nodes.Where(n => n.IsUp).Select(n => n.StoreOf(_groups[0].Id)!.Store).Where(store => !store.View.IsHollow).MaxBy(store => store.View.AppliedIndex)!);
        RunUntil(() => LeaseChecks.AllAreGone(this), 10 * VirtualTime.Second, orFail: true);
        RunUntil(Agree, HealTimeMax, orFail: true);
        Leases.Check(this);
    }

    /// <summary>Word of progress tells each of them, in time, that it knows all that happened.</summary>
    private void LetWatchersFinish()
    {
        foreach (SimulatedWatcher watcher in _watchers)
        {
            watcher.CalmDown();
        }

        RunUntil(() => _watchers.TrueForAll(watcher => watcher.HasReached(watcher.Group.Revision)), HealTimeMax, orFail: true);
    }

    private void UseOtherGroups()
    {
        _used = [.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => _groups[_random.Next(_groups.Length)])];
        Time.After(_random.Between(VirtualTime.Second, 10 * VirtualTime.Second), UseOtherGroups);
    }

    /// <summary>Who is refused for good was removed, or never let in, or has lost its directory: no other may be.</summary>
    private void CheckRetired()
    {
        MemberTable members = MemberTable.From(NewestView().Membership);
        foreach (SimulatedNode node in Nodes.Where(node => node is { IsRetired: true, IsWiped: false, IsLost: false }))
        {
            if (members.Find(node.Id.Value) is not null)
            {
                throw new SimulationFailure(FailureKind.Correctness, $"node {node.Id} was refused for good, and is a member");
            }
        }
    }

    private StoreView NewestView() => Nodes.Where(node => node.IsUp).Select(node => node.StoreOf(_groups[0].Id)!.View).MaxBy(view => view.AppliedIndex)!;

    /// <summary>Once all has healed, each member compares the state that the last write brought it to with that of the others: of what nobody looks for nobody hears.</summary>
    private void AwaitComparison()
    {
        SimulatedNode[] members = [.. Nodes.Where(node => node.IsUp && NewestView().Membership.Contains(node.Id) && !node.Core!.IsWitness)];
        if (members.Length < 2)
        {
            return;
        }

        AwaitAnswers(members, 1, HealTimeMax, ClientWish.Puts);
        RunUntil(Agree);
        bool HaveCompared() => Array.TrueForAll(members, node => node.AgreedDigest == node.Core!.View.Digest);
        RunUntil(HaveCompared, HealTimeMax, orFail: false); // What is compacted by and by changes the state for a while.
        if (!HaveCompared())
        {
            string states = string.Join(", ", members.Select(node => $"node {node.Id} is at rest in {node.Core!.View.Digest:x16} and has compared {node.AgreedDigest:x16}"));
            throw new SimulationFailure(FailureKind.Correctness, $"not all states were compared: {states}");
        }

        WereStatesCompared = true;
    }

    private void CheckHandles()
    {
        foreach (SimulatedNode node in Nodes)
        {
            if (node.Host is { OperationsRented: > 0 } host)
            {
                throw new SimulationFailure(FailureKind.Crash, $"node {node.Id} has {host.OperationsRented} wait handles out at rest");
            }
        }
    }

    private void RunUntil(Func<bool> reached, long atMost, bool orFail)
    {
        long end = Time.Now + atMost;
        while (!reached())
        {
            if (Time.Now > end || !Time.RunNext())
            {
                if (orFail)
                {
                    throw new SimulationFailure(FailureKind.Liveness, string.Create(CultureInfo.InvariantCulture, $"no progress in {atMost / (double)VirtualTime.Second:F1} s after everything had healed: {Describe()}"));
                }

                return;
            }
        }
    }

    private string Describe() => string.Join("; ", Nodes.Select(Describe)) + $"; clients busy: {_clients.Count(c => c.IsBusy)}";

    private static string Describe(SimulatedNode node) => node.Host is null
        ? $"{node.Id} {(node.IsRetired ? "retired" : "down")}"
        : string.Join("; ", node.Host.Groups.Select(core => Describe(node, core, core.Node.Raft, node.Host.Groups.Count)));

    private static string Describe(SimulatedNode node, GroupCore core, RaftNode raft, int groups) =>
        (groups == 1 ? string.Empty : $"group {core.Group}{(raft.IsQuiescent ? " asleep" : string.Empty)} ")
        + $"{node.Id} {raft.Role} term {raft.Term} last {raft.LastIndex} commit {raft.CommitIndex} applied {core.View.AppliedIndex} pending {core.Node.Status.Pending} at {raft.MembershipIndex} {raft.Membership}";
}
