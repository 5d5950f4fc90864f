using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Messages.Elections;
using MetaStore.Etcd.Messages.Locking;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>v3lockpb.Lock and v3electionpb.Election.</summary>
public sealed class LockAndElectionTests
{
    private const string Lock = "/v3lockpb.Lock/Lock";
    private const string Unlock = "/v3lockpb.Lock/Unlock";
    private const string Election = "/v3electionpb.Election/";

    [Fact]
    public async Task A_lock_passes_on_in_the_order_of_asking()
    {
        await using EtcdNode node = await WithLeasesAsync(0xa1, 0xb2, 0xc3);
        LockResponse first = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xa1 });
        Assert.Equal(("l/a1", 2, 7u), (first.Key.ToStringUtf8(), first.Header.Revision, first.Header.ClusterId));
        LockResponse again = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xa1 });
        Assert.Equal((first.Key, 2), (again.Key, again.Header.Revision));
        Task<LockResponse> second = node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xb2 });
        await WaitForKeyAsync(node, "l/b2");
        Task<LockResponse> third = node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xc3 });
        await WaitForKeyAsync(node, "l/c3");
        Assert.False(second.IsCompleted || third.IsCompleted);
        await node.CallAsync<UnlockResponse>(Unlock, new UnlockRequest { Key = first.Key });
        LockResponse held = await second;
        Assert.Equal(("l/b2", 5), (held.Key.ToStringUtf8(), held.Header.Revision));
        Assert.False(third.IsCompleted);
        await node.CallAsync<LeaseRevokeResponse>(Say.Revoke, new LeaseRevokeRequest { ID = 0xb2 });
        Assert.Equal("l/c3", (await third).Key.ToStringUtf8());
    }

    [Fact]
    public async Task Who_gives_up_waiting_leaves_the_line()
    {
        await using EtcdNode node = await WithLeasesAsync(0xa1, 0xb2, 0xc3);
        LockResponse first = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xa1 });
        using var caller = new CancellationTokenSource();
        Task<LockResponse> second = node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xb2 }, new TestContext(caller.Token));
        await WaitForKeyAsync(node, "l/b2");
        Task<LockResponse> third = node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xc3 });
        await WaitForKeyAsync(node, "l/c3");
        await caller.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await node.CallAsync<UnlockResponse>(Unlock, new UnlockRequest { Key = first.Key });
        Assert.Equal("l/c3", (await third).Key.ToStringUtf8());
    }

    [Fact]
    public async Task A_lock_whose_lease_runs_out_while_it_waits_is_none()
    {
        await using EtcdNode node = await WithLeasesAsync(0xa1, 0xb2);
        LockResponse first = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xa1 });
        Task<string> second = node.FailsAsync(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xb2 });
        await WaitForKeyAsync(node, "l/b2");
        await node.CallAsync<LeaseRevokeResponse>(Say.Revoke, new LeaseRevokeRequest { ID = 0xb2 });
        await node.CallAsync<UnlockResponse>(Unlock, new UnlockRequest { Key = first.Key });
        Assert.Equal("Unknown: mutex: session is expired", await second);
    }

    [Fact]
    public async Task A_lease_that_its_owner_does_not_renew_runs_out_though_a_call_waits_by_it()
    {
        await using EtcdNode node = await WithLeasesAsync(0xa1);
        await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 0xb2, TTL = 1 });
        LockResponse first = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xa1 });
        Task<string> second = node.FailsAsync(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 0xb2 });
        await WaitForKeyAsync(node, "l/b2", Event.Types.EventType.Delete);
        await node.CallAsync<UnlockResponse>(Unlock, new UnlockRequest { Key = first.Key });
        Assert.Equal("Unknown: mutex: session is expired", await second);
    }

    [Fact]
    public async Task A_lock_without_a_lease_gets_one_and_a_lease_that_is_not_there_none()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { SessionTtlSeconds = 77 });
        LockResponse held = await node.CallAsync<LockResponse>(Lock, new LockRequest { Name = Say.Bytes("l") });
        LeaseLeasesResponse leases = await node.CallAsync<LeaseLeasesResponse>("/etcdserverpb.Lease/LeaseLeases", new LeaseLeasesRequest());
        Assert.Equal($"l/{leases.Leases.Single().ID:x}", held.Key.ToStringUtf8());
        LeaseTimeToLiveResponse left = await node.CallAsync<LeaseTimeToLiveResponse>("/etcdserverpb.Lease/LeaseTimeToLive", new LeaseTimeToLiveRequest { ID = leases.Leases[0].ID });
        Assert.Equal(77, left.GrantedTTL);
        Assert.Equal("Unknown: etcdserver: requested lease not found", await node.FailsAsync(Lock, new LockRequest { Name = Say.Bytes("l"), Lease = 5 }));
        Assert.Equal("Unknown: etcdserver: key is not provided", await node.FailsAsync(Unlock, new UnlockRequest()));
    }

    [Fact]
    public async Task An_election_has_one_leader_at_a_time_whose_values_are_observed()
    {
        await using EtcdNode node = await WithLeasesAsync(0xa1, 0xb2);
        Assert.Equal("Unknown: election: no leader", await node.FailsAsync(Election + "Leader", new LeaderRequest { Name = Say.Bytes("e") }));
        await using TestStream observer = node.Open(Election + "Observe", new LeaderRequest { Name = Say.Bytes("e") });
        CampaignResponse first = await node.CallAsync<CampaignResponse>(Election + "Campaign", new CampaignRequest { Name = Say.Bytes("e"), Lease = 0xa1, Value = Say.Bytes("one") });
        Assert.Equal(new LeaderKey { Name = Say.Bytes("e"), Key = Say.Bytes("e/a1"), Rev = 2, Lease = 0xa1 }, first.Leader);
        Assert.Equal("@2 e/a1=one(c2 m2 v1 l161)", await ObservedAsync(observer));
        Task<CampaignResponse> second = node.CallAsync<CampaignResponse>(Election + "Campaign", new CampaignRequest { Name = Say.Bytes("e"), Lease = 0xb2, Value = Say.Bytes("two") });
        await WaitForKeyAsync(node, "e/b2");
        await node.CallAsync<ProclaimResponse>(Election + "Proclaim", new ProclaimRequest { Leader = first.Leader, Value = Say.Bytes("uno") });
        Assert.Equal("@4 e/a1=uno(c2 m4 v2 l161)", await ObservedAsync(observer));
        CampaignResponse again = await node.CallAsync<CampaignResponse>(Election + "Campaign", new CampaignRequest { Name = Say.Bytes("e"), Lease = 0xa1, Value = Say.Bytes("un") });
        Assert.Equal(first.Leader, again.Leader);
        Assert.Equal("@5 e/a1=un(c2 m5 v3 l161)", await ObservedAsync(observer));
        LeaderResponse leader = await node.CallAsync<LeaderResponse>(Election + "Leader", new LeaderRequest { Name = Say.Bytes("e") });
        Assert.Equal("e/a1=un(c2 m5 v3 l161)", Say.Text(leader.Kv));
        Assert.False(second.IsCompleted);
        await node.CallAsync<ResignResponse>(Election + "Resign", new ResignRequest { Leader = first.Leader });
        Assert.Equal((3, 0xb2), ((await second).Leader.Rev, (await second).Leader.Lease));
        Assert.Equal("@6 e/b2=two(c3 m3 v1 l178)", await ObservedAsync(observer));
        Assert.Equal("Unknown: election: not leader", await node.FailsAsync(Election + "Proclaim", new ProclaimRequest { Leader = first.Leader }));
        Assert.Equal(6, (await node.CallAsync<ResignResponse>(Election + "Resign", new ResignRequest { Leader = first.Leader })).Header.Revision);
        Assert.Equal("Unknown: \"leader\" field must be provided", await node.FailsAsync(Election + "Proclaim", new ProclaimRequest()));
        Assert.Equal("Unknown: \"leader\" field must be provided", await node.FailsAsync(Election + "Resign", new ResignRequest()));
    }

    private static async Task<string> ObservedAsync(TestStream observer)
    {
        LeaderResponse response = await observer.ReadAsync<LeaderResponse>();
        return $"@{response.Header.Revision} {Say.Text(response.Kv)}";
    }

    private static async Task<EtcdNode> WithLeasesAsync(params long[] leases)
    {
        var node = new EtcdNode();
        foreach (long lease in leases)
        {
            await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = lease, TTL = 1000 });
        }

        return node;
    }

    private static async Task WaitForKeyAsync(EtcdNode node, string key, Event.Types.EventType type = Event.Types.EventType.Put)
    {
        await using TestStream stream = node.Open(Say.Watch, new WatchRequest { CreateRequest = new WatchCreateRequest { Key = Say.Bytes(key), StartRevision = 1 } });
        while (!(await stream.ReadAsync<WatchResponse>()).Events.Any(seen => seen.Type == type))
        {
            // It has not come to that yet.
        }
    }
}
