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
    private volatile Refusal? _refusal;

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

    /// <summary>A peer says that this member was removed, which peers say once it is applied.</summary>
    public bool WasRemoved => _refusal is { Kind: MemberRefusal.Removed };

    /// <summary>A peer refuses this member for good. Called from any thread.</summary>
    public void HearFrom(NodeId peer, MemberRefusal refusal, string reason) => _refusal = new Refusal(refusal, $"peer {peer}: {reason}");

    public void Tick()
    {
        if (_refusal is { Kind: not MemberRefusal.Removed } refusal)
        {
            failure.Fail("membership", new MemberRefusedException(refusal.Text));
            return;
        }

        if (_ticksLeft < 0 && WasRemoved)
        {
            _ticksLeft = patienceTicks;
        }

        if (_ticksLeft > 0 && --_ticksLeft == 0)
        {
            failure.Fail("membership", new MemberRefusedException(_refusal?.Text ?? $"member {self} was removed from the cluster; its data directory is of no further use"));
        }
    }

    private sealed record Refusal(MemberRefusal Kind, string Text);
}
