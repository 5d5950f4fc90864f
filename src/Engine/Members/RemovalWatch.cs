using MetaStore.Engine.Replication;
using MetaStore.Raft;

namespace MetaStore.Engine.Members;

/// <summary>
/// Notices that this member was removed: by its own log, or by a peer that knows while this node was away. The node stops for good, an
/// election timeout later, so that what it still has to say (the commit, an answer) goes out.
/// </summary>
internal sealed class RemovalWatch(NodeId self, int patienceTicks, NodeFailure failure)
{
    private int _ticksLeft = -1;
    private volatile string? _refusal;

    /// <summary>Nothing tells against this member.</summary>
    public bool IsSettled => _ticksLeft < 0 && _refusal is null;

    /// <summary>A committed membership.</summary>
    public void Committed(Membership membership)
    {
        if (_ticksLeft < 0 && MemberTable.From(membership).WasRemoved(self.Value))
        {
            _ticksLeft = patienceTicks;
        }
    }

    /// <summary>A peer refuses this member for good. Called from any thread.</summary>
    public void HearFrom(NodeId peer, string reason) => _refusal = $"peer {peer}: {reason}";

    public void Tick()
    {
        if (_refusal is not null)
        {
            failure.Fail("membership", new MemberRefusedException(_refusal));
        }
        else if (_ticksLeft > 0 && --_ticksLeft == 0)
        {
            failure.Fail("membership", new MemberRefusedException($"member {self} was removed from the cluster; its data directory is of no further use"));
        }
    }
}
