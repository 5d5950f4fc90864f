using System.Text;
using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>"metastore watch" beside writers, while leaders are killed: nothing is lost, nothing comes twice.</summary>
public sealed class WatchTests
{
    private const int Writers = 4;
    private const int PutsOfEach = 500;
    private const int Events = 1 + (Writers * PutsOfEach);

    [Fact]
    public async Task The_command_prints_each_change_once_whoever_is_killed()
    {
        await using ProcessCluster cluster = await ProcessCluster.StartAsync();
        await using var client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [.. cluster.Endpoints] });
        await using MetaStoreSession session = await MetaStoreSession.OpenAsync(client, new MetaStoreSessionOptions { RepeatFor = TimeSpan.FromMinutes(2) });
        PutResponse first = await session.PutAsync(new PutRequest { Key = Bytes("watched/first"), Value = Bytes("0") });
        Task<(int ExitCode, string Output, string Errors)> watching = ChildProcess.RunAsync(
        [
            .. ProgramPath.Find(), "watch", "watched/", "--prefix", "--rev", $"{first.Header.Revision}", "--max-events", $"{Events}", "--endpoints", string.Join(',', cluster.Endpoints),
        ]);
        int written = 0;
        Task[] writing = [.. Enumerable.Range(0, Writers).Select(writer => WriteAsync(session, writer, () => Interlocked.Increment(ref written)))];
        for (int round = 0; round < 3; round++)
        {
            int enough = (round + 1) * Events / 4;
            await Deadline.UntilAsync(() => Volatile.Read(ref written) >= enough, $"round {round} has written enough");
            int leader = await cluster.FindLeaderAsync();
            await cluster.KillAsync(leader);
            await cluster.StartNodeAsync(leader);
        }

        (int exitCode, string output, string errors) = await watching;
        await Task.WhenAll(writing);

        Assert.Equal((0, string.Empty), (exitCode, errors));
        string[] lines = output.Split('\n');
        Assert.Equal((3 * Events) + 1, lines.Length);
        (string Key, string Value)[] told = [.. Enumerable.Range(0, Events).Select(i => (lines[(3 * i) + 1], lines[(3 * i) + 2]))];
        Assert.All(Enumerable.Range(0, Events), i => Assert.Equal("PUT", lines[3 * i]));
        Assert.Equal(("watched/first", "0"), told[0]);
        for (int writer = 0; writer < Writers; writer++)
        {
            // Each writer counts: what was told of it is 1, 2, 3 and so on, without a gap and without a repetition.
            Assert.Equal(Enumerable.Range(1, PutsOfEach).Select(i => $"{i}"), told.Where(pair => pair.Key == $"watched/{writer}").Select(pair => pair.Value));
        }
    }

    private static async Task WriteAsync(MetaStoreSession session, int writer, Action written)
    {
        for (int i = 1; i <= PutsOfEach; i++)
        {
            await session.PutAsync(new PutRequest { Key = Bytes($"watched/{writer}"), Value = Bytes($"{i}") }, CancellationToken.None);
            written();
        }
    }

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
