namespace MetaStore.Engine.Hosting;

/// <summary>
/// Steps one loop on a thread of its own until it is stopped or the loop throws. While the loop is at rest, whoever signals it may step it instead (<see cref="LoopRelay"/>); what
/// that one leaves, and what time brings, is the own thread's.
/// </summary>
internal sealed class LoopThread : ILoopSignal, IDisposable
{
    /// <summary>How often a thread steps a loop that is not its own before it leaves the rest to the loop's thread.</summary>
    private const int BorrowedRunsMax = 4;

    private readonly LoopTurn _turn;
    private readonly TimeProvider _time;
    private readonly Action<string, Exception> _failed;
    private Thread? _thread;
    private Thread? _borrower;
    private ILoop? _loop;
    private long _wake; // what the own thread sleeps until; of whoever has the turn
    private volatile bool _stopping;

    public LoopThread(TimeProvider time, Action<string, Exception> failed)
        : this(time, failed, WaitWord.Create())
    {
    }

    internal LoopThread(TimeProvider time, Action<string, Exception> failed, WaitWord word)
    {
        _time = time;
        _failed = failed;
        _turn = new LoopTurn(word);
    }

    /// <summary>Whether another thread may step it, now.</summary>
    public bool IsBrief => _loop!.IsBrief;

    public bool IsSignalled => _turn.IsSignalled;

    /// <summary>For tests: nobody steps it and nothing has come.</summary>
    internal bool IsAtRest => _turn.IsAtRest;

    public void Start(ILoop loop)
    {
        _loop = loop;
        _thread = new Thread(() => Run(loop)) { Name = $"metastore-{loop.Name}", IsBackground = true };
        _thread.UnsafeStart();
    }

    /// <summary>What the own thread does. Apart from <see cref="Start"/> for tests that have threads of their own.</summary>
    internal void Run(ILoop loop)
    {
        _loop = loop;
        LoopRelay? relay = loop.EndsSoonAfterSignals ? LoopRelay.Begin() : null;
        try
        {
            while (!_stopping)
            {
                _turn.TakeSignal(); // What came before this is what the run looks at.
                bool worked = loop.RunOnce();
                relay?.StepAll(own: this);
                if (!worked && !_stopping)
                {
                    Wait(loop.NextWake);
                }
            }
        }
#pragma warning disable CA1031 // Whatever a loop throws, the node's state can no longer be trusted: it fails as a whole, with the cause.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _failed(loop.Name, error);
        }
        finally
        {
            relay?.End();
        }
    }

    public void Set()
    {
        if (_turn.Signal() && LoopRelay.Current?.TryTake(this) != true)
        {
            _turn.WakeOwner();
        }
    }

    public void SetOrRun()
    {
        if (LoopRelay.Current is not null)
        {
            Set();
        }
        else if (_turn.Signal())
        {
            if (!IsBrief)
            {
                _turn.WakeOwner();
                return;
            }

            LoopRelay relay = LoopRelay.Begin();
            try
            {
                StepBorrowed();
                relay.StepAll(own: null);
            }
            finally
            {
                relay.End();
            }
        }
    }

    /// <summary>Leaves the loop, which was signalled at rest, to its own thread.</summary>
    public void WakeOwner() => _turn.WakeOwner();

    /// <summary>Steps the loop, which was signalled at rest, on the calling thread.</summary>
    public void StepBorrowed()
    {
        if (!_turn.TryBorrow())
        {
            return;
        }

        _borrower = Thread.CurrentThread;
        bool isDone = false;
        try
        {
            isDone = RunToRest();
        }
#pragma warning disable CA1031 // As in Run: the loop's failure is the node's, and not that of the thread which happened to step it.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _stopping = true;
            _failed(_loop!.Name, error);
        }
        finally
        {
            if (!isDone)
            {
                _borrower = null;
                _turn.HandOver();
            }
        }
    }

    /// <summary>Lets the loop finish what it is doing, and returns when its thread has ended.</summary>
    public void Dispose()
    {
        _stopping = true;
        _turn.Signal();
        _turn.WakeOwner(); // In any case: who has the duty may be the thread that waits here.
        if (_thread is not null && _thread != Thread.CurrentThread && Volatile.Read(ref _borrower) != Thread.CurrentThread)
        {
            _thread.Join();
        }
    }

    /// <summary>True: it rests. False: the own thread is to go on.</summary>
    private bool RunToRest()
    {
        for (int i = 0; i < BorrowedRunsMax && !_stopping && IsBrief; i++)
        {
            if (_loop!.RunOnce())
            {
                continue;
            }

            if (_loop.NextWake < _wake)
            {
                return false; // It sleeps for longer than that.
            }

            _borrower = null;
            if (_turn.TryRest())
            {
                return true;
            }

            _borrower = Thread.CurrentThread;
            if (!_turn.TakeSignal())
            {
                return false;
            }
        }

        return false;
    }

    private void Wait(long wake)
    {
        if (_turn.TakeSignal())
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

        _wake = wake;
        _turn.Sleep(timeout);
    }
}
