using MetaStore.Engine.Index;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A whole node of one group without threads: its loops, joined, and the operations on them. <see cref="MetaStoreNode"/> gives each loop a
/// thread; the simulator steps them itself. <see cref="GroupHost"/> is the node of many groups.
/// </summary>
internal sealed class NodeCore : IMetaStore, IMetaStoreCluster, IMetaStoreSessions, ILoopHost
{
    private readonly NodeShared _shared;
    private readonly GroupCore _group;

    public NodeCore(NodeSettings settings, NodeSeams seams)
    {
        settings.Validate();
        _shared = new NodeShared(settings, seams, NodeStorage.Open(seams.Disk, settings, [Group], seams.Parts));
        var signals = new GroupSignals(seams.Signals("node"), seams.Signals("apply"), seams.Signals("snapshot"), seams.Signals("watch"));
        _group = new GroupCore(_shared, _shared.Storage.Groups[0], new SplitMix64(settings.Seed), signals, seams.Transport, sleep: null);
        Log = new LogLoop(_shared.Storage.Log, Node, seams.Signals("log"));
        _group.Connect(Log.Writer);
        Failure.Connect(WakeAll);
    }

    /// <summary>The one group of such a node.</summary>
    public static GroupId Group { get; } = new(1);

    public NodeFailure Failure => _shared.Failure;

    public IReadOnlyList<GroupCore> Groups => [_group];

    public Replica Node => _group.Node;

    public Applier Apply => _group.Apply;

    public LogLoop Log { get; }

    public SnapshotLoop Snapshot => _group.Snapshot;

    public IReadOnlyList<ILoop> Loops => [Node, Log, Apply, Snapshot, _group.Watch];

    /// <summary>What recovery cut away; null where nothing.</summary>
    public string? RecoveryNote => _shared.Storage.RecoveryNote;

    /// <summary>The member came back without a part of what it had acknowledged.</summary>
    public bool StartedRecovering => _shared.Storage.IsRecovering;

    public StoreView View => _group.View;

    public ResponseHeader Header => _group.Header;

    public bool IsLearner => _group.IsLearner;

    public bool IsWitness => _group.IsWitness;

    public long OperationsRented => _shared.Operations.Rented;

    /// <summary>The directory held nothing: this is the member's first start.</summary>
    public bool IsFirstStart => _shared.Storage.IsNew;

    public ulong DirectoryId => _shared.Storage.DirectoryId;

    public void Receive(GroupId group, Message message)
    {
        if (group == Group)
        {
            Node.Receive(message);
        }
    }

    public void ReceiveHere(GroupId group, Message message)
    {
        if (group == Group)
        {
            Node.Receive(message, mayRun: true);
        }
    }

    public void ReportUnreachable(NodeId peer) => Node.ReportUnreachable(peer);

    public void ReportRefused(NodeId peer, MemberRefusal refusal, string reason) => Node.ReportRefused(peer, refusal, reason);

    public Revision Visit<TVisitor>(in KeyRange range, Revision revision, ref TVisitor visitor)
        where TVisitor : struct, IKeyValueVisitor => _group.Visit(range, revision, ref visitor);

    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => _group.PutAsync(request, cancellationToken);

    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => _group.RangeAsync(request, cancellationToken);

    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, long bytesMax, bool counts, CancellationToken cancellationToken) =>
        _group.RangeAsync(request, bytesMax, counts, cancellationToken);

    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) =>
        _group.DeleteRangeAsync(request, cancellationToken);

    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => _group.TxnAsync(request, cancellationToken);

    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => _group.CompactAsync(request, cancellationToken);

    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => _group.GrantLeaseAsync(request, cancellationToken);

    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => _group.RevokeLeaseAsync(request, cancellationToken);

    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => _group.KeepLeaseAliveAsync(leaseId, cancellationToken);

    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) =>
        _group.LeaseTimeToLiveAsync(request, cancellationToken);

    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => _group.LeasesAsync(cancellationToken);

    public DurationHistogram Hashes => _group.Hashes;

    public DurationHistogram HashesOfRevisions => _group.HashesOfRevisions;

    public NodeFigures Figures() => _group.Figures();

    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => _group.StatusAsync(cancellationToken);

    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => _group.HashAsync(request, cancellationToken);

    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => _group.WatchAsync(request, cancellationToken);

    public WatchFeed OpenWatch(WatchRequest request, Action ready) => _group.OpenWatch(request, ready);

    public void AskProgress(IReadOnlyCollection<WatchFeed> watches, Action<Revision?> answer) => _group.Watch.AskProgress(watches, answer);

    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) => _group.OpenSessionAsync(cancellationToken);

    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) =>
        _group.CloseSessionAsync(sessionId, cancellationToken);

    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default) => _group.ExecuteAsync(request, cancellationToken);

    public StoreExport Export() => _group.Export();

    public SnapshotExport ExportFile() => _group.ExportFile();

    public ValueTask<MembersResponse> MembersAsync(bool linearizable = true, CancellationToken cancellationToken = default) =>
        _group.MembersAsync(linearizable, cancellationToken);

    public ValueTask<MembersResponse> ChangeMembersAsync(MemberChange change, CancellationToken cancellationToken = default) =>
        _group.ChangeMembersAsync(change, cancellationToken);

    public ValueTask<MembersResponse> MoveLeaderAsync(ulong target, CancellationToken cancellationToken = default) => _group.MoveLeaderAsync(target, cancellationToken);

    public void RefuseNew() => _shared.RefuseNew();

    public void AbandonAll()
    {
        _shared.EndLoops();
        _group.AbandonAll();
    }

    /// <summary>The node has ended in order after so long: what earlier lives promised longer than it would itself has passed.</summary>
    public void ForgetEarlierSilence(TimeSpan lived) => _shared.Storage.Silence.Forget(lived);

    public void Dispose()
    {
        _group.Dispose();
        _shared.Storage.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private void WakeAll()
    {
        Node.Wake();
        Apply.Wake();
        _group.Watch.Wake();
    }
}
