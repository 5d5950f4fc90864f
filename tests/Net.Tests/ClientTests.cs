using System.Collections.Concurrent;
using System.Net;
using MetaStore.Engine;
using MetaStore.Net.Client;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>The client against three nodes: whom it asks, what it repeats, and what it must not.</summary>
public sealed class ClientTests
{
    [Fact]
    public async Task WritesFollowTheLeaderAndLocalReadsTakeTurns()
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        foreach (ulong leader in new ulong[] { 2, 3, 1 })
        {
            cluster.SetLeader(leader);
            await client.PutAsync(Put("warm")); // learns the leader, if it did not know
            await Until(() => client.LeaderId.Value == leader, "the client has heard of the new leader");
            await Settled(client, leader);
            int[] before = cluster.Calls;
            for (int i = 0; i < 20; i++)
            {
                Assert.Equal(leader, (await client.PutAsync(Put("k"))).Header.NodeId);
                Assert.Equal(leader, (await client.RangeAsync(Get("k"))).Header.NodeId);
            }

            Assert.Equal(40, cluster.Calls[leader - 1] - before[leader - 1]);
        }

        var answering = new HashSet<ulong>();
        for (int i = 0; i < 12; i++)
        {
            answering.Add((await client.RangeAsync(Get("k", serializable: true))).Header.NodeId);
        }

