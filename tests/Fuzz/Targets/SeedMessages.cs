using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Messages.Locking;

namespace MetaStore.Fuzz.Targets;

/// <summary>Requests as clients make them, one or more for each kind of thing that can be asked.</summary>
internal static class SeedMessages
{
    private static readonly ByteString s_a = ByteString.CopyFromUtf8("a");
    private static readonly ByteString s_b = ByteString.CopyFromUtf8("b");
    private static readonly ByteString s_zero = ByteString.CopyFrom(0);

    private static readonly TxnRequest s_txn = new()
    {
        Compare =
        {
            new Compare { Key = s_a, Target = Compare.Types.CompareTarget.Version, Result = Compare.Types.CompareResult.Greater, Version = 0 },
            new Compare { Key = s_a, Target = Compare.Types.CompareTarget.Value, Value = s_b },
            new Compare { Key = s_a, RangeEnd = s_b, Target = Compare.Types.CompareTarget.Mod, ModRevision = 5, Result = Compare.Types.CompareResult.Less },
        },
        Success = { new RequestOp { RequestPut = new PutRequest { Key = s_a, Value = s_b } }, new RequestOp { RequestRange = new RangeRequest { Key = s_a } } },
        Failure = { new RequestOp { RequestDeleteRange = new DeleteRangeRequest { Key = s_b, PrevKv = true } }, new RequestOp { RequestTxn = new TxnRequest() } },
    };

    public static IReadOnlyList<(string Path, IMessage Message)> All { get; } =
    [
        ("/etcdserverpb.KV/Range", new RangeRequest { Key = s_a, RangeEnd = s_zero, Limit = 2, Revision = 8, SortOrder = RangeRequest.Types.SortOrder.Descend, KeysOnly = true }),
        ("/etcdserverpb.KV/Range", new RangeRequest { Key = s_a, RangeEnd = s_b, MinModRevision = 3, MaxCreateRevision = 9, CountOnly = true, Serializable = true }),
        ("/etcdserverpb.KV/RangeStream", new RangeRequest { Key = s_a, RangeEnd = s_zero, SortTarget = RangeRequest.Types.SortTarget.Value }),
        ("/etcdserverpb.KV/Put", new PutRequest { Key = s_a, Value = s_b, Lease = 7, PrevKv = true }),
        ("/etcdserverpb.KV/Put", new PutRequest { Key = s_a, IgnoreValue = true, IgnoreLease = true }),
        ("/etcdserverpb.KV/DeleteRange", new DeleteRangeRequest { Key = s_a, RangeEnd = s_b, PrevKv = true }),
        ("/etcdserverpb.KV/Txn", s_txn),
        ("/etcdserverpb.KV/Txn", new TxnRequest { Success = { new RequestOp { RequestTxn = s_txn } } }),
        ("/etcdserverpb.KV/Compact", new CompactionRequest { Revision = 6, Physical = true }),
        ("/etcdserverpb.Watch/Watch", new WatchRequest { CreateRequest = new WatchCreateRequest { Key = s_a, RangeEnd = s_zero, StartRevision = 4, PrevKv = true, Fragment = true, Filters = { WatchCreateRequest.Types.FilterType.Nodelete } } }),
        ("/etcdserverpb.Watch/Watch", new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = 1 } }),
        ("/etcdserverpb.Watch/Watch", new WatchRequest { ProgressRequest = new WatchProgressRequest() }),
        ("/etcdserverpb.Lease/LeaseGrant", new LeaseGrantRequest { TTL = 60, ID = 7 }),
        ("/etcdserverpb.Lease/LeaseRevoke", new LeaseRevokeRequest { ID = 7 }),
        ("/etcdserverpb.Lease/LeaseKeepAlive", new LeaseKeepAliveRequest { ID = 7 }),
        ("/etcdserverpb.Lease/LeaseTimeToLive", new LeaseTimeToLiveRequest { ID = 7, Keys = true }),
        ("/etcdserverpb.Lease/LeaseLeases", new LeaseLeasesRequest()),
        ("/etcdserverpb.Cluster/MemberList", new MemberListRequest { Linearizable = true }),
        ("/etcdserverpb.Cluster/MemberAdd", new MemberAddRequest { PeerURLs = { "http://10.0.0.2:2380" }, IsLearner = true }),
        ("/etcdserverpb.Cluster/MemberAdd", new MemberAddRequest { PeerURLs = { "http:a" } }),
        ("/etcdserverpb.Cluster/MemberAdd", new MemberAddRequest { PeerURLs = { "http:/a:1", " HTTP://a:80" } }),
        ("/etcdserverpb.Cluster/MemberRemove", new MemberRemoveRequest { ID = 1 }),
        ("/etcdserverpb.Cluster/MemberRemove", new MemberRemoveRequest { ID = ulong.MaxValue }),
        ("/etcdserverpb.Lease/LeaseRevoke", new LeaseRevokeRequest { ID = long.MinValue }),
        ("/etcdserverpb.KV/Put", new PutRequest { Key = s_b, Lease = 99 }),
        ("/etcdserverpb.Cluster/MemberUpdate", new MemberUpdateRequest { ID = 1, PeerURLs = { "http://10.0.0.3:2380", "https://[::1]:1" } }),
        ("/etcdserverpb.Maintenance/Status", new StatusRequest()),
        ("/etcdserverpb.Maintenance/Alarm", new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Activate, MemberID = 1, Alarm = AlarmType.Nospace }),
        ("/etcdserverpb.Maintenance/HashKV", new HashKVRequest { Revision = 5 }),
        ("/etcdserverpb.Maintenance/Snapshot", new SnapshotRequest()),
        ("/etcdserverpb.Maintenance/MoveLeader", new MoveLeaderRequest { TargetID = 2 }),
        ("/etcdserverpb.Maintenance/Downgrade", new DowngradeRequest { Version = "3.5" }),
        ("/etcdserverpb.Auth/Authenticate", new AuthenticateRequest { Name = "root", Password = "größe" }),
        ("/etcdserverpb.Auth/RoleGrantPermission", new AuthRoleGrantPermissionRequest { Name = "r", Perm = new Permission { Key = s_a, RangeEnd = s_b, PermType = Permission.Types.Type.Readwrite } }),
        ("/v3lockpb.Lock/Lock", new LockRequest { Name = s_a, Lease = 7 }),
        ("/v3lockpb.Lock/Unlock", new UnlockRequest { Key = s_a }),
        ("/v3electionpb.Election/Campaign", new CampaignRequest { Name = s_b, Lease = 7, Value = s_a }),
        ("/v3electionpb.Election/Proclaim", new ProclaimRequest { Leader = new LeaderKey { Name = s_b, Key = s_b, Rev = 3, Lease = 7 }, Value = s_a }),
    ];
}
