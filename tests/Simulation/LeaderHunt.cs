using MetaStore.Testing;

namespace MetaStore.Simulation;

/// <summary>
/// Strikes where it hurts: a leader shortly after its election, when half of what it owes its term is done, and a voter shortly after its vote.
/// The schedules of the Raft paper's figure 8 take several such blows in a row, each within one round trip of an election; faults at random times
/// hardly ever give them. In some runs the victims take turns: the last one comes back when the next is cut off, with a log that
/// nobody else has, to stand against those who know nothing of it. Leaders are struck after a time, or after a number of messages
/// they received: the steps of figure 8 lie between two messages, however long these travel.
/// </summary>
internal sealed class LeaderHunt(World world, SimulationRandom random)
{
    private const double VoterStruck = 0.1;

    /// <summary>Some leaders must live, or nothing is ever committed that could be lost.</summary>
    private readonly double _leaderStruck = 0.5 + (0.45 * random.NextDouble());

    private readonly double _crashRatherThanCut = world.Options.Crashes && random.Chance(0.5) ? random.NextDouble() : 0;
    private readonly bool _inTurns = random.Chance(0.5);
    private readonly bool _byMessages = random.Chance(0.7);
    private readonly Dictionary<SimulatedNode, int> _lastStrike = [];
    private SimulatedNode? _away;
    private SimulatedNode? _marked;
    private int _messagesLeft;
    private bool _ended;

    private bool IsOn => world.Options.LeaderHunt && !_ended;

    public int Strikes { get; private set; }

    public void End() => _ended = true;

    public void Elected(SimulatedNode leader)
    {
        if (!IsOn || !random.Chance(_leaderStruck))
        {
            return;
        }

        // Before a word of it got out, or up to a few round trips later.
        bool atOnce = random.Chance(0.4);
        if (_byMessages && !atOnce)
        {
            _marked = leader;
            _messagesLeft = random.Next(1, 6);
        }
        else
        {
            Later(atOnce ? 0 : random.Between(10 * VirtualTime.Microsecond, 6 * world.Options.DelayMax), () => Strike(leader));
        }
    }

    /// <summary>A message arrived; the blow falls when the node has had the time to work on it, and hardly any to tell of it.</summary>
    public void Received(SimulatedNode node)
    {
        if (node == _marked && --_messagesLeft == 0)
        {
            _marked = null;
            Later(random.Between(10 * VirtualTime.Microsecond, 4 * VirtualTime.Millisecond), () => Strike(node));
        }
    }

    public void Voted(SimulatedNode voter)
    {
        if (IsOn && world.Options.Crashes && random.Chance(VoterStruck))
        {
            Later(random.Between(VirtualTime.Microsecond, world.Options.DiskDelayMax), () => Crash(voter, CrashPolicy.LoseAll));
        }
    }

    private void Strike(SimulatedNode leader)
    {
        if (random.Chance(_crashRatherThanCut))
        {
            Crash(leader, (CrashPolicy)random.Next(5));
            return;
        }

        int strike = ++Strikes;
        world.Trace.Add(world.Time.Now, "hunt: cut off", leader.Id.Value);
        SimulatedNode? last = _away;
        _away = leader;
        if (_inTurns && last is not null)
        {
            world.Network.Rejoin(last.Id);
        }

        world.Network.Isolate(leader.Id);
        _lastStrike[leader] = strike;
        world.Time.After(_inTurns ? 4 * Absence() : Absence(), () =>
        {
            if (_lastStrike[leader] == strike)
            {
                world.Network.Rejoin(leader.Id);
            }
        });
    }

    private void Crash(SimulatedNode node, CrashPolicy policy)
    {
        if (!node.IsUp)
        {
            return;
        }

        Strikes++;
        node.Crash(policy);
        world.Time.After(Absence(), () => world.Restart(node, new DiskFaults()));
    }

    /// <summary>From a moment to a few elections.</summary>
    private long Absence() => random.Between(10 * VirtualTime.Millisecond, 4 * VirtualTime.Second);

    private void Later(long delay, Action action) => world.Time.After(delay, () =>
    {
        if (!_ended)
        {
            action();
        }
    });
}
