using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>The world outside a node: everything in it that a test replaces.</summary>
internal sealed class NodeSeams
{
    public required IDisk Disk { get; init; }

    public required IPeerTransport Transport { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>A signal for the loop of that name (node, log, apply, snapshot).</summary>
    public required Func<string, ILoopSignal> Signals { get; init; }

    /// <summary>False in the simulator, where there is one thread.</summary>
    public required bool RunContinuationsAsynchronously { get; init; }
}

/// <summary>
/// A whole node without threads: its loops, joined, and the operations on them. <see cref="MetaStoreNode"/> gives each loop a
/// thread; the simulator steps them itself.
/// </summary>
internal sealed class NodeCore : IMetaStore, IMetaStoreCluster, IMetaStoreSessions, IPeerMessageSink, IDisposable
{
    private static readonly string s_version = typeof(NodeCore).Assembly.GetName().Version!.ToString(3);

    private readonly Lock _stopGate = new();
    private readonly NodeSettings _settings;
    private readonly NodeSeams _seams;
    private readonly NodeStorage _storage;
    private readonly RequestValidator _validator;
    private readonly StoreHolder _stores;
    private readonly StoreReader _reader;
    private readonly PendingOperationPool _pool;
    private readonly long _requestTimeout;
    private readonly SnapshotPolicy _snapshotPolicy;
    private volatile bool _refusesNew;
    private volatile bool _loopsEnded;

    public NodeCore(NodeSettings settings, NodeSeams seams)
    {
        settings.Validate();
        _settings = settings;
        _seams = seams;
        _storage = NodeStorage.Open(seams.Disk, settings, Group);
        _stores = new StoreHolder(_storage.Store);
        _validator = new RequestValidator(settings.Limits);
        _pool = new PendingOperationPool(seams.RunContinuationsAsynchronously);
        _requestTimeout = (long)(settings.RequestTimeout.TotalSeconds * seams.Time.TimestampFrequency);
        var random = new SplitMix64(settings.Seed);
        int electionTicks = (int)Math.Ceiling(settings.ElectionTimeout / settings.HeartbeatInterval);
        ulong readOrigin = random.Next();
        var raft = new RaftNode(
            new RaftOptions
            {
                Id = settings.NodeId,
                Seed = random.Next(),
                ReadOrigin = readOrigin,
                ElectionTicks = electionTicks,
                HeartbeatTicks = 1,
                LeaseDuration = (long)(settings.LeaseDuration.TotalSeconds * seams.Time.TimestampFrequency),
                AppendBytesMax = settings.AppendBytesMax,
                CompactionTailEntries = settings.Snapshots.EntriesKept,
            },
            _storage.Restart);
        _snapshotPolicy = new SnapshotPolicy(settings.Snapshots, NewestSnapshotBytes());
        Apply = new Applier(_stores, Failure, seams.Signals("apply"), _snapshotPolicy, (ulong)settings.StateCheckEntries, settings.ClusterId, settings.NodeId.Value);
        var parts = new ReplicaParts
        {
            Group = Group,
            Time = seams.Time,
            TickLength = settings.HeartbeatInterval,
            ProposerOptions = settings.Proposer,
            ProposerId = random.Next(),
            ReadOrigin = readOrigin,
            ReadRetryTicks = electionTicks,
            Failure = Failure,
            Signal = seams.Signals("node"),
            Transport = seams.Transport,
            Stores = _stores,
            Applier = Apply,
            Self = new Member(settings.NodeId.Value, settings.Name, [], settings.ClientUrls, DirectoryId: _storage.DirectoryId),
            Rules = new MemberRules(settings.LearnersMax, random.Next),
        };
        Node = new Replica(raft, parts);
        Snapshot = new SnapshotLoop(
            _storage.Snapshots, Group.Value, settings.Snapshots, _snapshotPolicy, Failure, seams.Time, seams.Signals("snapshot"), Node.Report);
        Log = new LogLoop(_storage.Log, Node, seams.Signals("log"));
        parts.Log = Log.Writer;
        parts.Snapshots = Snapshot;
        Apply.Connect(Node.Applied, Snapshot.Take, Node.Report);
        _reader = new StoreReader(_stores, settings.ClusterId, settings.NodeId.Value, () => Node.Status.Term);
        parts.MembersAnswer = MembersAnswer;
        Failure.Connect(WakeAll);
    }

