using MetaStore.Engine;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Messages.Locking;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>What holds for every call.</summary>
public sealed class CallGateTests
{
    private const string Status = "/etcdserverpb.Maintenance/Status";
    private const string Snapshot = "/etcdserverpb.Maintenance/Snapshot";

    private static readonly TestContext s_led = new(CancellationToken.None, ("hasleader", "true"));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_member_without_a_vote_or_without_data_serves_little(bool isWitness)
    {
        var self = new Member(1, "single", ["http://10.0.0.1:2380"], [], IsLearner: !isWitness, IsWitness: isWitness);
        var other = new Member(2, "other", ["http://10.0.0.2:2380"], []);
        await using var node = new EtcdNode(change: settings => settings with { Members = [self, other] });
        await Support.Until(() => node.Node.IsLearner || node.Node.IsWitness, "the node has applied who its members are");
        const string Refused = "FailedPrecondition: etcdserver: rpc not supported for learner";
        var serializable = new Messages.RangeRequest { Key = Say.Bytes("a"), Serializable = true };
        Assert.Equal(Refused, await node.FailsAsync(Say.Range, new Messages.RangeRequest { Key = Say.Bytes("a") }));
        Assert.Equal(Refused, await node.FailsAsync(Say.Put, Say.PutOf("a")));
        Assert.Equal(Refused, await node.FailsAsync(Say.RangeStream, serializable));
        Assert.Equal(Refused, await node.FailsAsync(Say.Watch, new Messages.WatchRequest()));
        Messages.StatusResponse status = await node.CallAsync<Messages.StatusResponse>(Status, new Messages.StatusRequest());
        Assert.Equal((!isWitness, "etcdserver: no leader"), (status.IsLearner, status.Errors.Single()));
        if (isWitness)
        {
            Assert.Equal(Refused, await node.FailsAsync(Say.Range, serializable));
            Assert.Equal(Refused, await node.FailsAsync(Snapshot, new Messages.SnapshotRequest()));
        }
        else
        {
            Assert.Equal("@1 count 0", Say.Text(await node.CallAsync<Messages.RangeResponse>(Say.Range, serializable)));
            Assert.True((await node.Open(Snapshot, new Messages.SnapshotRequest()).ReadToEndAsync()).Count >= 2);
        }
    }

    [Fact]
    public async Task Who_wants_a_leader_is_refused_at_once_where_there_is_none()
    {
        var self = new Member(1, "single", ["http://10.0.0.1:2380"], []);
        var other = new Member(2, "other", ["http://10.0.0.2:2380"], []);
        await using var node = new EtcdNode(change: settings => settings with { Members = [self, other] });
        var serializable = new Messages.RangeRequest { Key = Say.Bytes("a"), Serializable = true };
        await node.CallAsync<Messages.RangeResponse>(Say.Range, serializable);
        Assert.Equal("Unavailable: etcdserver: no leader", await node.FailsAsync(Say.Range, serializable, s_led));
        Assert.Equal("Unavailable: etcdserver: no leader", await node.FailsAsync(Say.Watch, new Messages.WatchRequest(), s_led));
    }

    [Fact]
    public async Task A_version_of_the_client_has_to_be_text()
    {
        await using var node = new EtcdNode();
        var broken = new TestContext(CancellationToken.None, ("client-api-version", "3.\uFFFD"));
        await node.CallAsync<Messages.RangeResponse>(Say.Range, Say.All); // By then somebody leads.
        Assert.Equal("InvalidArgument: etcdserver: invalid client api version", await node.FailsAsync(Say.Put, Say.PutOf("a"), broken));
        await node.CallAsync<Messages.PutResponse>(Say.Put, Say.PutOf("a"), new TestContext(CancellationToken.None, ("client-api-version", "3.5"), ("hasleader", "true")));
    }

