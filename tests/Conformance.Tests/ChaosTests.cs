using System.Globalization;
using System.Security.Cryptography;
using MetaStore.Chaos;
using MetaStore.Engine;
using MetaStore.Simulation;
using MetaStore.Testing.Processes;
using Xunit.Abstractions;

namespace MetaStore.Conformance.Tests;

/// <summary>A short run of the chaos (tests/Chaos), and the proof that its checks find what is wrong.</summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private static readonly Keyspace s_keys = new(0);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_is_lost_and_every_answer_is_right_through_kills_pauses_and_partitions(bool isGrpc)
    {
        string? given = Environment.GetEnvironmentVariable("METASTORE_SEED");
        ulong seed = given is null ? (uint)RandomNumberGenerator.GetInt32(int.MaxValue) : ulong.Parse(given, CultureInfo.InvariantCulture);
        using var log = new StringWriter();
        ChaosReport? report = null;
        try
        {
            report = await ChaosRun.RunAsync(ChaosOptions.Short(seed) with { Front = isGrpc ? ChaosFront.Grpc : ChaosFront.Binary }, log);
        }
        finally
        {
            output.WriteLine($"seed {seed}; METASTORE_SEED={seed} repeats the plan\n{log}{report}");
        }

        Assert.True(report.IsRight, $"seed {seed}: {report}\n{log}");
    }

    [Fact]
    public async Task A_stale_answer_taken_for_a_linearizable_one_is_found()
    {
        await using ChaosCluster cluster = await ChaosCluster.StartAsync(ChaosOptions.Short(1));
        var recorder = new Recorder();
        int leader = await cluster.WaitUntilWellAsync();
        int left = (leader + 1) % ChaosCluster.Size;
        await AskAsync(recorder, cluster.Node(leader), Put(1));
        await cluster.WaitUntilWellAsync();
        var isolated = new Partition(left, PartitionShape.Isolated, LinkCut.Hold, LinkDirections.None);
        await isolated.InjectAsync(cluster);
        await AskAsync(recorder, cluster.Node(leader), Put(2));
        RangeResponse stale = await cluster.Node(left).RangeAsync(s_keys.ReadAll(serializable: true));
        IReadOnlyList<HistoryEntry> right = recorder.Take();
        HistoryEntry wrong = new() { Request = s_keys.ReadAll(serializable: false), Response = stale, Invoked = long.MaxValue - 2, InvokedAt = long.MaxValue - 2, Returned = long.MaxValue - 1 };

        CheckHistory(right);
        Assert.Throws<SimulationFailure>(() => CheckHistory([.. right, wrong]));

        await isolated.UndoAsync(cluster);
        await cluster.WaitUntilWellAsync();
        await AskAsync(recorder, cluster.Node(left), s_keys.ReadAll(serializable: false));
        CheckHistory([.. right, .. recorder.Take()]);
    }

    [Fact]
    public async Task A_write_that_the_store_does_not_show_is_counted_as_lost()
    {
        await using ChaosCluster cluster = await ChaosCluster.StartAsync(ChaosOptions.Short(1));
        var recorder = new Recorder();
        await AskAsync(recorder, cluster.Node(0), Put(1));
        HistoryEntry real = recorder.Take().Single();
        HistoryEntry other = new() { Request = Put(2), Response = real.Response, Invoked = real.Invoked, InvokedAt = real.InvokedAt, Returned = real.Returned };
        var acknowledged = new AcknowledgedChanges();
        acknowledged.EndRound(s_keys, await cluster.Node(0).RangeAsync(s_keys.ReadAll(serializable: false)), [real]);

        Assert.Equal(0, await AcknowledgedChanges.CountLostAsync(cluster.Node(0), [real]));
        Assert.Equal(1, await AcknowledgedChanges.CountLostAsync(cluster.Node(0), [other]));
        Assert.Equal(0, await acknowledged.CountLostAtEndAsync(cluster.Node(0)));

        await cluster.Node(0).DeleteRangeAsync(new DeleteRangeRequest { Key = RegisterProjection.KeyOf(s_keys.First) });
        Assert.Equal(1, await acknowledged.CountLostAtEndAsync(cluster.Node(0)));
    }

    [Fact]
    public async Task A_cut_link_passes_nothing_and_a_healed_one_does_again()
    {
        ChaosOptions options = ChaosOptions.Short(1);
        await using ChaosCluster cluster = await ChaosCluster.StartAsync(options);
        foreach (LinkCut cut in Enum.GetValues<LinkCut>())
        {
            int leader = await cluster.WaitUntilWellAsync();
            var isolated = new Partition(leader, PartitionShape.Isolated, cut, LinkDirections.None);
            await isolated.InjectAsync(cluster);
            await using IMetaStore left = Workload.Connect([cluster.Endpoints[leader]], options, new SimulationRandom(1));

            // It answers nothing that takes a majority, while the two others elect one of them.
            MetaStoreException refused = await Assert.ThrowsAsync<MetaStoreException>(async () => await left.PutAsync(Put(1)));
            Assert.Contains(refused.Error, new[] { MetaStoreError.NoLeader, MetaStoreError.Timeout });
            await cluster.Node((leader + 1) % ChaosCluster.Size).PutAsync(Put(2));
            await isolated.UndoAsync(cluster);
        }

        await cluster.WaitUntilWellAsync();
    }

    private static PutRequest Put(long value) => new() { Key = RegisterProjection.KeyOf(s_keys.First), Value = RegisterProjection.KeyOf(value).AsMemory(1) };

    private static async Task AskAsync(Recorder recorder, IMetaStore store, StoreRequest request) => Assert.NotNull(await recorder.AskAsync(store, request));

    private static void CheckHistory(IReadOnlyList<HistoryEntry> entries)
    {
        var history = new History();
        foreach (HistoryEntry entry in entries)
        {
            history.Add(entry);
        }

        history.Check(clockError: 0.01);
    }
}