    /// <summary>The one group of this version.</summary>
    public static GroupId Group { get; } = new(1);

    public NodeFailure Failure { get; } = new();

    public Replica Node { get; }

    public Applier Apply { get; }

    public LogLoop Log { get; }

    public SnapshotLoop Snapshot { get; }

    public IReadOnlyList<ILoop> Loops => [Node, Log, Apply, Snapshot];

    /// <summary>What recovery cut away; null where nothing.</summary>
    public string? RecoveryNote => _storage.RecoveryNote;

    /// <summary>The member came back without a part of what it had acknowledged.</summary>
    public bool StartedRecovering => _storage.IsRecovering;

    public StoreView View => _stores.Current.View;

    /// <summary>Handles that somebody holds; 0 at rest.</summary>
    public long OperationsRented => _pool.Rented;

    public void Receive(GroupId group, Message message)
    {
        if (group == Group)
        {
            Node.Receive(message);
        }
    }

    public void ReportUnreachable(NodeId peer) => Node.ReportUnreachable(peer);

    public void ReportRefused(NodeId peer, string reason) => Node.ReportRefused(peer, reason);

    /// <summary>The directory held nothing: this is the member's first start.</summary>
    public bool IsFirstStart => _storage.IsNew;

    public ulong DirectoryId => _storage.DirectoryId;

    public async ValueTask<MembersResponse> MembersAsync(bool linearizable = true, CancellationToken cancellationToken = default)
    {
        await PassBarrierAsync(serializable: !linearizable, cancellationToken).ConfigureAwait(false);
        return MembersAnswer(memberId: 0);
    }

    public ValueTask<MembersResponse> ChangeMembersAsync(MemberChange change, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(change);
        return SubmitClusterRequest(new ClusterRequest(change, 0), cancellationToken);
    }