    [Fact]
    public void Streams_end_after_three_looks_without_a_leader_and_not_before()
    {
        var time = new HandTime();
        bool hasLeader = true;
        var watch = new LeaderWatch(time, TimeSpan.FromSeconds(1), () => hasLeader);
        using var first = new CancellationTokenSource();
        using var second = new CancellationTokenSource();
        LeaderWatch.Registration gone = watch.Register(first);
        using LeaderWatch.Registration stays = watch.Register(second);
        time.Look(5);
        hasLeader = false;
        time.Look(2);
        hasLeader = true;
        time.Look(1);
        hasLeader = false;
        time.Look(2);
        Assert.False(first.IsCancellationRequested || second.IsCancellationRequested);
        gone.Dispose();
        time.Look(1);
        Assert.Equal((false, true), (first.IsCancellationRequested, second.IsCancellationRequested));
        Assert.Equal(0, time.Timers);
        using var third = new CancellationTokenSource();
        watch.Register(third).Dispose();
        Assert.Equal(0, time.Timers);
    }

    [Fact]
    public async Task A_stream_that_wants_a_leader_ends_when_there_has_been_none_for_long_and_no_other_does()
    {
        var time = new HandTime();
        bool hasLeader = true;
        await using var node = new EtcdNode();
        await node.CallAsync<Messages.RangeResponse>(Say.Range, Say.All); // By then somebody leads.
        var gate = new CallGate(node.Node, new LeaderWatch(time, TimeSpan.FromSeconds(1), () => hasLeader));
        var lasting = (StreamMethod)gate.ServerStream<Messages.RangeRequest, Messages.RangeStreamResponse>(
            "/x", Messages.RangeRequest.Parser, (_, _, context) => Task.Delay(Timeout.Infinite, context.Ended));
        using var end = new CancellationTokenSource();
        Task led = lasting.RunAsync(new OneRequest(), null!, new TestContext(end.Token, ("hasleader", "true")));
        Task other = lasting.RunAsync(new OneRequest(), null!, new TestContext(end.Token));

        hasLeader = false;
        time.Look(2);
        Assert.False(led.IsCompleted);
        time.Look(1);

        RpcException lost = await Assert.ThrowsAsync<RpcException>(() => led.WaitAsync(Support.Patience));
        Assert.Equal((StatusCode.Unavailable, "etcdserver: no leader"), (lost.Code, lost.Message));
        Assert.False(other.IsCompleted);
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => other.WaitAsync(Support.Patience));
    }

    [Fact]
    public async Task What_an_authority_forbids_is_not_done()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { Authority = new Nobody() });
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.Put, Say.PutOf("a")));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.Range, Say.All));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.RangeStream, Say.All));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.Txn, new Messages.TxnRequest()));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.Compact, new Messages.CompactionRequest { Revision = 1 }));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Snapshot, new Messages.SnapshotRequest()));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync("/etcdserverpb.Maintenance/HashKV", new Messages.HashKVRequest()));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync("/v3lockpb.Lock/Lock", new LockRequest { Name = Say.Bytes("l") }));
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync(Say.Grant, new Messages.LeaseGrantRequest()));
        await using TestStream stream = node.Open(Say.Watch, new Messages.WatchRequest { CreateRequest = new Messages.WatchCreateRequest { Key = Say.Bytes("a") } });
        Assert.Equal("-1 @1 created canceled \"etcdserver: permission denied\"", Say.Text(await stream.ReadAsync<Messages.WatchResponse>()));
        Assert.Equal(1, node.Node.Header.Revision.Value);
    }

    /// <summary>A method that is new has to find its place here: it asks the authority, or is on the list of those that are for everybody.</summary>
    [Fact]
    public async Task Each_method_asks_the_authority_or_is_for_everybody()
    {
        HashSet<string> open =
        [
            "/etcdserverpb.Cluster/MemberList", "/etcdserverpb.Maintenance/Alarm", "/etcdserverpb.Maintenance/Status", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
        ];
        await using var node = new EtcdNode(new EtcdServicesOptions { Authority = new Nobody() });
        var answered = new List<string>();
        foreach (RpcMethod method in node.Methods.All.Where(method => !open.Contains(method.Path) && !method.Path.StartsWith("/etcdserverpb.Auth/", StringComparison.Ordinal)))
        {
            string answer = method.Path == Say.Watch ? await FirstOfWatchAsync(node) : await node.FailsAsync(method.Path, RequestOf(method));
            answered.Add($"{method.Path} {answer}");
        }

        Assert.Equal(51 - 5 - 17, answered.Count);
        Assert.DoesNotContain(answered, answer => !answer.EndsWith("etcdserver: permission denied", StringComparison.Ordinal));

        static Google.Protobuf.IMessage RequestOf(RpcMethod method) => method.Path switch
        {
            Say.Put => Say.PutOf("a"),
            Say.Range or Say.RangeStream => Say.All,
            "/v3electionpb.Election/Proclaim" => new ProclaimRequest { Leader = new LeaderKey { Key = Say.Bytes("n/1") } },
            "/v3electionpb.Election/Resign" => new ResignRequest { Leader = new LeaderKey { Key = Say.Bytes("n/1") } },
            _ when method.Path.StartsWith("/v3", StringComparison.Ordinal) && method.Parser.ParseFrom([]) is var request && request.Descriptor.FindFieldByName("name") is { } name =>
                With(request, name, Say.Bytes("n")),
            _ when method.Parser.ParseFrom([]) is var request && request.Descriptor.FindFieldByName("key") is { } key => With(request, key, Say.Bytes("k")),
            _ => method.Parser.ParseFrom([]),
        };

        static Google.Protobuf.IMessage With(Google.Protobuf.IMessage request, Google.Protobuf.Reflection.FieldDescriptor field, Google.Protobuf.ByteString value)
        {
            field.Accessor.SetValue(request, value);
            return request;
        }

        static async Task<string> FirstOfWatchAsync(EtcdNode node)
        {
            await using TestStream stream = node.Open(Say.Watch, new Messages.WatchRequest { CreateRequest = new Messages.WatchCreateRequest { Key = Say.Bytes("a") } });
            return (await stream.ReadAsync<Messages.WatchResponse>()).CancelReason;
        }
    }

    /// <summary>What the server watches for a caller, the caller has to be allowed to watch.</summary>
    [Fact]
    public async Task Locks_and_elections_do_not_watch_for_who_may_not()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { Authority = new Nobody { MayAsk = true } });
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync("/v3electionpb.Election/Observe", new LeaderRequest { Name = Say.Bytes("e") }));
        await node.CallAsync<LockResponse>("/v3lockpb.Lock/Lock", new LockRequest { Name = Say.Bytes("l") });
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync("/v3lockpb.Lock/Lock", new LockRequest { Name = Say.Bytes("l") }));
        await node.Node.PutAsync(new PutRequest { Key = "e/1"u8.ToArray() }, CancellationToken.None);
        Assert.Equal("PermissionDenied: etcdserver: permission denied", await node.FailsAsync("/v3electionpb.Election/Observe", new LeaderRequest { Name = Say.Bytes("e") }));
    }

    private sealed class Nobody : IAuthority
    {
        /// <summary>Single requests are allowed after all.</summary>
        public bool MayAsk { get; init; }

        public ValueTask CheckAsync(RpcContext caller, StoreRequest request) => MayAsk ? ValueTask.CompletedTask : throw Denied();

        public ValueTask CheckWatchAsync(RpcContext caller, WatchRequest request) => throw Denied();

        public ValueTask CheckKeepAliveAsync(RpcContext caller, long leaseId) => throw Denied();

        public ValueTask CheckLeaseListAsync(RpcContext caller) => throw Denied();

        public ValueTask CheckOperatorAsync(RpcContext caller) => throw Denied();

        private static RpcException Denied() => new(StatusCode.PermissionDenied, "etcdserver: permission denied");
    }

    private sealed class OneRequest : IRpcReader<Google.Protobuf.IMessage>
    {
        public ValueTask<Google.Protobuf.IMessage?> ReadAsync(CancellationToken cancellationToken) => new(new Messages.RangeRequest());
    }
}
