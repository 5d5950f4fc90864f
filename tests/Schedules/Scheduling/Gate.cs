namespace MetaStore.Schedules.Scheduling;

/// <summary>
/// Where a thread waits until it is its turn. It gives the processor away some times before it sleeps, since mostly its turn comes soon: a hand-over then costs one switch
/// of threads and no wake-up.
/// </summary>
internal sealed class Gate : IDisposable
{
    private const int Closed = 0;
    private const int Opened = 1;
    private const int Asleep = 2;

    private readonly SemaphoreSlim _sleeper = new(0);
    private int _state;

    /// <summary>How often a thread looks before it sleeps.</summary>
    public static int Looks { get; set; } = 10;

    public void Open()
    {
        if (Interlocked.Exchange(ref _state, Opened) == Asleep)
        {
            _sleeper.Release();
        }
    }

    public void Pass()
    {
        for (int i = 0; i < Looks; i++)
        {
            if (Volatile.Read(ref _state) == Opened)
            {
                Volatile.Write(ref _state, Closed);
                return;
            }

            Thread.Yield();
        }

        if (Interlocked.CompareExchange(ref _state, Asleep, Closed) == Closed)
        {
            _sleeper.Wait();
        }

        Volatile.Write(ref _state, Closed);
    }

    public void Dispose() => _sleeper.Dispose();
}