    public ValueTask<MembersResponse> MoveLeaderAsync(ulong target, CancellationToken cancellationToken = default) =>
        SubmitClusterRequest(new ClusterRequest(null, target), cancellationToken);

    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<PutResponse>(operation, token);
    }

    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<DeleteRangeResponse>(operation, token);
    }

    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<CompactResponse>(operation, token);
    }

    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default)
    {
        if (StoreReader.IsReadOnly(request))
        {
            _validator.Check(request);
            return ReadTxnAsync(request, cancellationToken);
        }

        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<TxnResponse>(operation, token);
    }

    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(new OpenSessionRequest((uint)_settings.SessionsMax), cancellationToken, out short token);
        return new ValueTask<OpenSessionResponse>(operation, token);
    }

    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(new CloseSessionRequest(sessionId), cancellationToken, out short token);
        return new ValueTask<CloseSessionResponse>(operation, token);
    }

    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<SessionResponse>(operation, token);
    }

    public async ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default)
    {
        _validator.Check(request);
        _reader.CheckHoldsData(View);
        TimeSpan? age = request.Serializable || request.StalenessMax > TimeSpan.Zero ? Node.Freshness.Age() : null;
        bool isLocal = request.Serializable || age <= request.StalenessMax;
        await PassBarrierAsync(isLocal, cancellationToken).ConfigureAwait(false);
        return _reader.Range(request, isLocal ? age : TimeSpan.Zero);
    }

    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default)
    {
        ThrowIfDown();
        return new ValueTask<HashResponse>(_reader.Hash(request));
    }

    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDown();
        StoreView view = View;
        ReplicaStatus status = Node.Status;
        return new ValueTask<StatusResponse>(new StatusResponse
        {
            Header = _reader.Header(view),
            Version = s_version,
            Name = _settings.Name,
            LeaderId = status.Leader.Value,
            LastIndex = status.LastIndex,
            CommitIndex = status.CommitIndex,
            AppliedIndex = view.AppliedIndex,
            SnapshotIndex = status.SnapshotIndex,
            CompactRevision = new Revision(view.CompactRevision),
            KeyCount = view.Index.LiveCount,
            DiskBytes = _storage.Log.DiskBytes + _snapshotPolicy.LastBytes,
            Members = [.. MemberTable.From(view.Membership).Members],
            IsLearner = view.Membership.Learners.Contains(_settings.NodeId),
            IsWitness = view.IsHollow || view.Membership.IsWitness(_settings.NodeId),
        });
    }

    /// <summary>Refuses what comes from now on. The loops may run on, to finish what is under way.</summary>
    public void RefuseNew() => _refusesNew = true;

    /// <summary>Tells everybody who still waits that the node has stopped. The loops run no more.</summary>
    public void AbandonAll()
    {
        lock (_stopGate)
        {
            _refusesNew = true;
            _loopsEnded = true;
            Node.Abandon(MetaStoreError.Stopped, "the node is stopped");
        }
    }

    public void Dispose()
    {
        Snapshot.Close();
        _storage.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask<TxnResponse> ReadTxnAsync(TxnRequest request, CancellationToken cancellationToken)
    {
        _reader.CheckHoldsData(View);
        await PassBarrierAsync(StoreReader.IsSerializable(request), cancellationToken).ConfigureAwait(false);
        return _reader.Txn(request);
    }

    private ValueTask PassBarrierAsync(bool serializable, CancellationToken cancellationToken)
    {
        ThrowIfDown();
        if (serializable)
        {
            return ValueTask.CompletedTask;
        }

        PendingOperation read = Rent(PendingOperation.Barrier, 0, queued: false, cancellationToken);
        short token = read.Token;
        Node.SubmitRead(read);
        AbandonIfStopped();
        return new ValueTask(read, token);
    }

    private ValueTask<MembersResponse> SubmitClusterRequest(ClusterRequest request, CancellationToken cancellationToken)
    {
        ThrowIfDown();
        PendingOperation operation = Rent(request, 0, queued: false, cancellationToken);
        short token = operation.Token;
        Node.SubmitClusterRequest(operation);
        AbandonIfStopped();
        return new ValueTask<MembersResponse>(operation, token);
    }

    private MembersResponse MembersAnswer(ulong memberId)
    {
        StoreView view = View;
        return new MembersResponse
        {
            Header = _reader.Header(view),
            Members = [.. MemberTable.From(view.Membership).Members],
            MemberId = memberId,
        };
    }

    private PendingOperation SubmitWrite(StoreRequest request, CancellationToken cancellationToken, out short token)
    {
        _validator.Check(request);
        ThrowIfDown();
        _reader.CheckHoldsData(View); // Its answer would never come out of this member's log.
        PendingOperation operation = Rent(request, StoreRequestCodec.GetLength(request), queued: true, cancellationToken);
        token = operation.Token;
        Node.Submit(operation);
        AbandonIfStopped();
        return operation;
    }

    private PendingOperation Rent(StoreRequest request, int length, bool queued, CancellationToken cancellationToken)
    {
        if (_pool.Rented >= _settings.Proposer.OperationsMax)
        {
            throw new MetaStoreException(MetaStoreError.Busy, $"too many requests: {_settings.Proposer.OperationsMax} are under way");
        }

        PendingOperation operation = _pool.Rent();
        long now = _seams.Time.GetTimestamp();
        operation.Begin(request, length, now, now + _requestTimeout, queued, cancellationToken);
        return operation;
    }

    private void ThrowIfDown()
    {
        if (Failure.IsFailed)
        {
            throw Failure.ToException(Outcome.NotApplied);
        }

        if (_refusesNew)
        {
            throw new MetaStoreException(MetaStoreError.Stopped, "the node is stopped");
        }
    }

    /// <summary>An operation that slipped in when the loops had ended: nobody else would answer it.</summary>
    private void AbandonIfStopped()
    {
        if (_loopsEnded)
        {
            AbandonAll();
        }
    }

    private long NewestSnapshotBytes()
    {
        SnapshotInfo? newest = _storage.Snapshots.List(Group.Value).FirstOrDefault();
        if (newest is null)
        {
            return 0;
        }

        using IDiskFile file = _storage.Snapshots.OpenRaw(Group.Value, newest);
        return file.Length;
    }

    private void WakeAll()
    {
        Node.Wake();
        Apply.Wake();
    }
}
