using System.Security.Cryptography;
using System.Threading.Channels;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Messages.Health;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>etcdserverpb.Cluster, Maintenance and Auth, and grpc.health.v1, on a cluster of one.</summary>
public sealed class MaintenanceServiceTests
{
    private const string Maintenance = "/etcdserverpb.Maintenance/";
    private const string Cluster = "/etcdserverpb.Cluster/";
    private const string Auth = "/etcdserverpb.Auth/";
    private const string Health = "/grpc.health.v1.Health/";

    [Fact]
    public async Task Status_says_what_clients_decide_by()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a"));
        StatusResponse status = await node.CallAsync<StatusResponse>(Maintenance + "Status", new StatusRequest());
        Assert.Equal(("3.6.14", "3.6.0", 1u, false), (status.Version, status.StorageVersion, status.Leader, status.IsLearner));
        Assert.Equal((2, status.RaftTerm), (status.Header.Revision, status.Header.RaftTerm));
        Assert.True(status.RaftAppliedIndex > 0 && status.RaftAppliedIndex <= status.RaftIndex && status.DbSize > 0, status.ToString());
        Assert.Empty(status.Errors);
        Assert.Equal(new DowngradeInfo(), status.DowngradeInfo);
    }

    [Fact]
    public async Task The_size_of_the_database_is_that_of_what_is_kept()
    {
        await using var node = new EtcdNode();
        StatusResponse empty = await node.CallAsync<StatusResponse>(Maintenance + "Status", new StatusRequest());
        await node.CallAsync<PutResponse>(Say.Put, new PutRequest { Key = ByteString.CopyFromUtf8("a"), Value = ByteString.CopyFrom(new byte[1 << 20]) });
        StatusResponse full = await node.CallAsync<StatusResponse>(Maintenance + "Status", new StatusRequest());

        Assert.InRange(empty.DbSizeInUse, 0, 100_000);
        Assert.InRange(empty.DbSize, empty.DbSizeInUse, 4 << 20);
        Assert.InRange(full.DbSizeInUse - empty.DbSizeInUse, 1 << 20, 3 << 19);
        Assert.InRange(full.DbSize, full.DbSizeInUse, 8 << 20);
    }

    [Fact]
    public async Task Hashes_are_those_of_a_revision()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "1"));
        HashKVResponse before = await node.CallAsync<HashKVResponse>(Maintenance + "HashKV", new HashKVRequest());
        Assert.Equal((2, -1), (before.HashRevision, before.CompactRevision));
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "2"));
        HashKVResponse again = await node.CallAsync<HashKVResponse>(Maintenance + "HashKV", new HashKVRequest { Revision = 2 });
        Assert.Equal((before.Hash, 2, 3), (again.Hash, again.HashRevision, again.Header.Revision));
        HashResponse now = await node.CallAsync<HashResponse>(Maintenance + "Hash", new HashRequest());
        Assert.NotEqual(before.Hash, now.Hash);
        await node.CallAsync<CompactionResponse>(Say.Compact, new CompactionRequest { Revision = 3 });
        Assert.Equal(3, (await node.CallAsync<HashKVResponse>(Maintenance + "HashKV", new HashKVRequest())).CompactRevision);
        Assert.Equal("OutOfRange: etcdserver: mvcc: required revision has been compacted", await node.FailsAsync(Maintenance + "HashKV", new HashKVRequest { Revision = 2 }));
        Assert.Equal("OutOfRange: etcdserver: mvcc: required revision is a future revision", await node.FailsAsync(Maintenance + "HashKV", new HashKVRequest { Revision = 9 }));
    }

    [Fact]
    public async Task A_snapshot_counts_down_and_ends_with_its_sum()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { SnapshotMessageBytes = 300 });
        await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 9, TTL = 1000 });
        for (int i = 0; i < 50; i++)
        {
            await node.CallAsync<PutResponse>(Say.Put, Say.PutOf($"k{i}", new string('v', 100), lease: 9));
        }

        var parts = (await node.Open(Maintenance + "Snapshot", new SnapshotRequest()).ReadToEndAsync()).Cast<SnapshotResponse>().ToList();
        byte[] content = [.. parts.SkipLast(1).SelectMany(part => part.Blob)];
        Assert.Equal(0, content.Length % 512);
        Assert.True(content.Length > 50 * 100, $"{content.Length} bytes are 50 values of 100");
        Assert.Equal(SHA256.HashData(content), parts[^1].Blob.ToByteArray());
        ulong left = (ulong)content.Length;
        foreach (SnapshotResponse part in parts.SkipLast(1))
        {
            left -= (ulong)part.Blob.Length;
            Assert.Equal(left, part.RemainingBytes);
            Assert.InRange(part.Blob.Length, 1, 300);
        }

        Assert.Equal((0u, 0u, "3.6.0"), (left, parts[^1].RemainingBytes, parts[^1].Version));
    }

    /// <summary>Each holds history back as long as it lasts.</summary>
    [Fact]
    public async Task Snapshots_are_few_at_a_time_and_one_that_nobody_takes_is_given_up()
    {
        var time = new HandTime();
        await using var node = new EtcdNode(new EtcdServicesOptions { SnapshotMessageBytes = 100, SnapshotsMax = 1, SnapshotPatience = TimeSpan.FromSeconds(5), Time = time });
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", new string('v', 1000)));
        await using TestStream stalled = node.Open(Maintenance + "Snapshot", new SnapshotRequest());
        await time.WhenTimerAsync(); // What it sends is not taken.
        Assert.Equal(
            "ResourceExhausted: 1 snapshots are being taken of this member; try again later, or ask another one",
            await node.FailsAsync(Maintenance + "Snapshot", new SnapshotRequest()));
        time.Look(1);
        RpcException end = await Assert.ThrowsAsync<RpcException>(stalled.ReadToEndAsync);
        Assert.Equal((StatusCode.Aborted, "nothing was taken of the snapshot for 5 s, so it is given up"), (end.Code, end.Message));
        Assert.NotEmpty(await node.Open(Maintenance + "Snapshot", new SnapshotRequest()).ReadToEndAsync());
    }

    [Fact]
    public async Task What_has_nothing_to_do_says_so_politely()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<RangeResponse>(Say.Range, Say.All); // By then somebody leads.
        Assert.Empty((await node.CallAsync<AlarmResponse>(Maintenance + "Alarm", new AlarmRequest())).Alarms);
        Assert.Empty((await node.CallAsync<AlarmResponse>(Maintenance + "Alarm", new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Deactivate })).Alarms);
        Assert.Equal(
            "FailedPrecondition: etcdserver: not capable",
            await node.FailsAsync(Maintenance + "Alarm", new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Activate, Alarm = AlarmType.Nospace }));
        Assert.Equal(new DefragmentResponse(), await node.CallAsync<DefragmentResponse>(Maintenance + "Defragment", new DefragmentRequest()));
        Assert.Equal("FailedPrecondition: etcdserver: bad leader transferee", await node.FailsAsync(Maintenance + "MoveLeader", new MoveLeaderRequest { TargetID = 5 }));
        await FailsAsync(DowngradeRequest.Types.DowngradeAction.Cancel, string.Empty, "FailedPrecondition: etcdserver: no inflight downgrade job");
        await FailsAsync(DowngradeRequest.Types.DowngradeAction.Validate, string.Empty, "InvalidArgument: etcdserver: wrong downgrade target version format");
        await FailsAsync(DowngradeRequest.Types.DowngradeAction.Validate, "3.x", "InvalidArgument: etcdserver: wrong downgrade target version format");
        await FailsAsync(DowngradeRequest.Types.DowngradeAction.Validate, "3.5.0", "InvalidArgument: etcdserver: invalid downgrade target version");
        await FailsAsync(DowngradeRequest.Types.DowngradeAction.Enable, "3.5", "InvalidArgument: etcdserver: invalid downgrade target version");

        async Task FailsAsync(DowngradeRequest.Types.DowngradeAction action, string version, string says) =>
            Assert.Equal(says, await node.FailsAsync(Maintenance + "Downgrade", new DowngradeRequest { Action = action, Version = version }));
    }

    [Fact]
    public async Task Members_come_and_go_and_their_answers_have_no_revision()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a"));
        MemberAddResponse added = await node.CallAsync<MemberAddResponse>(Cluster + "MemberAdd", new MemberAddRequest { PeerURLs = { "http://10.0.0.2:2380" } });
        Assert.Equal((7u, 1u, 0), (added.Header.ClusterId, added.Header.MemberId, added.Header.Revision));
        Assert.Equal(("", false, 2), (added.Member.Name, added.Member.IsLearner, added.Members.Count));
        MemberAddResponse learner = await node.CallAsync<MemberAddResponse>(Cluster + "MemberAdd", new MemberAddRequest { PeerURLs = { "http://10.0.0.3:2380" }, IsLearner = true });
        Assert.True(learner.Member.IsLearner);
        var more = new MemberAddRequest { PeerURLs = { "http://10.0.0.4:2380" }, IsLearner = true };
        Assert.Equal("FailedPrecondition: etcdserver: too many learner members in cluster", await node.FailsAsync(Cluster + "MemberAdd", more));
        var promote = new MemberPromoteRequest { ID = learner.Member.ID };
        Assert.Equal("FailedPrecondition: etcdserver: can only promote a learner member which is in sync with leader", await node.FailsAsync(Cluster + "MemberPromote", promote));
        Assert.Equal("FailedPrecondition: etcdserver: can only promote a learner member", await node.FailsAsync(Cluster + "MemberPromote", new MemberPromoteRequest { ID = 1 }));
        var update = new MemberUpdateRequest { ID = learner.Member.ID, PeerURLs = { "http://10.0.0.5:2380" } };
        MemberUpdateResponse updated = await node.CallAsync<MemberUpdateResponse>(Cluster + "MemberUpdate", update);
        Assert.Contains(updated.Members, member => member is { IsLearner: true } && member.PeerURLs.Single() == "http://10.0.0.5:2380");
        MemberRemoveResponse removed = await node.CallAsync<MemberRemoveResponse>(Cluster + "MemberRemove", new MemberRemoveRequest { ID = added.Member.ID });
        Assert.Equal((2, 0), (removed.Members.Count, removed.Header.Revision));
        MemberListResponse listed = await node.CallAsync<MemberListResponse>(Cluster + "MemberList", new MemberListRequest { Linearizable = true });
        Assert.Equal([1, learner.Member.ID], listed.Members.Select(member => member.ID));
        Assert.Equal(["http://10.0.0.1:2380"], listed.Members[0].PeerURLs);
        Assert.Equal("NotFound: etcdserver: member not found", await node.FailsAsync(Cluster + "MemberRemove", new MemberRemoveRequest { ID = added.Member.ID }));
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("10.0.0.2:2380")]
    [InlineData("http://10.0.0.2")]
    [InlineData("http://10.0.0.2:2380/")]
    [InlineData("http://10.0.0.2:2380/a")]
    [InlineData("ftp://10.0.0.2:2380")]
    [InlineData("http://u@10.0.0.2:2380")]
    [InlineData("http://10.0.0.2:2380 http://10.0.0.2:2380")]
    public async Task Urls_that_are_none_are_refused(string urls)
    {
        await using var node = new EtcdNode();
        string[] list = urls.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("InvalidArgument: etcdserver: given member URLs are invalid", await node.FailsAsync(Cluster + "MemberAdd", new MemberAddRequest { PeerURLs = { list } }));
        Assert.Equal("InvalidArgument: etcdserver: given member URLs are invalid", await node.FailsAsync(Cluster + "MemberUpdate", new MemberUpdateRequest { ID = 1, PeerURLs = { list } }));
    }

    [Fact]
    public async Task While_authentication_is_off_its_methods_answer_as_etcds()
    {
        await using var node = new EtcdNode();
        Assert.Equal((7u, 1), Of((await node.CallAsync<AuthDisableResponse>(Auth + "AuthDisable", new AuthDisableRequest())).Header));
        AuthStatusResponse status = await node.CallAsync<AuthStatusResponse>(Auth + "AuthStatus", new AuthStatusRequest());
        Assert.Equal((false, 1u), (status.Enabled, status.AuthRevision));
        Assert.Empty((await node.CallAsync<AuthUserListResponse>(Auth + "UserList", new AuthUserListRequest())).Users);
        Assert.Empty((await node.CallAsync<AuthRoleListResponse>(Auth + "RoleList", new AuthRoleListRequest())).Roles);
        (string Method, IMessage Request, string Says)[] rows =
        [
            ("AuthEnable", new AuthEnableRequest(), "FailedPrecondition: etcdserver: root user does not exist"),
            ("Authenticate", new AuthenticateRequest { Name = "x" }, "FailedPrecondition: etcdserver: authentication is not enabled"),
            ("UserAdd", new AuthUserAddRequest(), "InvalidArgument: etcdserver: user name is empty"),
            ("UserAdd", new AuthUserAddRequest { Name = "x" }, "FailedPrecondition: etcdserver: not capable"),
            ("UserGet", new AuthUserGetRequest { Name = "x" }, "FailedPrecondition: etcdserver: user name not found"),
            ("UserDelete", new AuthUserDeleteRequest { Name = "x" }, "FailedPrecondition: etcdserver: user name not found"),
            ("UserChangePassword", new AuthUserChangePasswordRequest { Name = "x" }, "FailedPrecondition: etcdserver: user name not found"),
            ("UserGrantRole", new AuthUserGrantRoleRequest { User = "x" }, "FailedPrecondition: etcdserver: user name not found"),
            ("UserRevokeRole", new AuthUserRevokeRoleRequest { Name = "x" }, "FailedPrecondition: etcdserver: user name not found"),
            ("RoleAdd", new AuthRoleAddRequest(), "InvalidArgument: etcdserver: role name is empty"),
            ("RoleAdd", new AuthRoleAddRequest { Name = "x" }, "FailedPrecondition: etcdserver: not capable"),
            ("RoleGet", new AuthRoleGetRequest { Role = "x" }, "FailedPrecondition: etcdserver: role name not found"),
            ("RoleDelete", new AuthRoleDeleteRequest { Role = "x" }, "FailedPrecondition: etcdserver: role name not found"),
            ("RoleGrantPermission", new AuthRoleGrantPermissionRequest { Name = "x" }, "FailedPrecondition: etcdserver: role name not found"),
            ("RoleRevokePermission", new AuthRoleRevokePermissionRequest { Role = "x" }, "FailedPrecondition: etcdserver: role name not found"),
        ];
        foreach ((string method, IMessage request, string says) in rows)
        {
            Assert.Equal($"{method} {says}", $"{method} {await node.FailsAsync(Auth + method, request)}");
        }

        static (ulong Cluster, long Revision) Of(ResponseHeader header) => (header.ClusterId, header.Revision);
    }

    [Fact]
    public async Task A_member_that_does_not_lead_moves_no_leader()
    {
        await using var node = new EtcdNode(change: settings => settings with { Members = [.. settings.Members, new MetaStore.Engine.Member(2, "other", ["http://10.0.0.2:2380"], [])] });
        Assert.Equal("FailedPrecondition: etcdserver: not leader", await node.FailsAsync(Maintenance + "MoveLeader", new MoveLeaderRequest { TargetID = 2 }));
    }

    [Fact]
    public async Task A_node_that_fails_is_told_of_to_who_asks_and_to_who_watches()
    {
        var failed = new TaskCompletionSource();
        var service = new HealthService(failed.Task);
        var told = new Told();
        using var ended = new CancellationTokenSource();
        Task watching = service.WatchAsync(new HealthCheckRequest(), told, new TestContext(ended.Token));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, await told.ReadAsync());

        failed.SetException(new IOException("no space left"));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, await told.ReadAsync());
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, (await service.CheckAsync(new HealthCheckRequest(), TestContext.Plain)).Status);
        await ended.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
    }

    [Fact]
    public async Task The_server_as_a_whole_is_healthy_and_knows_no_other_service()
    {
        await using var node = new EtcdNode();
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, (await node.CallAsync<HealthCheckResponse>(Health + "Check", new HealthCheckRequest())).Status);
        Assert.Equal("NotFound: unknown service", await node.FailsAsync(Health + "Check", new HealthCheckRequest { Service = "x" }));
        await using TestStream known = node.Open(Health + "Watch", new HealthCheckRequest());
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, (await known.ReadAsync<HealthCheckResponse>()).Status);
        await using TestStream unknown = node.Open(Health + "Watch", new HealthCheckRequest { Service = "x" });
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.ServiceUnknown, (await unknown.ReadAsync<HealthCheckResponse>()).Status);
    }

    [Fact]
    public async Task Every_method_of_the_protocol_is_served()
    {
        string[] expected = [.. Services().SelectMany(service => service.Methods.Select(method => $"/{service.FullName}/{method.Name}")).Order(StringComparer.Ordinal)];
        await using var node = new EtcdNode();
        Assert.Equal(expected, node.Methods.All.Select(method => method.Path).Order(StringComparer.Ordinal));
        Assert.Equal(51, expected.Length);
    }

    private static IEnumerable<Google.Protobuf.Reflection.ServiceDescriptor> Services() =>
    [
        .. RpcReflection.Descriptor.Services, .. Messages.Locking.LockReflection.Descriptor.Services, .. Messages.Elections.ElectionReflection.Descriptor.Services,
        .. HealthReflection.Descriptor.Services,
    ];

    /// <summary>Answers in the order in which they were written.</summary>
    private sealed class Told : IRpcWriter<HealthCheckResponse>
    {
        private readonly Channel<HealthCheckResponse> _answers = Channel.CreateUnbounded<HealthCheckResponse>();

        public async Task<HealthCheckResponse.Types.ServingStatus> ReadAsync() => (await _answers.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30))).Status;

        public ValueTask WriteAsync(HealthCheckResponse message, CancellationToken cancellationToken) => _answers.Writer.WriteAsync(message, cancellationToken);
    }
}
