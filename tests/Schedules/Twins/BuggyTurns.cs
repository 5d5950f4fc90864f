using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum TurnBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>Who found nothing to do rests, whatever has come since it looked.</summary>
    RestsWhateverHasCome,

    /// <summary>Who signalled the loop at rest steps it, though its own thread may have taken the turn by then.</summary>
    BorrowsWithoutLooking,

    /// <summary>The own thread goes on as soon as its sleep is over.</summary>
    TakesABorrowedTurn,

    /// <summary>Who has borrowed the turn lets the loop rest, though its own thread waits for it.</summary>
    ForgetsWhoWaits,

    /// <summary>Who has borrowed the turn does not look for what the loop wants to be woken.</summary>
    IgnoresEarlierTimes,

    /// <summary>Who has borrowed the turn does not look whether the loop is to end.</summary>
    IgnoresTheEnd,

    /// <summary>The turn is handed over without a word.</summary>
    HandsOverSilently,
}

/// <summary>A frozen copy of <see cref="LoopThread"/> and <see cref="LoopTurn"/>, without the relay, with a bug.</summary>
internal sealed class BuggyTurns : ITurns
{
    private const int Resting = 0;
    private const int Taken = 1;
    private const int Signalled = 2;
    private const int Wanted = 4;
    private const int BorrowedRunsMax = 4;

    private readonly TimeProvider _time;
    private readonly Action<Exception> _failed;
    private readonly WaitWord _word;
    private readonly TurnBug _bug;
    private ILoop? _loop;
    private long _wake;
    private volatile bool _stopping;

    public BuggyTurns(TimeProvider time, Action<Exception> failed, WaitWord word, TurnBug bug)
    {
        (_time, _failed, _word, _bug) = (time, failed, word, bug);
        _word.Value = Taken;
    }

    public void Run(ILoop loop)
    {
        _loop = loop;
        try
        {
            while (!_stopping)
            {
                if (!loop.RunOnce() && !_stopping)
                {
                    Wait(loop.NextWake);
                }
            }
        }
        catch (Exception error)
        {
            _failed(error);
        }
    }

    public void Set()
    {
        if (Signal())
        {
            _word.WakeOne();
        }
    }

    public void SetOrRun()
    {
        if (!Signal() || !TryBorrow())
        {
            return;
        }

        bool isDone = false;
        try
        {
            isDone = RunToRest();
        }
        catch (Exception error)
        {
            _stopping = true;
            _failed(error);
        }

        if (!isDone)
        {
            SchedulePoint.Hit();
            Interlocked.Exchange(ref _word.Value, Signalled);
            if (_bug != TurnBug.HandsOverSilently)
            {
                _word.WakeOne();
            }
        }
    }

    public void Stop()
    {
        _stopping = true;
        Set();
    }

    private bool RunToRest()
    {
        for (int i = 0; i < BorrowedRunsMax && (!_stopping || _bug == TurnBug.IgnoresTheEnd); i++)
        {
            if (_loop!.RunOnce())
            {
                continue;
            }

            if (_loop.NextWake < _wake && _bug != TurnBug.IgnoresEarlierTimes)
            {
                return false;
            }

            if (TryRest())
            {
                return true;
            }

            if (!TakeSignal())
            {
                return false;
            }
        }

        return false;
    }

    private void Wait(long wake)
    {
        if (TakeSignal())
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
        if (TryRest())
        {
            _word.WaitWhile(Resting, timeout);
            TakeBack();
        }
    }

    private bool Signal()
    {
        SchedulePoint.Hit();
        return Interlocked.Or(ref _word.Value, Signalled) == Resting;
    }

    private bool TryBorrow()
    {
        SchedulePoint.Hit();
        return _bug == TurnBug.BorrowsWithoutLooking
            ? Interlocked.Exchange(ref _word.Value, Taken) >= 0
            : Interlocked.CompareExchange(ref _word.Value, Taken, Signalled) == Signalled;
    }

    private bool TryRest()
    {
        SchedulePoint.Hit();
        if (_bug == TurnBug.RestsWhateverHasCome)
        {
            return Interlocked.Exchange(ref _word.Value, Resting) >= 0;
        }

        return (_bug == TurnBug.ForgetsWhoWaits && Interlocked.CompareExchange(ref _word.Value, Resting, Taken | Wanted) == (Taken | Wanted))
            || Interlocked.CompareExchange(ref _word.Value, Resting, Taken) == Taken;
    }

    private bool TakeSignal()
    {
        SchedulePoint.Hit();
        return Interlocked.CompareExchange(ref _word.Value, Taken, Taken | Signalled) == (Taken | Signalled);
    }

    private void TakeBack()
    {
        while (true)
        {
            SchedulePoint.Hit();
            int seen = Volatile.Read(ref _word.Value);
            bool isFree = (seen & Taken) == 0 || _bug == TurnBug.TakesABorrowedTurn;
            int next = isFree ? Taken : seen | Wanted;
            SchedulePoint.Hit();
            if (Interlocked.CompareExchange(ref _word.Value, next, seen) != seen)
            {
                continue;
            }

            if (isFree)
            {
                return;
            }

            _word.WaitWhile(next, Timeout.InfiniteTimeSpan);
        }
    }
}
