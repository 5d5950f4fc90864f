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

    /// <summary>The leader's node is silent. Counts with the next <see cref="Begin"/>. Any thread.</summary>
    public void Rouse() => _isRoused = true;

    /// <summary>A turn begins. Wakes where requests wait; of messages, Raft decides itself.</summary>
    public void Begin(bool hasRequests)
    {
        bool isWanted = hasRequests || _isRoused;
        _isRoused = false;
        if (raft.IsQuiescent)
        {
            raft.SetLeaderSilence(watch!.SilentTicks(raft.Leader));
            if (isWanted)
            {
                raft.Wake();
            }
        }
    }

    /// <summary>
    /// Ticks that have passed. In the turn in which the group wakes the clock begins anew: the ticks that were slept through are not made up
    /// for, and none comes early, behind those that the leader's silence has counted.
    /// </summary>
    public int TakeTicks()
    {
        if (_watched.IsNone || (raft.IsQuiescent && !IsAsleep))
        {
            return clock.TakeTicks();
        }

        if (!raft.IsQuiescent)
        {
            StopSleeping();
        }

        return 0;
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

    private void StopSleeping()
    {
        IsAsleep = false;
        clock.Restart();
    }
}
