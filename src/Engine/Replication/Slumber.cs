using MetaStore.Engine.Hosting;
using MetaStore.Raft;

namespace MetaStore.Engine.Replication;

/// <summary>
/// The sleep of one group on this node. While it lasts the replica takes no ticks and asks for no time; its leader's node is watched over in
/// its place. Owned by the node loop, but for <see cref="Rouse"/>.
/// </summary>
internal sealed class Slumber(GroupId group, RaftNode raft, ReplicaClock clock, IGroupSleep? watch)
{
    private NodeId _watched;
    private volatile bool _isRoused;

    /// <summary>Whether nothing here needs time to pass.</summary>
    public bool IsAsleep { get; private set; }

    /// <summary>The leader's node is silent. Counts with the next <see cref="WakeIf"/>. Any thread.</summary>
    public void Rouse() => _isRoused = true;

    /// <summary>Wakes before anything is handed in, so that the election timer goes on from when the leader's node was last heard of.</summary>
    public void WakeIf(bool hasInput)
    {
        bool isWanted = hasInput || _isRoused;
        _isRoused = false;
        if (isWanted && raft.IsQuiescent)
        {
            raft.Wake(watch!.SilentTicks(raft.Leader));
            StopSleeping();
        }
    }

    /// <summary>The turn is over.</summary>
    public void Settle(bool isAsleep)
    {
        NodeId leader = raft.IsQuiescent ? raft.Leader : NodeId.None;
        if (leader != _watched)
        {
            if (!_watched.IsNone)
            {
                watch!.Woke(group);
            }

            if (!leader.IsNone)
            {
                watch!.FellAsleep(group, leader, raft.Membership);
            }

            _watched = leader;
        }

        if (isAsleep)
        {
            IsAsleep = true;
        }
        else if (IsAsleep)
        {
            StopSleeping();
        }
    }

    /// <summary>The clock begins anew: the ticks that were slept through are not made up for, and none comes early.</summary>
    private void StopSleeping()
    {
        IsAsleep = false;
        clock.Restart();
    }
}
