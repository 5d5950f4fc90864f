using MetaStore.Raft;

namespace MetaStore.Engine.Replication;

/// <summary>The node loop's state as other threads may see it: each number fresh, the set of them not of one moment.</summary>
internal sealed class ReplicaStatus
{
    private ulong _leader;
    private ulong _term;
    private ulong _lastIndex;
    private ulong _commitIndex;
    private ulong _snapshotIndex;
    private int _pending;
    private int _role;

    public NodeId Leader => new(Volatile.Read(ref _leader));

    public ulong Term => Volatile.Read(ref _term);

    public ulong LastIndex => Volatile.Read(ref _lastIndex);

    public ulong CommitIndex => Volatile.Read(ref _commitIndex);

    public ulong SnapshotIndex => Volatile.Read(ref _snapshotIndex);

    public Role Role => (Role)Volatile.Read(ref _role);

    /// <summary>Operations and reads that the loop holds.</summary>
    public int Pending => Volatile.Read(ref _pending);

    /// <summary>True where the leader is another than before.</summary>
    public bool Publish(RaftNode raft, NodeId leader, int pending)
    {
        Volatile.Write(ref _term, raft.Term.Value);
        Volatile.Write(ref _lastIndex, raft.LastIndex.Value);
        Volatile.Write(ref _commitIndex, raft.CommitIndex.Value);
        Volatile.Write(ref _snapshotIndex, raft.SnapshotIndex.Value);
        Volatile.Write(ref _pending, pending);
        Volatile.Write(ref _role, (int)raft.Role);
        bool changed = _leader != leader.Value;
        Volatile.Write(ref _leader, leader.Value);
        return changed;
    }
}
