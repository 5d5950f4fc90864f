using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Messages.Health;
using MetaStore.Etcd.Messages.Locking;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>All services of etcd, over one node.</summary>
internal static class EtcdServices
{
    /// <summary>The methods that the ways in serve.</summary>
    public static MethodTable Create(MetaStoreNode node, EtcdServicesOptions options)
    {
        var gate = new CallGate(node, new LeaderWatch(options.Time, node.Settings.ElectionTimeout, () => !node.LeaderId.IsNone));
        return new MethodTable(
        [
            .. KeyValue(gate, new KeyValueService(node, options)),
            gate.Duplex("/etcdserverpb.Watch/Watch", Messages.WatchRequest.Parser, (IRpcReader<Messages.WatchRequest> requests, IRpcWriter<Messages.WatchResponse> answers, RpcContext context) =>
                new WatchService(node, options).WatchAsync(requests, answers, context)),
            .. Leases(gate, new LeaseService(node, options)),
            .. Cluster(gate, new ClusterService(node, options)),
            .. Maintenance(gate, new MaintenanceService(node, options)),
            .. new AuthService(node).Methods(gate),
            .. Health(gate, new HealthService(node.Failed)),
            .. Concurrency(gate, node, options),
        ]);
    }

    private static IEnumerable<RpcMethod> KeyValue(CallGate gate, KeyValueService service) =>
    [
        gate.UnaryInParts("/etcdserverpb.KV/Range", Messages.RangeRequest.Parser, service.RangeAsync, servedByLearner: request => request.Serializable),
        gate.ServerStream<Messages.RangeRequest, Messages.RangeStreamResponse>("/etcdserverpb.KV/RangeStream", Messages.RangeRequest.Parser, service.RangeStreamAsync),
        gate.Unary<Messages.PutRequest, Messages.PutResponse>("/etcdserverpb.KV/Put", Messages.PutRequest.Parser, service.PutAsync),
        gate.Unary<Messages.DeleteRangeRequest, Messages.DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange", Messages.DeleteRangeRequest.Parser, service.DeleteRangeAsync),
        gate.Unary<Messages.TxnRequest, Messages.TxnResponse>("/etcdserverpb.KV/Txn", Messages.TxnRequest.Parser, service.TxnAsync),
        gate.Unary<Messages.CompactionRequest, Messages.CompactionResponse>("/etcdserverpb.KV/Compact", Messages.CompactionRequest.Parser, service.CompactAsync),
    ];

    private static IEnumerable<RpcMethod> Leases(CallGate gate, LeaseService service) =>
    [
        gate.Unary<Messages.LeaseGrantRequest, Messages.LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant", Messages.LeaseGrantRequest.Parser, service.GrantAsync),
        gate.Unary<Messages.LeaseRevokeRequest, Messages.LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke", Messages.LeaseRevokeRequest.Parser, service.RevokeAsync),
        gate.Duplex<Messages.LeaseKeepAliveRequest, Messages.LeaseKeepAliveResponse>(
            "/etcdserverpb.Lease/LeaseKeepAlive", Messages.LeaseKeepAliveRequest.Parser, service.KeepAliveAsync),
        gate.Unary<Messages.LeaseTimeToLiveRequest, Messages.LeaseTimeToLiveResponse>(
            "/etcdserverpb.Lease/LeaseTimeToLive", Messages.LeaseTimeToLiveRequest.Parser, service.TimeToLiveAsync),
        gate.Unary<Messages.LeaseLeasesRequest, Messages.LeaseLeasesResponse>("/etcdserverpb.Lease/LeaseLeases", Messages.LeaseLeasesRequest.Parser, service.LeasesAsync),
    ];

    private static IEnumerable<RpcMethod> Cluster(CallGate gate, ClusterService service) =>
    [
        gate.Unary<Messages.MemberAddRequest, Messages.MemberAddResponse>("/etcdserverpb.Cluster/MemberAdd", Messages.MemberAddRequest.Parser, service.AddAsync),
        gate.Unary<Messages.MemberRemoveRequest, Messages.MemberRemoveResponse>("/etcdserverpb.Cluster/MemberRemove", Messages.MemberRemoveRequest.Parser, service.RemoveAsync),
        gate.Unary<Messages.MemberUpdateRequest, Messages.MemberUpdateResponse>("/etcdserverpb.Cluster/MemberUpdate", Messages.MemberUpdateRequest.Parser, service.UpdateAsync),
        gate.Unary<Messages.MemberListRequest, Messages.MemberListResponse>("/etcdserverpb.Cluster/MemberList", Messages.MemberListRequest.Parser, service.ListAsync),
        gate.Unary<Messages.MemberPromoteRequest, Messages.MemberPromoteResponse>("/etcdserverpb.Cluster/MemberPromote", Messages.MemberPromoteRequest.Parser, service.PromoteAsync),
    ];

