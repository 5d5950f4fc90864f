using MetaStore.Engine.Hosting;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;

namespace MetaStore.Engine.Tests;

/// <summary>Members with other election timeouts, at a time or one after the other: a leader counts on what it was promised, and on no more.</summary>
public sealed class EarlierSilenceTests
{
    private static readonly NodeSettings s_long = Settings(TimeSpan.FromSeconds(10));
    private static readonly NodeSettings s_short = Settings(TimeSpan.FromSeconds(1));

    [Fact]
    public void ALongerPromise_IsKeptByTheNextLives_UntilItHasPassed()
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory(s_long.DataDirectory);
        Assert.Equal(0, new EarlierSilence(disk, s_short).Ticks);
        Assert.Equal(0, new EarlierSilence(disk, s_long).Ticks);

        EarlierSilence shortened = new(disk, s_short);
        Assert.Equal(s_long.ElectionTicks, shortened.Ticks);
        shortened.Forget(s_long.Silence);
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(s_long.ElectionTicks, new EarlierSilence(disk, s_short).Ticks);

        shortened.Forget(s_long.Silence + TimeSpan.FromMilliseconds(1));
        disk.Crash(CrashPolicy.LoseAll);
        Assert.Equal(0, new EarlierSilence(disk, s_short).Ticks);
    }

    [Fact]
    public void WithoutALease_NothingIsPromised_AndWhatWasIsKept()
    {
        var disk = new FaultyDisk(new Random(1));
        disk.CreateDirectory(s_long.DataDirectory);
        NodeSettings none = s_long with { ClockDriftMax = 1 };
        Assert.Equal(TimeSpan.Zero, none.Silence);
        Assert.Equal(0, new EarlierSilence(disk, none).Ticks);
        Assert.Empty(disk.ListFiles(s_long.DataDirectory));

        _ = new EarlierSilence(disk, s_long);
        Assert.Equal(s_long.ElectionTicks, new EarlierSilence(disk, none).Ticks);
    }

    /// <summary>The leader is patient, the others are not: they elect another long before it would look for its majority.</summary>
    [Fact]
    public async Task AReadOfAPatientLeader_IsNotStale_WhereTheOthersElectAnotherSoon()
    {
        using var cluster = new SteppedCluster(new SnapshotOptions(), node => node == 0 ? TimeSpan.FromSeconds(10) : TimeSpan.FromSeconds(1));
        NodeCore patient = cluster.Nodes[0];
        Task<MembersResponse> moved = cluster.Nodes[0].MoveLeaderAsync(1).AsTask();
        cluster.Await(() => moved.IsCompleted && patient.Node.Raft.Role == Role.Leader, "the patient one leads");
        await moved;
        await Answered(cluster, patient.PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = "1"u8.ToArray() }));
        cluster.Pass(TimeSpan.FromSeconds(5));
        NodeId self = patient.Node.Raft.Id;
        cluster.IsLost = (to, message) => to == self || message.From == self;
        cluster.Await(() => cluster.Nodes.Any(node => node != patient && node.Node.Raft.Role == Role.Leader), "another leads");
        NodeCore other = cluster.Nodes.First(node => node != patient && node.Node.Raft.Role == Role.Leader);
        await Answered(cluster, other.PutAsync(new PutRequest { Key = "k"u8.ToArray(), Value = "2"u8.ToArray() }));
        Assert.Equal(Role.Leader, patient.Node.Raft.Role); // It does not know yet.

        ValueTask<RangeResponse> read = patient.RangeAsync(new RangeRequest { Key = "k"u8.ToArray() });
        cluster.Pass(TimeSpan.FromSeconds(1));
        Assert.False(read.IsCompletedSuccessfully, "a read of a leader that was replaced was answered");
        cluster.IsLost = (_, _) => false;
        Exception? failed = await Record.ExceptionAsync(async () =>
            Assert.Equal("2"u8.ToArray(), (await Answered(cluster, read)).Items.Single().Value.ToArray()));
        Assert.True(failed is null or MetaStoreException, $"{failed}");
    }

    private static NodeSettings Settings(TimeSpan electionTimeout) => new()
    {
        Name = "n1",
        ClusterId = 7,
        NodeId = new NodeId(1),
        Members = [],
        DataDirectory = "/data",
        ElectionTimeout = electionTimeout,
        Seed = 1,
    };

    private static async Task<T> Answered<T>(SteppedCluster cluster, ValueTask<T> asked)
    {
        Task<T> answer = asked.AsTask();
        cluster.Await(() => answer.IsCompleted, "the request is answered");
        return await answer;
    }
}