        Assert.Equal(3, answering.Count);
        Assert.Equal(0, client.OutstandingHandles);
    }

    [Fact]
    public async Task AWriteOfUnknownOutcomeIsNeverRepeated()
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        await client.PutAsync(Put("warm"));
        int[] before = cluster.Calls;
        foreach (ServedNode served in cluster.Nodes)
        {
            served.Node.Intercept = (_, _) => Task.FromException(new MetaStoreException(MetaStoreError.Timeout, "no quorum in time", Outcome.Unknown));
        }

        foreach (Func<Task> write in new Func<Task>[]
        {
            async () => await client.PutAsync(Put("k")),
            async () => await client.DeleteRangeAsync(new DeleteRangeRequest { Key = Bytes("k") }),
            async () => await client.TxnAsync(new TxnRequest { Success = [Put("k")] }),
            async () => await client.CompactAsync(new CompactRequest(new Revision(2))),
        })
        {
            var error = await Assert.ThrowsAsync<MetaStoreException>(write);
            Assert.Equal((MetaStoreError.Timeout, Outcome.Unknown), (error.Error, error.Outcome));
        }

        Assert.Equal(before.Sum() + 4, cluster.Calls.Sum());
    }

    [Fact]
    public async Task AWriteWhoseConnectionBreaksIsUnknownAndNotRepeated()
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        await client.PutAsync(Put("warm"));
        await Settled(client, 1);
        int[] before = cluster.Calls;
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cluster.Nodes[0].Node.Intercept = (_, _) => held.Task;
        Task<PutResponse> put = client.PutAsync(Put("k")).AsTask();
        Task<RangeResponse> read = client.RangeAsync(Get("warm")).AsTask();
        await Until(() => cluster.Calls[0] == before[0] + 2, "both have reached the leader");
        await cluster.Nodes[0].Server.DrainAsync(new CancellationToken(canceled: true));

        var error = await Assert.ThrowsAsync<MetaStoreException>(() => put.WaitAsync(Patience));
        Assert.Equal((MetaStoreError.ConnectionLost, Outcome.Unknown), (error.Error, error.Outcome));
        Assert.NotEqual(1ul, (await read.WaitAsync(Patience)).Header.NodeId); // the read was asked again, elsewhere
        Assert.Equal(before.Sum() + 3, cluster.Calls.Sum());
        held.SetResult();
        await Until(() => cluster.Nodes[0].Server.OutstandingHandles == 0, "the handles are back");
        Assert.Equal(0, client.OutstandingHandles);
    }

    [Theory]
    [InlineData(MetaStoreError.NoLeader)]
    [InlineData(MetaStoreError.Busy)]
    [InlineData(MetaStoreError.Stopped)]
    public async Task WritesThatWereCertainlyNotAppliedAreRepeated(MetaStoreError error)
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        int failures = 5;
        foreach (ServedNode served in cluster.Nodes)
        {
            served.Node.Intercept = (_, _) => Interlocked.Decrement(ref failures) >= 0
                ? Task.FromException(new MetaStoreException(error, "not now"))
                : Task.CompletedTask;
        }

        await client.PutAsync(Put("k")).AsTask().WaitAsync(Patience);
        Assert.Equal(6, cluster.Calls.Sum());
    }

    [Fact]
    public async Task ErrorsThatTimeDoesNotMendAreNotRepeated()
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        foreach (ServedNode served in cluster.Nodes)
        {
            served.Node.Intercept = (_, _) => Task.FromException(new MetaStoreException(MetaStoreError.Compacted, "gone"));
        }

        Assert.Equal(MetaStoreError.Compacted, (await Assert.ThrowsAsync<MetaStoreException>(async () => await client.RangeAsync(Get("k")))).Error);
        Assert.Equal(1, cluster.Calls.Sum());
    }

    [Fact]
    public async Task GivesUpInTimeWithTheLastReason()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect(TimeSpan.FromSeconds(2));
        served.Node.Intercept = (_, _) => Task.FromException(new MetaStoreException(MetaStoreError.NoLeader, "nobody leads"));
        var error = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PutAsync(Put("k")));
        Assert.Equal((MetaStoreError.NoLeader, Outcome.NotApplied), (error.Error, error.Outcome));
        Assert.Contains("nobody leads", error.Message, StringComparison.Ordinal);
        Assert.True(served.Node.Calls > 2);
    }

    [Fact]
    public async Task ASilentNodeTimesOutAndLateAnswersAreDropped()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect(TimeSpan.FromSeconds(2));
        await client.PutAsync(Put("k", "old"));
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        served.Node.Intercept = (request, _) => request is PutRequest ? held.Task : Task.CompletedTask;
        Task<PutResponse> put = client.PutAsync(Put("k", "new")).AsTask();
        while (!put.IsCompleted)
        {
            await client.RangeAsync(Get("k")); // the connection is alive all the while, so it is kept
        }

        var error = await Assert.ThrowsAsync<MetaStoreException>(() => put);
        Assert.Equal((MetaStoreError.Timeout, Outcome.Unknown), (error.Error, error.Outcome));
        held.SetResult();
        Assert.Single((await client.RangeAsync(Get("k"))).Items);
        Assert.Equal(1, served.Server.ConnectionCount);
        Assert.Equal(0, client.OutstandingHandles);
    }

    [Fact]
    public async Task ReconnectsAfterARestart()
    {
        ServedNode served = await ServedNode.StartAsync();
        IPEndPoint endpoint = served.EndPoint;
        await using MetaStoreClient client = served.Connect();
        await client.PutAsync(Put("k"));
        await served.DisposeAsync();
        await Until(() => !client.IsConnected, "the client has seen the end of the connection");
        Task<RangeResponse> read = client.RangeAsync(Get("k")).AsTask();
        Task<PutResponse> write = client.PutAsync(Put("k")).AsTask(); // never reaches a socket, so it may wait
        await using ServedNode again = await ServedNode.StartAsync(options: ServedNode.Options with { Endpoint = endpoint });
        await read.WaitAsync(Patience);
        await write.WaitAsync(Patience);
    }

    [Fact]
    public async Task GoesOnElsewhereWhenANodeDrains()
    {
        await using Cluster cluster = await Cluster.StartAsync();
        await using MetaStoreClient client = cluster.Connect();
        await client.PutAsync(Put("warm"));
        using var stop = new CancellationTokenSource();
        var failures = new ConcurrentQueue<Exception>();
        Task[] writers = [.. Enumerable.Range(0, 8).Select(_ => WriteUntil(client, stop.Token, failures))];
        await Until(() => cluster.Calls[0] > 200, "the leader has had some writes");
        await cluster.Nodes[0].Server.DrainAsync().WaitAsync(Patience);
        int others = cluster.Calls[1] + cluster.Calls[2];
        await Until(() => cluster.Calls[1] + cluster.Calls[2] > others + 200, "the others have had some more");
        await stop.CancelAsync();
        await Task.WhenAll(writers);
        Assert.Empty(failures); // a drain loses nothing, and leaves nothing unknown
    }

    [Fact]
    public async Task CancellingFreesTheCallerAndTheHandle()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();
        await client.PingAsync();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        served.Node.Intercept = (_, _) => held.Task;
        using var cancel = new CancellationTokenSource();
        Task<PutResponse> put = client.PutAsync(Put("k"), cancel.Token).AsTask();
        await Until(() => served.Node.Calls == 1, "the put is under way");
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => put.WaitAsync(Patience));
        Assert.Equal(0, client.OutstandingHandles);
        held.SetResult();
        await client.PingAsync();
    }

    [Fact]
    public async Task AnotherClusterIsRefused()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [served.Address], ClusterId = 0xbad });
        var error = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PutAsync(Put("k")));
        Assert.Equal((MetaStoreError.ClusterMismatch, Outcome.NotApplied), (error.Error, error.Outcome));
        Assert.Contains("0000000000000bad", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NodesOfTwoClustersAreNotMixed()
    {
        await using ServedNode ours = await ServedNode.StartAsync(new FakeNode(1, clusterId: 1));
        await using ServedNode theirs = await ServedNode.StartAsync(new FakeNode(2, clusterId: 2));
        ours.Node.SetLeader(2); // the wrong node even has the name of the leader
        await using MetaStoreClient client = ServedNode.Connect(null, ours, theirs);
        ulong cluster = (await client.PutAsync(Put("k"))).Header.ClusterId;
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(cluster, (await client.RangeAsync(Get("k", serializable: i % 2 == 0))).Header.ClusterId);
        }

        Assert.Equal(0, (cluster == 1 ? theirs : ours).Node.Calls);
    }

    [Fact]
    public async Task TooLargeRequestsAreRefusedBeforeTheyAreSent()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();
        var error = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PutAsync(Put("k", new string('x', 2 << 20))));
        Assert.Equal((MetaStoreError.RequestTooLarge, Outcome.NotApplied), (error.Error, error.Outcome));
        Assert.Equal(0, served.Node.Calls);
    }

    [Fact]
    public async Task ClosingFailsWhatIsUnderWayAndWhatComesAfter()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        MetaStoreClient client = served.Connect();
        await client.PingAsync();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        served.Node.Intercept = (_, _) => held.Task;
        Task<PutResponse> put = client.PutAsync(Put("k")).AsTask();
        await Until(() => served.Node.Calls == 1, "the put is under way");
        await client.DisposeAsync();
        Assert.Equal((MetaStoreError.Stopped, Outcome.Unknown), Of(await Assert.ThrowsAsync<MetaStoreException>(() => put.WaitAsync(Patience))));
        Assert.Equal((MetaStoreError.Stopped, Outcome.NotApplied), Of(await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PingAsync())));
        held.SetResult();
        await Until(() => served.Server.OutstandingHandles == 0, "the handle is back");

        static (MetaStoreError, Outcome) Of(MetaStoreException error) => (error.Error, error.Outcome);
    }

    /// <summary>Lettered table of what may be tried again: every error, both outcomes, reads and writes.</summary>
    [Fact]
    public void OnlySafeAndMendableFailuresAreRepeated()
    {
        MetaStoreError[] mendable =
            [MetaStoreError.ConnectionLost, MetaStoreError.NoLeader, MetaStoreError.Busy, MetaStoreError.Stopped, MetaStoreError.Timeout, MetaStoreError.NodeFailed];
        foreach (MetaStoreError error in Enum.GetValues<MetaStoreError>())
        {
            foreach (int endpoints in new[] { 1, 2 })
            {
                // What a witness refuses another node mends, and time does not.
                bool mends = mendable.Contains(error) || (error == MetaStoreError.WitnessMember && endpoints > 1);
                Assert.Equal(mends, RetryPolicy.MayRetry(new MetaStoreException(error, "", Outcome.NotApplied), isRepeatable: false, endpoints));
                Assert.False(RetryPolicy.MayRetry(new MetaStoreException(error, "", Outcome.Unknown), isRepeatable: false, endpoints));
                Assert.Equal(mends, RetryPolicy.MayRetry(new MetaStoreException(error, "", Outcome.NotApplied), isRepeatable: true, endpoints));
                Assert.Equal(mends, RetryPolicy.MayRetry(new MetaStoreException(error, "", Outcome.Unknown), isRepeatable: true, endpoints));
            }
        }
    }

    [Fact]
    public async Task AnAnswerToAnEarlierUseOfASlotMeetsNobody()
    {
        var table = new PendingTable(slotsMax: 1);
        PendingRequest first = table.Rent(default, out _)!;
        ulong earlier = first.Correlation;
        ValueTask<object?> task = first.Task;
        Assert.Null(table.Rent(default, out bool isFull));
        Assert.True(isFull);
        Assert.True(table.TryTake(earlier, out _));
        Assert.False(table.TryTake(earlier, out _));
        first.SetResult("answer");
        Assert.Equal("answer", await task);

        PendingRequest second = table.Rent(default, out _)!;
        Assert.Same(first, second); // the slot is used again
        Assert.False(table.TryTake(earlier, out _));
        Assert.False(table.TryMarkWritten(second, earlier, out _));
        Assert.True(table.TryTake(second.Correlation, out _));
    }

    /// <summary>The client only learns which endpoint is the leader by connecting to it, which it does in the background.</summary>
    private static async Task Settled(MetaStoreClient client, ulong leader)
    {
        using var patience = new CancellationTokenSource(Patience);
        while ((await client.RangeAsync(Get("warm"))).Header.NodeId != leader)
        {
            patience.Token.ThrowIfCancellationRequested();
        }
    }

    private static async Task WriteUntil(MetaStoreClient client, CancellationToken stop, ConcurrentQueue<Exception> failures)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await client.PutAsync(Put("k"), CancellationToken.None);
            }
            catch (MetaStoreException e)
            {
                failures.Enqueue(e);
            }
        }
    }

    /// <summary>Three nodes that agree on who leads.</summary>
    private sealed class Cluster : IAsyncDisposable
    {
        public required IReadOnlyList<ServedNode> Nodes { get; init; }

        public int[] Calls => [.. Nodes.Select(served => served.Node.Calls)];

        public static async Task<Cluster> StartAsync()
        {
            var nodes = new List<ServedNode>();
            for (ulong id = 1; id <= 3; id++)
            {
                nodes.Add(await ServedNode.StartAsync(new FakeNode(id)));
            }

            var cluster = new Cluster { Nodes = nodes };
            cluster.SetLeader(1);
            return cluster;
        }

        public void SetLeader(ulong leader)
        {
            foreach (ServedNode served in Nodes)
            {
                served.Node.SetLeader(leader);
            }
        }

        public MetaStoreClient Connect() => ServedNode.Connect(null, [.. Nodes]);

        public async ValueTask DisposeAsync()
        {
            foreach (ServedNode served in Nodes)
            {
                await served.DisposeAsync();
            }
        }
    }
}
