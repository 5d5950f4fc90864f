using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Simulation;
using MetaStore.Testing.Processes;

namespace MetaStore.Chaos;

/// <summary>
/// How long it takes until a write is answered that was begun after a fault. Writes are begun again and again, for one that is on its way to the
/// lost leader waits for its deadline while another, begun later, is answered long before. They are in the history like all others.
/// </summary>
internal sealed class LeaderProbe : IAsyncDisposable
{
    private static readonly TimeSpan s_spacing = TimeSpan.FromMilliseconds(20);

    private readonly Recorder _recorder;
    private readonly Keyspace _keys;
    private readonly SimulationRandom _random;
    private readonly IChaosClient[] _clients;
    private readonly List<Task> _puts = [];

    public LeaderProbe(ChaosCluster cluster, ChaosOptions options, Recorder recorder, Keyspace keys, SimulationRandom random)
    {
        _recorder = recorder;
        _keys = keys;
        _random = random;
        _clients = [.. cluster.Endpoints.Select(endpoint => Workload.Open([endpoint], options, random))];
    }

    /// <summary>Asks the nodes other than the one that was hit.</summary>
    /// <param name="hit">That one; it stays as it is until the answer has come.</param>
    /// <param name="start">When it began to be hit.</param>
    public async Task<TimeSpan> MeasureAsync(int hit, long start)
    {
        int turn = 0;
        var answered = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        while (!answered.Task.IsCompleted)
        {
            if (Stopwatch.GetElapsedTime(start) > 2 * Deadline.Generous)
            {
                throw new TimeoutException($"No write was answered within {2 * Deadline.Generous.TotalSeconds} s after n{hit}, which led, was hit.");
            }

            turn++;
            _puts.Add(PutAsync(_clients[(hit + 1 + (turn % (ChaosCluster.Size - 1))) % ChaosCluster.Size], start, answered));
            await Task.WhenAny(answered.Task, Task.Delay(s_spacing));
        }

        return await answered.Task;
    }

    /// <summary>Returns when the last write has been answered or given up.</summary>
    public Task DrainAsync() => Task.WhenAll(_puts);

    public async ValueTask DisposeAsync()
    {
        await DrainAsync();
        foreach (IChaosClient client in _clients)
        {
            await client.DisposeAsync();
        }
    }

    private async Task PutAsync(IChaosClient client, long start, TaskCompletionSource<TimeSpan> answered)
    {
        var put = new PutRequest { Key = RegisterProjection.KeyOf(_keys.Probe), Value = _recorder.NewValue(_random, 1) };
        if (await _recorder.AskAsync(client, put) is not null)
        {
            answered.TrySetResult(Stopwatch.GetElapsedTime(start));
        }
    }
}
