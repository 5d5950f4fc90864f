using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>kill -9 in the middle of writing, again and again. (The system's cache survives it; lost caches are the simulator's and strace's part.)</summary>
public sealed class KillLoopTests
{
    private const int Rounds = 10;

    [Fact]
    public async Task What_was_acknowledged_survives_every_kill()
    {
        using var directory = new TestDirectory();
        var writes = new AcknowledgedWrites();
        for (int round = 0; round < Rounds; round++)
        {
            await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
            await writes.AssertAllThereAsync(server.Endpoint);
            using var stop = new CancellationTokenSource();
            Task writing = writes.WriteAsync(server.Endpoint, writers: 16, valueBytes: 200, stop.Token);
            int enough = writes.Count + 200 + (round * 50);
            await Deadline.UntilAsync(() => writes.Count >= enough, $"round {round} has written enough");
            await server.Child.KillAsync();
            await stop.CancelAsync();
            await writing;
        }

        await using ServerProcess last = await ServerProcess.StartSingleAsync(directory.Of("data"));
        await writes.AssertAllThereAsync(last.Endpoint);
        Assert.Equal(0, await last.StopAsync());
    }
}
