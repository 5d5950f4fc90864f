namespace MetaStore.Engine.Hosting;

/// <summary>Gives each loop of a node a thread, and ends them together.</summary>
internal sealed class NodeThreads(TimeProvider time)
{
    private readonly Dictionary<string, LoopThread> _threads = new(StringComparer.Ordinal);
    private ILoopHost? _host;

    /// <summary>The signal of the loop of that name: of <see cref="NodeSeams.Signals"/>.</summary>
    public ILoopSignal SignalOf(string loop) => _threads[loop] = new LoopThread(time, (name, error) => _host!.Failure.Fail(name, error));

    public void Start(ILoopHost host)
    {
        _host = host;
        foreach (ILoop loop in host.Loops)
        {
            _threads[loop.Name].Start(loop);
        }
    }

    /// <summary>Lets every loop run once more; after a failure, each tells whoever waits for it.</summary>
    public void WakeAll()
    {
        foreach (LoopThread thread in _threads.Values)
        {
            thread.Set();
        }
    }

    /// <summary>
    /// Takes nothing new, gives what is under way until <paramref name="patience"/> to finish, ends the threads, and tells whoever still waits. The
    /// host is the caller's to dispose.
    /// </summary>
    public async Task StopAsync(TimeSpan patience)
    {
        ILoopHost host = _host!;
        host.RefuseNew();
        using var patient = new CancellationTokenSource(patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (host.OperationsRented > 0 && !host.Failure.IsFailed && !patient.IsCancellationRequested)
        {
            await poll.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false);
        }

        foreach (LoopThread thread in _threads.Values)
        {
            thread.Dispose();
        }

        host.AbandonAll();
    }
}
