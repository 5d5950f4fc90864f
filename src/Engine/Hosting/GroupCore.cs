using MetaStore.Engine.Index;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Engine.Transactions;
using MetaStore.Engine.Watches;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// One Raft group on this node, without threads: its four loops, joined to the log that it shares with the other groups, and the operations on
/// its store.
/// </summary>
internal sealed class GroupCore : IMetaStore, IMetaStoreCluster, IMetaStoreSessions
{
    private static readonly string s_version = typeof(GroupCore).Assembly.GetName().Version!.ToString(3);

    /// <summary>Where clocks are not trusted at all (<see cref="NodeSettings.ClockDriftMax"/> of 1), leases of keys and ages of states trust them as far as they do by default.</summary>
    private const double ClockDriftTaken = 0.1;

    private const double MicrosecondsPerSecond = 1_000_000;

    private readonly Lock _stopGate = new();
    private readonly SemaphoreSlim _hashing = new(1, 1); // not disposed: without a wait handle it holds nothing
    private readonly NodeShared _node;
    private readonly NodeSettings _settings;
    private readonly RequestValidator _validator;
    private readonly StoreHolder _stores;
    private readonly StoreReader _reader;
    private readonly LeaseTerms _leaseTerms;
    private readonly long _requestTimeout;
    private readonly SnapshotPolicy _snapshotPolicy;

    /// <param name="node">What the node's groups share.</param>
    /// <param name="storage">What the data directory held of this group.</param>
    /// <param name="random">The group's share of the node's randomness.</param>
    /// <param name="signals">The signals of its loops.</param>
    /// <param name="transport">The way to its peers.</param>
    /// <param name="sleep">Watches over the group while it sleeps; null where it never does.</param>
    public GroupCore(NodeShared node, GroupStorage storage, SplitMix64 random, GroupSignals signals, IPeerTransport transport, IGroupSleep? sleep)
    {
        Group = storage.Group;
        _node = node;
        _settings = node.Settings;
        _stores = new StoreHolder(storage.Store);
        storage.Store.Pins.ExpireAfter(_settings.VisitTimeMax, node.Seams.Time);
        _validator = new RequestValidator(_settings.Limits);
        TimeProvider time = node.Seams.Time;
        _requestTimeout = (long)(_settings.RequestTimeout.TotalSeconds * time.TimestampFrequency);
        ulong readOrigin = random.Next();
        var raft = new RaftNode(RaftOptions(readOrigin, random.Next(), quiesces: sleep is not null), storage.Restart);
        _snapshotPolicy = new SnapshotPolicy(_settings.Snapshots, NewestSnapshotBytes());
        Apply = new Applier(_stores, node.Failure, signals.Apply, _snapshotPolicy, (ulong)_settings.StateCheckEntries, _settings.ClusterId, _settings.NodeId.Value, time);
        var parts = new ReplicaParts
        {
            Group = Group,
            Time = time,
            TickLength = _settings.HeartbeatInterval,
            ProposerOptions = _settings.Proposer,
            ProposerId = random.Next(),
            ReadOrigin = readOrigin,
            ReadRetryTicks = _settings.ElectionTicks,
            StateAskTicks = (int)Math.Min(int.MaxValue, Math.Ceiling(_settings.StateCheckInterval / _settings.HeartbeatInterval)),
            Failure = node.Failure,
            Signal = signals.Node,
            Transport = transport,
            Sleep = sleep,
            Stores = _stores,
            Applier = Apply,
            SnapshotPolicy = _snapshotPolicy,
            Self = new Member(_settings.NodeId.Value, _settings.Name, [], _settings.ClientUrls, DirectoryId: node.Storage.DirectoryId),
            AutoCompaction = _settings.AutoCompaction,
            ClockDrift = _settings.ClockDriftMax < 1 ? _settings.ClockDriftMax : ClockDriftTaken,
            Rules = new MemberRules(_settings.LearnersMax, random.Next),
        };
        Node = new Replica(raft, parts);
        Snapshot = new SnapshotLoop(
            node.Storage.Snapshots, Group.Value, _settings.Snapshots, _snapshotPolicy, node.Failure, time, signals.Snapshot, Node.Report, Apply.DemandSnapshot, node.Seams.Parts);
        parts.Snapshots = Snapshot;
        Watch = new WatchHub(new WatchParts
        {
            Options = _settings.Watches,
            Stores = _stores,
            Failure = node.Failure,
            Signal = signals.Watch,
            Time = time,
            ClusterId = _settings.ClusterId,
            NodeId = _settings.NodeId.Value,
            Term = () => Node.Status.Term,
            HasLeader = () => !Node.Status.Leader.IsNone,
            LeaderPatience = (long)(3 * _settings.ElectionTimeout.TotalSeconds * time.TimestampFrequency),
            RunContinuationsAsynchronously = node.Seams.RunContinuationsAsynchronously,
        });
        Apply.Connect(Watch.Published, Node.Applied, Snapshot.Take, Node.Report, Node.Report, logEndedAt: Node.Raft.LastIndex.Value);
        _reader = new StoreReader(_stores, _settings.ClusterId, _settings.NodeId.Value, () => Node.Status.Term);
        parts.MembersAnswer = MembersAnswer;
        parts.LeaseAnswer = _reader.Lease;
        _leaseTerms = new LeaseTerms(_settings.ElectionTimeout);
        Parts = parts;
    }

