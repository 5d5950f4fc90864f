using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Tests;

/// <summary>The loop that many groups share, and what the host of many groups adds to a group.</summary>
public sealed class SharedLoopTests
{
    private static readonly TimeSpan TickLength = TimeSpan.FromMilliseconds(100);

    private readonly SteppedNode.ManualTime _time = new();
    private readonly NodeFailure _failure = new();
    private readonly CountingSignal _signal = new();

    [Fact]
    public void OnlyThoseThatWereSignalledOrAreDue_Run()
    {
        SharedLoop shared = Loop();
        (Stage stage, SharedLoop.Seat seat)[] stages = [.. Enumerable.Range(0, 1000).Select(_ => Seated(shared))];
        Settle(shared);
        Assert.All(stages, each => Assert.Equal(1, each.stage.Runs)); // Each once, to begin with.
        Assert.Equal(long.MaxValue, shared.NextWake);

        stages[7].seat.Set();
        stages[7].seat.Set();
        stages[8].stage.NextWake = _time.GetTimestamp() + 50;
        stages[8].seat.Set();
        Settle(shared);
        Assert.Equal(_time.GetTimestamp() + 50, shared.NextWake);
        _time.Advance(TickLength);
        stages[8].stage.NextWake = long.MaxValue;
        Settle(shared);

        Assert.Equal((2, 3), (stages[7].stage.Runs, stages[8].stage.Runs));
        Assert.Equal(998, stages.Count(each => each.stage.Runs == 1));
        Assert.Equal(long.MaxValue, shared.NextWake);
    }

    [Fact]
    public void ATimeThatWasGivenUp_OrPutOff_CountsNoMore()
    {
        SharedLoop shared = Loop();
        (Stage stage, SharedLoop.Seat seat) = Seated(shared);
        stage.NextWake = _time.GetTimestamp() + 10;
        Settle(shared);
        stage.NextWake = _time.GetTimestamp() + 1_000_000_000;
        seat.Set();
        Settle(shared);
        int runs = stage.Runs;

        _time.Advance(TickLength);
        Settle(shared);

        Assert.Equal(runs, stage.Runs);
        Assert.Equal(stage.NextWake, shared.NextWake);
    }

    [Fact]
    public void WhoeverHasMoreToDo_RunsAgain_BehindTheOthers()
    {
        SharedLoop shared = Loop();
        List<string> order = [];
        Seated(shared, new Stage { Work = 2, Ran = () => order.Add("busy") });
        Seated(shared, new Stage { Ran = () => order.Add("other") });

        Settle(shared);

        Assert.Equal(["busy", "other", "busy", "busy"], order);
    }

    [Fact]
    public void ASignalInTheMiddleOfARun_IsNotLost()
    {
        SharedLoop shared = Loop();
        SharedLoop.Seat seat = shared.Reserve();
        Stage stage = new();
        stage.Ran = () =>
        {
            if (stage.Runs == 1)
            {
                seat.Set();
            }
        };
        seat.Take(stage);
        int signals = _signal.Count;

        shared.RunOnce();
        Assert.Equal(signals + 1, _signal.Count);
        Settle(shared);

        Assert.Equal(2, stage.Runs);
    }

    [Fact]
    public void OnceTheNodeHasFailed_AllRun_ToTellWhoeverWaits()
    {
        SharedLoop shared = Loop();
        (Stage stage, _) = Seated(shared);
        (Stage other, _) = Seated(shared);
        Settle(shared);
        _failure.Fail("log", new InvalidOperationException("gone"));

        Assert.False(shared.RunOnce());

        Assert.Equal((2, 2), (stage.Runs, other.Runs));
    }

    [Fact]
    public void Beats_GoToWhoFollowsASleepingGroupHere_OneEach_HoweverManyGroups()
    {
        var sent = new Sent();
        NodeBeats beats = Beats(sent, _ => { });
        Tick(beats, 3);
        Assert.Empty(sent.Messages);
        for (uint group = 1; group <= 16; group++)
        {
            beats.FellAsleep(new GroupId(group), new NodeId(1), new Membership([new(1), new(2), new(3)]));
        }

        beats.FellAsleep(new GroupId(17), new NodeId(2), new Membership([new(1), new(2), new(4)]));
        Tick(beats, 2);
        Assert.Equal([2, 3, 2, 3], sent.Messages.Select(message => (int)message.To.Value));
        Assert.All(sent.Messages, message => Assert.Equal(MessageKind.NodeBeat, message.Kind));

        for (uint group = 1; group <= 16; group++)
        {
            beats.Woke(new GroupId(group));
        }

        sent.Messages.Clear();
        Tick(beats, 2);
        Assert.Empty(sent.Messages);
        Assert.Equal(1, beats.Asleep);
    }

