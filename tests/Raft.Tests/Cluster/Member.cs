namespace MetaStore.Raft.Tests.Cluster;

/// <summary>One member as a driver would run it: a node, its disk, its state machine, and the transfer of snapshots in one piece.</summary>
internal sealed class Member
{
    private readonly RaftOptions _options;
    private readonly Func<int>? _drawElectionTicks;
    private ulong _life;
    private int _electionTicks;
    private int _promisedTicks;
    private readonly Dictionary<NodeId, int> _heardAt = [];
    private ulong _readSequence;
    private RaftNode? _node;

    /// <param name="options">Its settings; their silence is that of one tick.</param>
    /// <param name="drawElectionTicks">Each life has another election timeout; null: they are all as the options say.</param>
    public Member(RaftOptions options, Func<int>? drawElectionTicks = null)
    {
        _options = options;
        _drawElectionTicks = drawElectionTicks;
        Restart();
    }

    public NodeId Id => _options.Id;

    /// <summary>It holds no data, in whichever membership it is.</summary>
    public bool IsWitness { get; init; }

    public RaftNode Node => _node ?? throw new InvalidOperationException($"Member {Id} is down.");

    public bool IsUp => _node is not null;

    public MemoryDisk Disk { get; } = new();

    public StateMachine Machine { get; private set; } = new();

    /// <summary>Transfers that this leader began, with the ticks they have left.</summary>
    public Dictionary<NodeId, int> Transfers { get; } = [];

    /// <summary>Ticks that it has lived through.</summary>
    public int Ticks { get; set; }

    /// <summary>A message of a peer arrives.</summary>
    public void Hear(NodeId peer) => _heardAt[peer] = Ticks;

    /// <summary>Whole ticks since a peer was heard of, less the one that may have come right after.</summary>
    public int TicksSince(NodeId peer) => Math.Max(Ticks - _heardAt.GetValueOrDefault(peer, Ticks) - 1, 0);

    public void Restart()
    {
        _heardAt.Clear();
        _life++;
        _electionTicks = _drawElectionTicks?.Invoke() ?? _options.ElectionTicks;
        RaftRestart restart = Disk.Restart(silenceTicks: _promisedTicks > _electionTicks ? _promisedTicks : 0);
        _promisedTicks = Math.Max(_promisedTicks, _electionTicks);
        _readSequence = 0;
        _node = new RaftNode(LifeOptions(), restart);
        Machine = new StateMachine();
        Transfers.Clear();
        if (Disk.Snapshot is { } snapshot)
        {
            Machine.Load(snapshot);
        }
    }

    public void Crash(int survivingWrites)
    {
        Disk.Crash(survivingWrites);
        _node = null;
    }

    /// <summary>The member is down, and its disk is damaged; repaired, it comes back recovering.</summary>
    public void Damage(int keep, bool all)
    {
        Disk.Crash(surviving: 0);
        _node = null;
        Disk.Damage(keep, all);
    }

    /// <summary>Does everything a Ready asks for, but for the sending of messages and the completion of the write.</summary>
    public Ready Process()
    {
        Ready ready = Node.TakeReady();
        if (ready.Append is { } append)
        {
            Disk.Submit(append);
        }

        foreach (Entry entry in ready.Committed)
        {
            Machine.Apply(entry);
        }

        Node.AdvanceApplied(Machine.Applied);
        if (Disk.IsDamaged && !Node.IsRecovering)
        {
            Disk.MakeGood();
        }

        return ready;
    }

    /// <summary>The oldest write reaches the disk, and the node hears of it.</summary>
    public void CompleteWrite() => Node.Advance(Disk.CompleteOne());

    /// <summary>Asks for a read; null where no leader is known.</summary>
    public ReadContext? Read()
    {
        var context = new ReadContext((Id.Value << 32) | _life, ++_readSequence);
        return Node.RequestRead(context) ? context : null;
    }

    /// <summary>Takes a snapshot of what is applied, and compacts the log.</summary>
    public bool TakeSnapshot(LogIndex? keepFrom = null)
    {
        LogIndex index = Machine.Applied;
        if (index <= Node.SnapshotIndex || Node.TermAt(index) is not { } term)
        {
            return false;
        }

        var metadata = new SnapshotMetadata(index, term, Machine.Membership ?? new Membership(_options.Voters, _options.Learners));
        Disk.Store(new StoredSnapshot(metadata, Machine.Digest));
        Node.Compact(metadata, keepFrom);
        return true;
    }

    /// <summary>The newest snapshot as one message, or null where this member does not lead.</summary>
    public Message? SnapshotFor(NodeId peer)
    {
        if (Disk.Snapshot is null || Disk.Snapshot.Metadata.Index.Next < Node.FirstIndex)
        {
            TakeSnapshot(); // One that ends before the entries held would not do.
        }

        StoredSnapshot snapshot = Disk.Snapshot!;
        byte[] bytes = Node.Membership.IsWitness(peer) ? [] : StateMachine.Encode(snapshot.Digest);
        return Node.MakeSnapshotChunk(peer, snapshot.Metadata, 0, (ulong)bytes.Length, bytes);
    }

    /// <summary>Stores and loads a snapshot that came whole. The answer to the leader, or null.</summary>
    public Message? ReceiveSnapshot(Message chunk)
    {
        var metadata = new SnapshotMetadata(chunk.Index, chunk.LogTerm, MembershipCodec.Decode(chunk.Membership));
        if (metadata.Index <= Node.CommitIndex)
        {
            return null; // Committed since by entries.
        }

        ClusterChecker.Require(IsWitness == (chunk.SnapshotLength == 0), $"member {Id} (witness: {IsWitness}) got a snapshot of {chunk.SnapshotLength} bytes");
        var snapshot = new StoredSnapshot(metadata, IsWitness ? 0 : StateMachine.Decode(chunk.Chunk.Span));
        Disk.Store(snapshot);
        ClusterChecker.Require(Node.RestoreSnapshot(metadata), $"member {Id} refused a snapshot of {metadata.Index} at commit {Node.CommitIndex}");
        Machine.Load(snapshot);
        return Node.MakeSnapshotChunkReply(chunk.From, chunk.Index, chunk.SnapshotLength, reject: false);
    }

    private RaftOptions LifeOptions() => new()
    {
        Id = _options.Id,
        Voters = _options.Voters,
        Learners = _options.Learners,
        Seed = _options.Seed + _life,
        ReadOrigin = (Id.Value << 32) | _life,
        ElectionTicks = _electionTicks,
        HeartbeatTicks = _options.HeartbeatTicks,
        AppendBytesMax = _options.AppendBytesMax,
        InflightMessagesMax = _options.InflightMessagesMax,
        InflightBytesMax = _options.InflightBytesMax,
        UncommittedBytesMax = _options.UncommittedBytesMax,
        CommittedBytesMax = _options.CommittedBytesMax,
        CompactionTailEntries = _options.CompactionTailEntries,
        Quiesces = _options.Quiesces,
        Silence = _options.Silence * (_electionTicks - 1),
    };
}