    public GroupId Group { get; }

    public Replica Node { get; }

    public Applier Apply { get; }

    public SnapshotLoop Snapshot { get; }

    public WatchHub Watch { get; }

    /// <summary>How long hashes of the newest state took.</summary>
    public DurationHistogram Hashes { get; } = DurationHistogram.OfHashes();

    /// <summary>How long hashes of a given revision took.</summary>
    public DurationHistogram HashesOfRevisions { get; } = DurationHistogram.OfHashes();

    public StoreView View => Store.View;

    /// <summary>The store in use.</summary>
    public MvccStore Store => _stores.Current;

    /// <summary>The header of an answer that this node would give now.</summary>
    public ResponseHeader Header => _reader.Header(View);

    /// <summary>Whether this member has the log and no vote.</summary>
    public bool IsLearner => View.Membership.Learners.Contains(_settings.NodeId);

    /// <summary>Whether this member holds no data.</summary>
    public bool IsWitness => View is { } view && (view.IsHollow || view.Membership.IsWitness(_settings.NodeId));

    /// <summary>Shows what this member has of a range, in the store's own memory.</summary>
    public Revision Visit<TVisitor>(in KeyRange range, Revision revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor => _reader.Visit(range, revision.Value, ref visitor);

    /// <summary>Bytes of log that the group may need before its next snapshot, about. Any thread.</summary>
    public long LogBytesAllowed => _snapshotPolicy.LogBytesAllowed;

    private ReplicaParts Parts { get; }

    /// <summary>Joins the group to the node's log; before the first run.</summary>
    public void Connect(LogWriter log) => Parts.Log = log;

    public StoreExport Export()
    {
        ThrowIfDown();
        _reader.CheckHoldsData(View);
        return new StoreExport(Store);
    }

    public SnapshotExport ExportFile()
    {
        ThrowIfDown();
        _reader.CheckHoldsData(View);
        return View.AppliedIndex > 0
            ? new SnapshotExport(Store, new WalIdentity(_settings.ClusterId, _settings.NodeId.Value), Group.Value)
            : throw new MetaStoreException(MetaStoreError.NoLeader, "this member has applied nothing yet: no leader has told it of anything");
    }

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
        PendingOperation operation = SubmitWrite(new OpenSessionRequest(_settings.SessionLimits), cancellationToken, out short token);
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

    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<LeaseGrantResponse>(operation, token);
    }

    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default)
    {
        PendingOperation operation = SubmitWrite(request, cancellationToken, out short token);
        return new ValueTask<LeaseRevokeResponse>(operation, token);
    }

    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default)
    {
        PendingOperation question = SubmitLeaseQuestion(new LeaseAskRequest(LeaseQuestion.KeepAlive, leaseId), cancellationToken, out short token);
        return new ValueTask<LeaseKeepAliveResponse>(question, token);
    }

    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default)
    {
        var ask = new LeaseAskRequest(LeaseQuestion.TimeToLive, request.Id, request.WithKeys);
        PendingOperation question = SubmitLeaseQuestion(ask, cancellationToken, out short token);
        return new ValueTask<LeaseTimeToLiveResponse>(question, token);
    }

    public async ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default)
    {
        _reader.CheckHoldsData(View);
        await PassBarrierAsync(serializable: false, cancellationToken).ConfigureAwait(false);
        return _reader.Leases();
    }

    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) =>
        RangeAsync(request, bytesMax: long.MaxValue, counts: true, cancellationToken);

    public async ValueTask<RangeResponse> RangeAsync(RangeRequest request, long bytesMax, bool counts, CancellationToken cancellationToken)
    {
        _validator.Check(request);
        _reader.CheckHoldsData(View);
        TimeSpan? age = request.Serializable || request.StalenessMax > TimeSpan.Zero ? Node.Freshness.Age() : null;
        bool isLocal = request.Serializable || age <= request.StalenessMax;
        await PassBarrierAsync(isLocal, cancellationToken).ConfigureAwait(false);
        return _reader.Range(request, isLocal ? age : TimeSpan.Zero, bytesMax, counts);
    }

    /// <summary>One at a time: each walks over the whole store, on the thread of its caller, and any number of callers must leave threads for others.</summary>
    public async ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default)
    {
        ThrowIfDown();
        await _hashing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            long start = _node.Seams.Time.GetTimestamp();
            HashResponse answer = _reader.Hash(request, cancellationToken);
            (request.Revision.Value == 0 ? Hashes : HashesOfRevisions).Add(_node.Seams.Time.GetElapsedTime(start));
            return answer;
        }
        finally
        {
            _hashing.Release();
        }
    }

    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        var filter = new WatchFilter(request);
        return new LocalWatch(other => OpenWatch(request, filter, cancellationToken, other));
    }

    public NodeFigures Figures()
    {
        StoreView view = View;
        ReplicaStatus status = Node.Status;
        return new NodeFigures
        {
            LeaderId = status.Leader,
            IsLeader = status.Leader == _settings.NodeId,
            IsLearner = IsLearner,
            Term = status.Term,
            CommitIndex = status.CommitIndex,
            AppliedIndex = view.AppliedIndex,
            WritesFailed = Node.WritesFailed,
            ReadRoundsFailed = Node.ReadRoundsFailed,
            HeartbeatsLate = Node.HeartbeatsLate,
            PromotionsMade = Node.Promotions.Succeeded,
            PromotionsFailed = Node.Promotions.Failed,
            Pending = _node.Operations.Rented,
            WritesPending = _node.Operations.Writes,
            Revision = view.Revision,
            CompactRevision = view.CompactRevision,
            KeyCount = view.Index.LiveCount,
            LeaseCount = view.Leases.Count,
            LeasesGranted = Apply.Counts.LeasesGranted,
            LeasesRevoked = Apply.Counts.LeasesRevoked,
            LeasesExpired = Apply.Counts.LeasesExpired,
            LeasesRenewed = Node.LeasesRenewed,
            WatchCount = Watch.Count,
            Puts = Apply.Counts.Puts,
            Deletes = Apply.Counts.Deletes,
            Txns = Apply.Counts.Txns,
            DiskBytes = _node.Storage.Log.DiskBytes + _snapshotPolicy.LastBytes,
            MemoryBytes = Store.Memory.LiveBytes,
            MemoryReservedBytes = Store.Memory.ReservedBytes,
        };
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
            DiskBytes = _node.Storage.Log.DiskBytes + _snapshotPolicy.LastBytes,
            StoreBytes = Store.Memory.ReservedBytes,
            StoreBytesInUse = Store.Memory.LiveBytes,
            Members = [.. MemberTable.From(view.Membership).Members],
            IsLearner = IsLearner,
            IsWitness = IsWitness,
        });
    }

    /// <summary>Tells everybody who still waits that the node has stopped. The loops run no more.</summary>
    public void AbandonAll()
    {
        lock (_stopGate)
        {
            Node.Abandon(MetaStoreError.Stopped, "the node is stopped");
            Watch.EndAll(new MetaStoreException(MetaStoreError.Stopped, "the node is stopped"));
        }
    }

    /// <summary>Lets go of files. The loops run no more.</summary>
    public void Dispose() => Snapshot.Close();

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    public WatchFeed OpenWatch(WatchRequest request, Action ready)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(ready);
        return new WatchFeed(OpenWatch(request, new WatchFilter(request), default, default, ready));
    }

    private Watcher OpenWatch(WatchRequest request, WatchFilter filter, CancellationToken first, CancellationToken second, Action? ready = null)
    {
        ThrowIfDown();
        _reader.CheckHoldsData(View);
        Watcher watcher = Watch.Open(request, filter, first, second, ready);
        AbandonIfStopped();
        return watcher;
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

    private PendingOperation SubmitLeaseQuestion(LeaseAskRequest request, CancellationToken cancellationToken, out short token)
    {
        ThrowIfDown();
        _reader.CheckHoldsData(View);

        // A renewal that is refused may cost its caller the lease, so load alone does not keep it out.
        PendingOperation question = Rent(request, 0, queued: false, cancellationToken, operationsMax: 2 * _settings.Proposer.OperationsMax);
        token = question.Token;
        Node.SubmitLeaseQuestion(question);
        AbandonIfStopped();
        return question;
    }

    private PendingOperation SubmitWrite(StoreRequest request, CancellationToken cancellationToken, out short token)
    {
        _validator.Check(request);
        ThrowIfDown();
        _reader.CheckHoldsData(View); // Its answer would never come out of this member's log.
        request = _leaseTerms.Raise(request);
        PendingOperation operation = Rent(request, StoreRequestCodec.GetLength(request), queued: true, cancellationToken);
        token = operation.Token;
        Node.Submit(operation);
        AbandonIfStopped();
        return operation;
    }

    private PendingOperation Rent(StoreRequest request, int length, bool queued, CancellationToken cancellationToken, int operationsMax = 0)
    {
        operationsMax = operationsMax > 0 ? operationsMax : _settings.Proposer.OperationsMax;
        PendingOperationPool all = _node.Operations;
        long writes = all.Writes;

        // Writes that do not get through keep no read out.
        if ((queued ? writes : all.Rented - writes) >= operationsMax)
        {
            throw new MetaStoreException(MetaStoreError.Busy, $"too many requests: {operationsMax} {(queued ? "writes" : "reads")} are under way");
        }

        if (queued && writes > 0 && all.WriteBytes + length > _settings.Proposer.OperationsBytesMax)
        {
            throw new MetaStoreException(MetaStoreError.Busy, $"too many requests: writes of {all.WriteBytes} bytes are under way, and {_settings.Proposer.OperationsBytesMax} may be");
        }

        PendingOperation operation = all.Rent(isWrite: queued, length);
        long now = _node.Seams.Time.GetTimestamp();
        operation.Begin(request, length, now, now + _requestTimeout, queued, cancellationToken);
        return operation;
    }

    private void ThrowIfDown()
    {
        if (_node.Failure.IsFailed)
        {
            throw _node.Failure.ToException(Outcome.NotApplied);
        }

        if (_node.RefusesNew)
        {
            throw new MetaStoreException(MetaStoreError.Stopped, "the node is stopped");
        }
    }

    /// <summary>An operation that slipped in when the loops had ended: nobody else would answer it.</summary>
    private void AbandonIfStopped()
    {
        if (_node.LoopsEnded)
        {
            AbandonAll();
        }
    }

    private long NewestSnapshotBytes()
    {
        SnapshotInfo? newest = _node.Storage.Snapshots.List(Group.Value).FirstOrDefault();
        if (newest is null)
        {
            return 0;
        }

        using IDiskFile file = _node.Storage.Snapshots.OpenRaw(Group.Value, newest);
        return file.Length;
    }

    private RaftOptions RaftOptions(ulong readOrigin, ulong seed, bool quiesces) => new()
    {
        Id = _settings.NodeId,
        Seed = seed,
        ReadOrigin = readOrigin,
        ElectionTicks = _settings.ElectionTicks,
        HeartbeatTicks = 1,
        Silence = (long)(_settings.Silence / (1 + _settings.ClockDriftMax)).TotalMicroseconds,
        ClockUnits = _node.Seams.Time.TimestampFrequency * (_settings.ClockDriftMax < 1 ? 1 - _settings.ClockDriftMax : 1) / MicrosecondsPerSecond,
        Quiesces = quiesces,
        AppendBytesMax = _settings.AppendBytesMax,
        InflightMessagesMax = _settings.AppendsInFlightMax,
        CompactionTailEntries = _settings.Snapshots.EntriesKept,
    };
}

/// <summary>The signals of a group's four loops.</summary>
internal sealed record GroupSignals(ILoopSignal Node, ILoopSignal Apply, ILoopSignal Snapshot, ILoopSignal Watch);
