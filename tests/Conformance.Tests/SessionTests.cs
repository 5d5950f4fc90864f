using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Writes in a session while leaders are killed: all succeed, and each is there once.</summary>
public sealed class SessionTests
{
    private const int Writers = 8;

    [Fact]
    public async Task Every_write_is_applied_once_whoever_is_killed()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [.. cluster.Endpoints] });
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(client, new MetaStoreSessionOptions { RepeatFor = TimeSpan.FromMinutes(2) });
        using var stop = new CancellationTokenSource();
        var writes = new int[Writers];
        Task[] writing = [.. Enumerable.Range(0, Writers).Select(writer => WriteAsync(session, writer, writes, stop.Token))];
        for (int round = 0; round < 3; round++)
        {
            int enough = writes.Sum() + 300;
            await Deadline.UntilAsync(() => writes.Sum() >= enough, $"round {round} has written enough");
            int leader = await cluster.FindLeaderAsync();
            await cluster.KillAsync(leader);
            await cluster.StartNodeAsync(leader);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writing);
        RangeResponse all = await session.RangeAsync(new RangeRequest { Key = Bytes("once/"), RangeEnd = Bytes("once0") });
        Assert.Equal(Writers, all.Items.Count);
        Assert.All(all.Items, item => Assert.Equal(writes[int.Parse(Encoding.ASCII.GetString(item.Key.Span)["once/".Length..])], item.Version));
        Assert.Equal(1 + writes.Sum(), all.Header.Revision.Value);
    }

    [Fact]
    public async Task A_follower_answers_from_what_it_has_once_it_knows_how_old_that_is()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        int follower = (await cluster.FindLeaderAsync() + 1) % 3;
        IMetaStore node = cluster.Node(follower);
        PutResponse put = await node.PutAsync(new PutRequest { Key = Bytes("k") });
        var bounded = new RangeRequest { Key = Bytes("k"), StalenessMax = TimeSpan.FromHours(1) };
        RangeResponse asked = await node.RangeAsync(bounded);
        RangeResponse local = await node.RangeAsync(bounded);
        Assert.Equal((TimeSpan.Zero, put.Header.Revision), (asked.Staleness, asked.Header.Revision));
        Assert.InRange(local.Staleness!.Value, TimeSpan.FromTicks(1), bounded.StalenessMax);
        Assert.True((await node.RangeAsync(bounded with { StalenessMax = TimeSpan.Zero, Serializable = true })).Staleness > TimeSpan.Zero);
        Assert.Equal(TimeSpan.Zero, (await node.RangeAsync(bounded with { StalenessMax = TimeSpan.Zero })).Staleness);
    }

    private static async Task WriteAsync(MetaStoreSession session, int writer, int[] writes, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await session.PutAsync(new PutRequest { Key = Bytes($"once/{writer}") }, CancellationToken.None);
            writes[writer]++;
        }
    }

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
