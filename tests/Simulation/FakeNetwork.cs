using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>
/// The network between the nodes: loses, repeats, delays and so reorders, and cuts links one way or both. Messages travel as the
/// bytes of the peer protocol. Of some losses the sender is told, as a transport whose connection broke tells it.
/// </summary>
internal sealed class FakeNetwork(
    VirtualTime time, SimulationRandom random, RunOptions options, Action<NodeId, GroupId, Message> deliver, Action<NodeId, NodeId> reportLoss, Trace trace)
{
    private const double NoticedLosses = 0.1;

    private readonly HashSet<(NodeId From, NodeId To)> _cut = [];
    private readonly HashSet<NodeId> _alone = [];

    public bool IsCalm { get; set; }

    public void Cut(NodeId from, NodeId to) => _cut.Add((from, to));

    public bool IsCut(NodeId from, NodeId to) => _cut.Contains((from, to)) || _alone.Contains(from) || _alone.Contains(to) || IsSevered(from, to) || IsSevered(to, from);

    /// <summary>What is cut besides, in both directions, and stays so whoever heals the network.</summary>
    public Func<NodeId, NodeId, bool> IsSevered { get; set; } = (_, _) => false;

    /// <summary>Heals every link; who was isolated stays so.</summary>
    public void HealAll() => _cut.Clear();

    /// <summary>Cuts the node off from all, whatever becomes of single links, until <see cref="Rejoin"/>.</summary>
    public void Isolate(NodeId node) => _alone.Add(node);

    public void Rejoin(NodeId node) => _alone.Remove(node);

    /// <summary>Messages that groups have sent.</summary>
    public long GroupMessages { get; private set; }

    /// <summary>Beats that nodes have sent in place of the heartbeats of groups that sleep.</summary>
    public long Beats { get; private set; }

    public void Send(NodeId from, GroupId group, Message message)
    {
        Beats += message.Kind == MessageKind.NodeBeat ? 1 : 0;
        GroupMessages += message.Kind == MessageKind.NodeBeat ? 0 : 1;
        if (!IsCalm && random.Chance(options.LossProbability))
        {
            Lose(from, message.To);
            return;
        }

        var bytes = new byte[MessageCodec.GetLength(message)];
        MessageCodec.Write(message, bytes);
        Travel(from, message.To, group, bytes);

        // The transport never sends a message twice by itself, and a repeated proposal is a second proposal: Raft does not tell them apart, sessions do.
        bool mayRepeat = message.Kind != MessageKind.Propose || options.Sessions;
        if (!IsCalm && mayRepeat && random.Chance(options.DuplicateProbability))
        {
            Travel(from, message.To, group, bytes);
        }
    }

    /// <summary>With a connection all that was on it is lost; here what came before arrives all the same, and later, which is harder on Raft.</summary>
    private void Lose(NodeId from, NodeId to)
    {
        if (random.Chance(NoticedLosses))
        {
            time.After(random.Between(50 * VirtualTime.Microsecond, options.DelayMax), () => reportLoss(from, to));
        }
    }

    private void Travel(NodeId from, NodeId to, GroupId group, byte[] bytes)
    {
        long delay = random.Between(50 * VirtualTime.Microsecond, IsCalm ? 2 * VirtualTime.Millisecond : options.DelayMax);
        time.After(delay, () =>
        {
            if (IsCut(from, to))
            {
                Lose(from, to);
                return;
            }

            Message message = MessageCodec.Read(bytes);
            trace.Add(time.Now, message.Kind.ToString(), ((ulong)(group.Value ^ 1) << 32) | (to.Value << 8) | message.From.Value, message.Term.Value, message.Index.Value);
            deliver(to, group, message);
        });
    }
}
