namespace MetaStore.Engine.Hosting;

/// <summary>Steps one loop on a thread of its own until it is stopped or the loop throws.</summary>
internal sealed class LoopThread : ILoopSignal, IDisposable
{
    // The inbox signal: a waiting thread is woken only by the first Set after it went to sleep.
    private const int Running = 0;
    private const int Signalled = 1;
    private const int Asleep = 2;

    private readonly WaitWord _word;
    private readonly TimeProvider _time;
    private readonly Action<string, Exception> _failed;
    private Thread? _thread;
    private ILoop? _loop;
    private volatile bool _stopping;

    public LoopThread(TimeProvider time, Action<string, Exception> failed)
        : this(time, failed, WaitWord.Create())
    {
    }

    internal LoopThread(TimeProvider time, Action<string, Exception> failed, WaitWord word)
    {
        _time = time;
        _failed = failed;
        _word = word;
    }

    public void Start(ILoop loop)
    {
        _loop = loop;
        _thread = new Thread(Run) { Name = $"metastore-{loop.Name}", IsBackground = true };
        _thread.Start();
    }

    public void Set()
    {
        if (Interlocked.Exchange(ref _word.Value, Signalled) == Asleep)
        {
            _word.WakeOne();
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
        if (Interlocked.CompareExchange(ref _word.Value, Running, Signalled) == Signalled)
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

            timeout = _time.GetElapsedTime(now, wake);
        }

        if (Interlocked.CompareExchange(ref _word.Value, Asleep, Running) == Running)
        {
            _word.WaitWhile(Asleep, timeout);
        }

        Interlocked.Exchange(ref _word.Value, Running);
    }
}