    [Fact]
    public void ANodeThatIsSilentForAnElectionTimeout_HasItsSleepersRoused_AndNoOthers()
    {
        HashSet<uint> roused = [];
        NodeBeats beats = Beats(new Sent(), group => roused.Add(group.Value));
        var members = new Membership([new(1), new(2), new(3)]);
        beats.Heard(new NodeId(2));
        beats.Heard(new NodeId(3));
        beats.FellAsleep(new GroupId(1), new NodeId(2), members);
        beats.FellAsleep(new GroupId(2), new NodeId(3), members);
        for (int i = 0; i < 10; i++)
        {
            Assert.Empty(roused);
            Tick(beats, 1);
            beats.Heard(new NodeId(3));
        }

        Assert.Equal(9, beats.SilentTicks(new NodeId(2)));
        Tick(beats, 1);
        Assert.Equal([1u], roused);
        Assert.Equal((10, 0), (beats.SilentTicks(new NodeId(2)), beats.SilentTicks(new NodeId(3))));

        // By a message that lay here for long, one may fall asleep under a node that is silent already.
        beats.Woke(new GroupId(1));
        roused.Clear();
        beats.FellAsleep(new GroupId(3), new NodeId(2), members);
        Tick(beats, 1);
        Assert.Equal([3u], roused);
    }

    [Fact]
    public void TheTransport_IsToldOfAllMembersOfAllGroups_AndOfTheRemovedThatBelongToNone()
    {
        var sent = new Sent();
        var union = new MemberUnion(sent);
        static Member Of(ulong id, ulong directory) => new(id, $"n{id}", [], [], DirectoryId: directory);

        union.For(new GroupId(1)).SetMembers([Of(1, 0), Of(2, 22)], [3, 4]);
        union.For(new GroupId(2)).SetMembers([Of(1, 11), Of(2, 0), Of(3, 33)], [5]);

        Assert.Equal([(1UL, 11UL), (2UL, 22UL), (3UL, 33UL)], sent.Members.Select(member => (member.Id, member.DirectoryId)));
        Assert.Equal([4UL, 5UL], sent.Removed);
    }

    private static void Settle(SharedLoop shared)
    {
        while (shared.RunOnce())
        {
        }
    }

    private static (Stage Stage, SharedLoop.Seat Seat) Seated(SharedLoop shared, Stage? stage = null)
    {
        stage ??= new Stage();
        SharedLoop.Seat seat = shared.Reserve();
        seat.Take(stage);
        return (stage, seat);
    }

    private SharedLoop Loop() => new("node", _failure, _time, _signal);

    private NodeBeats Beats(IPeerTransport transport, Action<GroupId> rouse)
    {
        var settings = new NodeSettings
        {
            Name = "n1",
            ClusterId = 7,
            NodeId = new NodeId(1),
            Members = [],
            DataDirectory = "/data",
            HeartbeatInterval = TickLength,
            ElectionTimeout = 10 * TickLength,
            Seed = 1,
        };
        return new NodeBeats(settings, _time, transport, rouse);
    }

    private void Tick(NodeBeats beats, int ticks)
    {
        for (int i = 0; i < ticks; i++)
        {
            _time.Advance(TickLength);
            Assert.True(beats.RunOnce());
        }
    }

    private sealed class Stage : ILoop
    {
        public int Runs { get; private set; }

        public int Work { get; set; }

        public Action? Ran { get; set; }

        public string Name => "stage";

        public long NextWake { get; set; } = long.MaxValue;

        public bool RunOnce()
        {
            Runs++;
            Ran?.Invoke();
            return Work-- > 0;
        }
    }

    private sealed class CountingSignal : ILoopSignal
    {
        public int Count { get; private set; }

        public void Set() => Count++;
    }

    private sealed class Sent : IPeerTransport
    {
        public List<Message> Messages { get; } = [];

        public IReadOnlyCollection<Member> Members { get; private set; } = [];

        public IReadOnlyCollection<ulong> Removed { get; private set; } = [];

        public void Send(GroupId group, Message message) => Messages.Add(message);

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed) => (Members, Removed) = (members, removed);
    }
}