    private static IEnumerable<RpcMethod> Maintenance(CallGate gate, MaintenanceService service) =>
    [
        gate.Unary<Messages.AlarmRequest, Messages.AlarmResponse>("/etcdserverpb.Maintenance/Alarm", Messages.AlarmRequest.Parser, service.AlarmAsync),
        gate.Unary<Messages.StatusRequest, Messages.StatusResponse>(
            "/etcdserverpb.Maintenance/Status", Messages.StatusRequest.Parser, service.StatusAsync, servedByLearner: _ => true),
        gate.Unary<Messages.DefragmentRequest, Messages.DefragmentResponse>("/etcdserverpb.Maintenance/Defragment", Messages.DefragmentRequest.Parser, service.DefragmentAsync),
        gate.Unary<Messages.HashRequest, Messages.HashResponse>("/etcdserverpb.Maintenance/Hash", Messages.HashRequest.Parser, service.HashAsync),
        gate.Unary<Messages.HashKVRequest, Messages.HashKVResponse>("/etcdserverpb.Maintenance/HashKV", Messages.HashKVRequest.Parser, service.HashKeysAsync),
        gate.ServerStream<Messages.SnapshotRequest, Messages.SnapshotResponse>(
            "/etcdserverpb.Maintenance/Snapshot", Messages.SnapshotRequest.Parser, service.SnapshotAsync, servedByLearner: true),
        gate.Unary<Messages.MoveLeaderRequest, Messages.MoveLeaderResponse>("/etcdserverpb.Maintenance/MoveLeader", Messages.MoveLeaderRequest.Parser, service.MoveLeaderAsync),
        gate.Unary<Messages.DowngradeRequest, Messages.DowngradeResponse>("/etcdserverpb.Maintenance/Downgrade", Messages.DowngradeRequest.Parser, service.DowngradeAsync),
    ];

    private static IEnumerable<RpcMethod> Health(CallGate gate, HealthService service) =>
    [
        gate.Unary<HealthCheckRequest, HealthCheckResponse>("/grpc.health.v1.Health/Check", HealthCheckRequest.Parser, service.CheckAsync, servedByLearner: _ => true),
        gate.ServerStream<HealthCheckRequest, HealthCheckResponse>("/grpc.health.v1.Health/Watch", HealthCheckRequest.Parser, service.WatchAsync, servedByLearner: true),
    ];

    private static IEnumerable<RpcMethod> Concurrency(CallGate gate, MetaStoreNode node, EtcdServicesOptions options)
    {
        var locks = new LockService(node, options);
        var elections = new ElectionService(node, options);
        return
        [
            gate.Unary("/v3lockpb.Lock/Lock", LockRequest.Parser, Plainly<LockRequest, LockResponse>(locks.LockAsync), mayLast: true),
            gate.Unary("/v3lockpb.Lock/Unlock", UnlockRequest.Parser, Plainly<UnlockRequest, UnlockResponse>(locks.UnlockAsync)),
            gate.Unary("/v3electionpb.Election/Campaign", CampaignRequest.Parser, Plainly<CampaignRequest, CampaignResponse>(elections.CampaignAsync), mayLast: true),
            gate.Unary("/v3electionpb.Election/Proclaim", ProclaimRequest.Parser, Plainly<ProclaimRequest, ProclaimResponse>(elections.ProclaimAsync)),
            gate.Unary("/v3electionpb.Election/Leader", LeaderRequest.Parser, Plainly<LeaderRequest, LeaderResponse>(elections.LeaderAsync)),
            gate.ServerStream<LeaderRequest, LeaderResponse>("/v3electionpb.Election/Observe", LeaderRequest.Parser, elections.ObserveAsync),
            gate.Unary("/v3electionpb.Election/Resign", ResignRequest.Parser, Plainly<ResignRequest, ResignResponse>(elections.ResignAsync)),
        ];
    }

    /// <summary>etcd serves locks and elections by a client of its own, whose errors lose their codes on the way, and keep their texts.</summary>
    private static Func<TRequest, RpcContext, ValueTask<TResponse>> Plainly<TRequest, TResponse>(Func<TRequest, RpcContext, ValueTask<TResponse>> call) =>
        async (request, context) =>
        {
            try
            {
                return await call(request, context).ConfigureAwait(false);
            }
            catch (MetaStoreException e)
            {
                throw EtcdErrors.Plain(EtcdErrors.From(e).Message);
            }
        };
}
