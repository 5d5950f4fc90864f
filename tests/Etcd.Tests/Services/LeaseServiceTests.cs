using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Services;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>etcdserverpb.Lease.</summary>
public sealed class LeaseServiceTests
{
    private const string TimeToLive = "/etcdserverpb.Lease/LeaseTimeToLive";

    [Fact]
    public async Task A_lease_is_granted_asked_renewed_listed_and_takes_its_keys_with_it()
    {
        await using var node = new EtcdNode();
        LeaseGrantResponse chosen = await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { TTL = 100 });
        Assert.True(chosen is { ID: > 0, TTL: 100, Header.Revision: 1, Header.ClusterId: 7 }, chosen.ToString());
        LeaseGrantResponse named = await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 9, TTL = 0 });
        Assert.Equal((9, 1), (named.ID, named.TTL));
        await node.CallAsync<LeaseRevokeResponse>(Say.Revoke, new LeaseRevokeRequest { ID = 9 });
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("b", "1", chosen.ID));
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("a", "1", chosen.ID));
        LeaseTimeToLiveResponse left = await node.CallAsync<LeaseTimeToLiveResponse>(TimeToLive, new LeaseTimeToLiveRequest { ID = chosen.ID, Keys = true });
        Assert.Equal((chosen.ID, 100), (left.ID, left.GrantedTTL));
        Assert.Equal(["a", "b"], left.Keys.Select(key => key.ToStringUtf8()));
        LeaseLeasesResponse all = await node.CallAsync<LeaseLeasesResponse>("/etcdserverpb.Lease/LeaseLeases", new LeaseLeasesRequest());
        Assert.Equal([chosen.ID], all.Leases.Select(lease => lease.ID));
        LeaseRevokeResponse revoked = await node.CallAsync<LeaseRevokeResponse>(Say.Revoke, new LeaseRevokeRequest { ID = chosen.ID });
        Assert.Equal(4, revoked.Header.Revision);
        Assert.Equal("@4 count 0", Say.Text(await node.CallAsync<RangeResponse>(Say.Range, Say.All)));
    }

    [Fact]
    public async Task A_lease_that_is_not_there_is_no_error_to_who_asks_or_renews()
    {
        await using var node = new EtcdNode();
        await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 9, TTL = 100 });
        LeaseTimeToLiveResponse none = await node.CallAsync<LeaseTimeToLiveResponse>(TimeToLive, new LeaseTimeToLiveRequest { ID = 8, Keys = true });
        Assert.Equal((8, -1, 0, 0), (none.ID, none.TTL, none.GrantedTTL, none.Keys.Count));
        await using TestStream stream = node.Open(Say.KeepAlive, new LeaseKeepAliveRequest { ID = 9 }, new LeaseKeepAliveRequest { ID = 8 }, new LeaseKeepAliveRequest { ID = 9 });
        Assert.Equal((9, 100), Renewed(await stream.ReadAsync<LeaseKeepAliveResponse>()));
        Assert.Equal((8, 0), Renewed(await stream.ReadAsync<LeaseKeepAliveResponse>()));
        LeaseKeepAliveResponse last = await stream.ReadAsync<LeaseKeepAliveResponse>();
        Assert.Equal((9, 100), Renewed(last));
        Assert.Equal((7u, 1u, 1), (last.Header.ClusterId, last.Header.MemberId, last.Header.Revision));
        stream.CompleteRequests();
        Assert.Empty(await stream.ReadToEndAsync());
    }

    [Fact]
    public async Task More_keys_than_an_answer_holds_are_refused_and_named()
    {
        await using var node = new EtcdNode(new EtcdServicesOptions { HeldAnswerBytesMax = 195 });
        await node.CallAsync<LeaseGrantResponse>(Say.Grant, new LeaseGrantRequest { ID = 9, TTL = 100 });
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("abc", "1", lease: 9));
        var question = new LeaseTimeToLiveRequest { ID = 9, Keys = true };
        Assert.Equal("abc", Assert.Single((await node.CallAsync<LeaseTimeToLiveResponse>(TimeToLive, question)).Keys).ToStringUtf8());
        await node.CallAsync<PutResponse>(Say.Put, Say.PutOf("d", "1", lease: 9));
        Assert.Equal("ResourceExhausted: the keys of the lease take more than 195 bytes; ask without them", await node.FailsAsync(TimeToLive, question));
        question.Keys = false;
        Assert.Equal(100, (await node.CallAsync<LeaseTimeToLiveResponse>(TimeToLive, question)).GrantedTTL);
    }

    private static (long Id, long Ttl) Renewed(LeaseKeepAliveResponse response) => (response.ID, response.TTL);
}
