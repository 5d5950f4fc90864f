using MetaStore.Engine;
using MetaStore.Raft;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>The shipped client against the shipped server, over loopback.</summary>
public sealed class ClientServerTests
{
    [Fact]
    public async Task EveryOperationComesThrough()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();

        PutResponse put = await client.PutAsync(Put("a", "1"));
        Assert.Equal(new ResponseHeader(0xc1, 1, new Revision(2), 1), put.Header);
        Assert.Null(put.Previous);
        PutResponse again = await client.PutAsync(Put("a", "2") with { ReturnPrevious = true });
        Assert.Equal("1"u8, again.Previous!.Value.Value.Span);

        RangeResponse range = await client.RangeAsync(Get("a"));
        KeyValue item = Assert.Single(range.Items);
        Assert.Equal("2"u8, item.Value.Span);
        Assert.Equal((2L, 3L, 2L), (item.CreateRevision.Value, item.ModRevision.Value, item.Version));

        TxnResponse txn = await client.TxnAsync(new TxnRequest
        {
            Compare = [new Compare { Key = Bytes("a") }],
            Success = [Put("b"), Get("a"), new TxnRequest { Failure = [], Success = [Put("c")] }],
        });
        Assert.True(txn.Succeeded);
        Assert.Equal(3, txn.Responses.Count);

        DeleteRangeResponse delete = await client.DeleteRangeAsync(new DeleteRangeRequest { Key = Bytes("a"), RangeEnd = new byte[] { 0 }, ReturnPrevious = true });
        Assert.Equal(3, delete.Deleted);
        Assert.Equal(3, delete.Previous.Count);
        Assert.Equal(delete.Header.Revision, (await client.CompactAsync(new CompactRequest(new Revision(3)))).Header.Revision);
        Assert.Equal(7u, (await client.HashAsync(new HashRequest(default))).Hash);
        Assert.Equal("n1", (await client.StatusAsync()).Name);
        await client.PingAsync();
        Assert.Equal(new NodeId(1), client.LeaderId);
        Assert.Equal(0, client.OutstandingHandles);
    }

    [Fact]
    public async Task EverythingAboutLeasesComesThrough()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();
        LeaseGrantResponse granted = await client.GrantLeaseAsync(new LeaseGrantRequest(10, 7));
        Assert.Equal((7, 10), (granted.Id, granted.Ttl));
        PutRequest? seen = null;
        served.Node.Intercept = (request, _) =>
        {
            seen = request as PutRequest;
            return Task.CompletedTask;
        };
        await client.PutAsync(Put("a", "1") with { TimeToLive = TimeSpan.FromMilliseconds(1500) });
        Assert.Equal(TimeSpan.FromMilliseconds(1500), seen!.TimeToLive);
        LeaseKeepAliveResponse renewed = await client.KeepLeaseAliveAsync(7);
        Assert.Equal((7, 7), (renewed.Id, renewed.Ttl));
        LeaseTimeToLiveResponse left = await client.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(7, WithKeys: true));
        Assert.Equal((7, 5, 7, 1), (left.Id, left.Ttl, left.GrantedTtl, left.Keys.Count));
        Assert.Empty((await client.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(7))).Keys);
        Assert.Equal([1, 2], (await client.LeasesAsync()).Ids);
        Assert.Equal(1ul, (await client.RevokeLeaseAsync(new LeaseRevokeRequest(7))).Header.NodeId);
        Assert.Equal(0, client.OutstandingHandles);
        Assert.Equal(0, served.Server.OutstandingHandles);
    }

    [Fact]
    public async Task ManyRequestsAreAnsweredOutOfOrderOnOneConnection()
    {
        const int Count = 500;
        var held = new TaskCompletionSource[Count];
        await using ServedNode served = await ServedNode.StartAsync();
        served.Node.Intercept = (request, _) =>
        {
            int number = request is PutRequest put ? int.Parse(System.Text.Encoding.UTF8.GetString(put.Key.Span)) : -1;
            return number < 0 ? Task.CompletedTask : held[number].Task;
        };
        await using MetaStoreClient client = served.Connect();
        await client.PingAsync();

        var tasks = new Task<PutResponse>[Count];
        for (int i = 0; i < Count; i++)
        {
            held[i] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            tasks[i] = client.PutAsync(Put(i.ToString(), $"value {i}")).AsTask();
        }

        await Until(() => served.Node.Calls == Count, "all puts have reached the store");
        Assert.Equal(1, served.Server.ConnectionCount);
        Assert.Equal(Count, served.Server.RequestsInFlight);
        for (int i = Count - 1; i >= 0; i -= 2)
        {
            held[i].SetResult();
            await tasks[i].WaitAsync(Patience);
            Assert.False(tasks[i - 1].IsCompleted);
        }

        for (int i = Count - 2; i >= 0; i -= 2)
        {
            held[i].SetResult();
        }

        await Task.WhenAll(tasks).WaitAsync(Patience);
        for (int i = 0; i < Count; i += 50)
        {
            RangeResponse range = await client.RangeAsync(Get(i.ToString()));
            Assert.Equal(Bytes($"value {i}"), range.Items[0].Value.ToArray());
        }

        Assert.Equal(0, client.OutstandingHandles);
        Assert.Equal(0, served.Server.OutstandingHandles);
    }
}
