using System.Diagnostics;
using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Leases on three real processes while leaders are killed.</summary>
public sealed class LeaseTests
{
    /// <summary>Three elections, of a second and a half each on a busy machine, are less than three tenths of it: see <c>Lessor</c>, "at most so much late".</summary>
    private const long TtlSeconds = 20;

    /// <summary>The one whose client lives keeps its keys; the one whose client has died loses them, however often the leader changes meanwhile.</summary>
    [Fact]
    public async Task A_lease_whose_client_dies_takes_its_keys_with_it_through_leader_kills()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [.. cluster.Endpoints], RequestTimeout = TimeSpan.FromSeconds(20) });
        await using LeaseKeeper living = await LeaseKeeper.GrantAsync(client, new LeaseGrantRequest(TtlSeconds));
        long dead = (await client.GrantLeaseAsync(new LeaseGrantRequest(TtlSeconds))).Id;
        long granted = Stopwatch.GetTimestamp();
        await client.PutAsync(new PutRequest { Key = Bytes("living"), LeaseId = living.LeaseId });
        await client.TxnAsync(new TxnRequest
        {
            Success = [new PutRequest { Key = Bytes("dead/1"), LeaseId = dead }, new PutRequest { Key = Bytes("dead/2"), LeaseId = dead }],
        });
        for (int round = 0; round < 3; round++)
        {
            // Spread over its time: were it begun anew by each leader, it would outlive twice that.
            TimeSpan next = TimeSpan.FromSeconds(0.35 * (round + 1) * TtlSeconds) - Stopwatch.GetElapsedTime(granted);
            await Task.Delay(next > TimeSpan.Zero ? next : TimeSpan.Zero);
            int leader = await cluster.FindLeaderAsync();
            await cluster.KillAsync(leader);
            await cluster.StartNodeAsync(leader);
            long there = await CountAsync(client, "dead/", "dead0");
            Assert.True(there == 2 || Stopwatch.GetElapsedTime(granted) > TimeSpan.FromSeconds(TtlSeconds - 1), $"{there} of the keys are left before the time of their lease is over");
        }

        TimeSpan left = TimeSpan.FromSeconds(2 * TtlSeconds) - Stopwatch.GetElapsedTime(granted);
        await Deadline.UntilAsync(async () => await CountAsync(client, "dead/", "dead0") == 0, "within twice its time the keys of the lease that nobody renews are gone", left);
        Assert.Equal(-1, (await client.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(dead))).Ttl);
        Assert.Equal(1, await CountAsync(client, "living", ""));
        Assert.False(living.Lost.IsCancellationRequested, "a lease that is renewed is not lost");
        Assert.Equal([living.LeaseId], (await client.LeasesAsync()).Ids);
    }

    [Fact]
    public async Task Any_member_takes_renewals()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        LeaseGrantResponse granted = await cluster.Node(0).GrantLeaseAsync(new LeaseGrantRequest(600));
        for (int node = 0; node < 3; node++)
        {
            IMetaStore store = cluster.Node(node);
            LeaseKeepAliveResponse[] renewed = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => store.KeepLeaseAliveAsync(granted.Id).AsTask()));
            Assert.All(renewed, answer => Assert.Equal((granted.Id, 600), (answer.Id, answer.Ttl)));
            Assert.Equal(0, (await store.KeepLeaseAliveAsync(granted.Id + 1)).Ttl);
            LeaseTimeToLiveResponse left = await store.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest(granted.Id));
            Assert.InRange(left.Ttl, 1, 600);
            Assert.Equal(600, left.GrantedTtl);
        }
    }

    private static async Task<long> CountAsync(IMetaStore store, string key, string end) =>
        (await store.RangeAsync(new RangeRequest { Key = Bytes(key), RangeEnd = Bytes(end) })).Count;

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
