using System.Collections.Concurrent;
using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Hosting;

/// <summary>Watches over groups that sleep; called on the node loop.</summary>
internal interface IGroupSleep
{
    /// <summary>Ticks since the last message of a node, whichever group it was for; never more than have passed.</summary>
    int SilentTicks(NodeId node);

    /// <summary>The group sleeps from now on, under that leader.</summary>
    void FellAsleep(GroupId group, NodeId leader, Membership membership);

    /// <summary>It sleeps no more.</summary>
    void Woke(GroupId group);
}

/// <summary>
/// The pulse of nodes, in place of the heartbeats of all groups that sleep: as long as this node leads one that does, it sends one beat with each
/// tick to each node that follows it there. And it listens: once nothing was heard of a node for an election timeout, of whatever group, the
/// groups that sleep under it are roused, and hold elections. A beat says that a node is up and reaches us, and nothing about any group;
/// a leader that is none any more is found out by those of its group that are awake. A stage of the node loop.
/// </summary>
internal sealed class NodeBeats : ILoop, IGroupSleep
{
    private readonly ConcurrentDictionary<NodeId, Pulse> _pulses = new();
    private readonly Dictionary<uint, NodeId> _leaders = [];
    private readonly Dictionary<NodeId, SortedSet<uint>> _sleepers = [];
    private readonly SortedDictionary<uint, Membership> _ledHere = [];
    private readonly NodeId _self;
    private readonly int _patienceTicks;
    private readonly ReplicaClock _clock;
    private readonly IPeerTransport _transport;
    private readonly Action<GroupId> _rouse;
    private NodeId[]? _listeners;
    private int _asleep;

    /// <param name="settings">Who this node is, and how long it waits for others.</param>
    /// <param name="time">The node's clock.</param>
    /// <param name="transport">The way to the others.</param>
    /// <param name="rouse">Wakes a group.</param>
    public NodeBeats(NodeSettings settings, TimeProvider time, IPeerTransport transport, Action<GroupId> rouse)
    {
        _self = settings.NodeId;
        _patienceTicks = settings.ElectionTicks;
        _clock = new ReplicaClock(time, settings.HeartbeatInterval);
        _transport = transport;
        _rouse = rouse;
    }

    /// <summary>The group of messages between nodes; no group has this id.</summary>
    public static GroupId NodeGroup { get; } = new(0);

    public string Name => "beats";

    public long NextWake => _clock.NextTick;

    /// <summary>Groups that sleep here. Any thread.</summary>
    public int Asleep => Volatile.Read(ref _asleep);

    /// <summary>A message of that node came in, of whatever group. Any thread.</summary>
    public void Heard(NodeId node) => PulseOf(node).Beat();

    public int SilentTicks(NodeId node) => node == _self || PulseOf(node).IsHeard ? 0 : PulseOf(node).SilentTicks;

    public void FellAsleep(GroupId group, NodeId leader, Membership membership)
    {
        _leaders.Add(group.Value, leader);
        Volatile.Write(ref _asleep, _leaders.Count);
        if (leader == _self)
        {
            _ledHere.Add(group.Value, membership);
            _listeners = null;
            return;
        }

        if (!_sleepers.TryGetValue(leader, out SortedSet<uint>? sleepers))
        {
            _sleepers.Add(leader, sleepers = []);
        }

        sleepers.Add(group.Value);
    }

    public void Woke(GroupId group)
    {
        Invariant.Check(_leaders.Remove(group.Value, out NodeId leader), $"Group {group} wakes and has not slept.");
        Volatile.Write(ref _asleep, _leaders.Count);
        if (leader == _self)
        {
            _ledHere.Remove(group.Value);
            _listeners = null;
        }
        else
        {
            _sleepers[leader].Remove(group.Value);
        }
    }

    public bool RunOnce()
    {
        int ticks = _clock.TakeTicks();
        for (int i = 0; i < ticks; i++)
        {
            Tick();
        }

        return ticks > 0;
    }

    private void Tick()
    {
        foreach (NodeId listener in _listeners ??= [.. _ledHere.Values.SelectMany(membership => membership.All).Where(member => member != _self).Distinct().Order()])
        {
            _transport.Send(NodeGroup, new Message { Kind = MessageKind.NodeBeat, From = _self, To = listener });
        }

        foreach ((NodeId node, Pulse pulse) in _pulses)
        {
            pulse.SilentTicks = pulse.TakeHeard() ? 0 : pulse.SilentTicks + 1;
            if (pulse.SilentTicks >= _patienceTicks && _sleepers.TryGetValue(node, out SortedSet<uint>? sleepers))
            {
                // Again with each tick, until they have woken: one may fall asleep only now, by a message that has lain here for long.
                foreach (uint group in sleepers)
                {
                    _rouse(new GroupId(group));
                }
            }
        }
    }

    private Pulse PulseOf(NodeId node) => _pulses.GetOrAdd(node, static _ => new Pulse());

    private sealed class Pulse
    {
        private int _heard; // set by any thread

        /// <summary>Whether it was heard of since the last tick.</summary>
        public bool IsHeard => Volatile.Read(ref _heard) != 0;

        public int SilentTicks { get; set; }

        public void Beat() => Volatile.Write(ref _heard, 1);

        /// <summary>Whether it was heard of, and begins anew. In one step: a beat in between would be lost.</summary>
        public bool TakeHeard() => Interlocked.Exchange(ref _heard, 0) != 0;
    }
}
