namespace MetaStore.Raft;

/// <summary>
/// What every part of a node shares: term, vote and role, the log, what is under way to the disk, and what is to be sent.
/// Role, term and vote change only through <see cref="RoleSwitch"/>.
/// </summary>
internal sealed class NodeState
{
    private Membership? _quorumOf;
    private Quorum? _quorum;

    public NodeState(RaftOptions options, RaftRestart? restart)
    {
        options.Validate();
        Options = options;
        HardState durable = restart?.HardState ?? default;
        SnapshotMetadata? snapshot = restart?.Snapshot;
        IReadOnlyList<Entry> entries = restart?.Entries ?? [];
        LogIndex last = entries.Count > 0 ? entries[^1].Index : snapshot?.Index ?? LogIndex.Zero;

        Writes = new WriteLedger(durable, last);
        Log = new RaftLog(Writes, new Membership(options.Voters, options.Learners), snapshot, entries, durable.Commit);
        Recovery = new Recovery(this, restart is { IsRecovering: true });
        SilenceLeft = restart is not null && options.Silence > 0 ? options.ElectionTicks : 0;
        EarlierSilenceLeft = KnownBugs.RestartShortensThePromise ? 0 : restart?.SilenceTicks ?? 0;
        Term = durable.Term;
        Vote = durable.Vote;
        if (Log.LastTerm > Term)
        {
            // The log is ahead of the hard state: what was durable of the write stops in between, or the snapshot came alone.
            // No vote of that term can have left this node, for it would have waited for the hard state.
            Term = Log.LastTerm;
            Vote = NodeId.None;
        }
    }

    public RaftOptions Options { get; }

    public NodeId Id => Options.Id;

    /// <summary>The newest membership in the log.</summary>
    public Membership Membership => Log.Memberships.Current;

    /// <summary>The majorities of <see cref="Membership"/>.</summary>
    public Quorum Quorum
    {
        get
        {
            if (!ReferenceEquals(_quorumOf, Membership))
            {
                _quorumOf = Membership;
                _quorum = new Quorum(_quorumOf);
            }

            return _quorum!;
        }
    }

    public Term Term { get; set; }

    /// <summary>For whom this node voted in <see cref="Term"/>.</summary>
    public NodeId Vote { get; set; }

    public Role Role { get; set; }

    public NodeId Leader { get; set; }

    /// <summary>Ticks since a leader was heard of, a vote given, or an election begun; of a leader, since the last quorum check.</summary>
    public int ElectionElapsed { get; set; }

    /// <summary>Ticks without a leader before this node stands, priorities aside; drawn anew for each election.</summary>
    public int ElectionTimeout { get; set; }

    public RaftLog Log { get; }

    public WriteLedger Writes { get; }

    /// <summary>The disk has not answered for one and the same write for longer than an election timeout: nothing that this node promises could leave.</summary>
    public bool IsDiskStalled => Writes.TicksWaited > Options.ElectionTicks;

    public Outbox Outbox { get; } = new();

    /// <summary>Whether this member may vote, or has to catch up first.</summary>
    public Recovery Recovery { get; }

    /// <summary>Heard of a live leader within the least election timeout: nobody else can have a claim (thesis, 6.4.1 and 9.6).</summary>
    public bool HasLiveLeader => IsSilent || (!Leader.IsNone && ElectionElapsed < Options.ElectionTicks);

    /// <summary>
    /// Ticks in which no election is answered, since a leader was heard of, or since a restart, before which this node may have answered a heartbeat: the leader counts on
    /// that for its lease, whatever terms are heard of meanwhile. 0 where there are no leases.
    /// </summary>
    public int SilenceLeft { get; private set; }

    /// <summary>The same for what an earlier life promised, by other settings.</summary>
    public int EarlierSilenceLeft { get; private set; }

    /// <summary>No election is answered now, but one that the leader itself asked for.</summary>
    public bool IsSilent => SilenceLeft > 0 || EarlierSilenceLeft > 0;

    /// <summary>A tick of silence has passed.</summary>
    public void PassSilence()
    {
        SilenceLeft = Math.Max(0, SilenceLeft - 1);
        EarlierSilenceLeft = Math.Max(0, EarlierSilenceLeft - 1);
    }

    /// <summary>A leader was heard of, and may count on this node for so many ticks.</summary>
    public void PromiseSilence(int ticks)
    {
        if (Options.Silence > 0)
        {
            SilenceLeft = ticks;
        }
    }

    /// <summary>The group sleeps, as far as this node knows: no time passes for it.</summary>
    public bool IsQuiescent { get; set; }

    /// <summary>Of a follower that sleeps: the last round of heartbeats before the leader fell silent.</summary>
    public ulong QuiescentRound { get; set; }

    /// <summary>The driver's clock, as last told.</summary>
    public long Now { get; set; }

    /// <summary>The answer to whoever leads, or may: this node is there, in this term, and may vote or has to catch up first.</summary>
    public Message SignOfLife(NodeId leader) => new()
    {
        Kind = MessageKind.HeartbeatReply,
        From = Id,
        To = leader,
        Term = Term,
        IsRecovering = Recovery.IsActive,
    };

    /// <summary>A message that may leave at once.</summary>
    public void Send(Message message) => Outbox.Messages.Add(message);

    /// <summary>A message that promises what is not yet durable.</summary>
    public void SendWhenDurable(Message message) => Writes.Seal(message);
}
