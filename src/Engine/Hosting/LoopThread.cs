namespace MetaStore.Engine.Hosting;

/// <summary>Steps one loop on a thread of its own until it is stopped or the loop throws.</summary>
internal sealed class LoopThread : ILoopSignal, IDisposable
{
    // The inbox signal: a waiting thread is woken only by the first Set after it went to sleep.
    private const int Running = 0;
    private const int Signalled = 1;
    private const int Asleep = 2;

    private readonly object _gate = new();
    private readonly TimeProvider _time;
    private readonly Action<string, Exception> _failed;
    private Thread? _thread;
    private ILoop? _loop;
    private volatile bool _stopping;
    private int _state;

    public LoopThread(TimeProvider time, Action<string, Exception> failed)
    {
        _time = time;
        _failed = failed;
    }

    public void Start(ILoop loop)
    {
        _loop = loop;
        _thread = new Thread(Run) { Name = $"metastore-{loop.Name}", IsBackground = true };
        _thread.Start();
    }

    public void Set()
    {
        if (Interlocked.Exchange(ref _state, Signalled) == Asleep)
        {
            lock (_gate)
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>Lets the loop finish what it is doing, and returns when its thread has ended.</summary>
    public void Dispose()
    {
        _stopping = true;
        Set();
        if (_thread is not null && _thread != Thread.CurrentThread)
        {
            _thread.Join();
        }
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
            {
                if (!_loop!.RunOnce() && !_stopping)
                {
                    Wait(_loop.NextWake);
                }
            }
        }
#pragma warning disable CA1031 // Whatever a loop throws, the node's state can no longer be trusted: it fails as a whole, with the cause.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _failed(_loop!.Name, error);
        }
    }

    private void Wait(long wake)
    {
        if (Interlocked.CompareExchange(ref _state, Running, Signalled) == Signalled)
        {
            return;
        }

        TimeSpan timeout = Timeout.InfiniteTimeSpan;
        if (wake != long.MaxValue)
        {
            long now = _time.GetTimestamp();
            if (wake <= now)
            {
                return;
            }

            // Rounded up: a wait in whole milliseconds that ended early would spin through the rest.
            timeout = TimeSpan.FromMilliseconds(Math.Ceiling(_time.GetElapsedTime(now, wake).TotalMilliseconds));
        }

        lock (_gate)
        {
            if (Interlocked.CompareExchange(ref _state, Asleep, Running) == Running)
            {
                Monitor.Wait(_gate, timeout);
            }

            Interlocked.Exchange(ref _state, Running);
        }
    }
}
