using MetaStore.Engine.Memory;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// Whose turn it is to step a loop: its own thread's, or that of a thread which found the loop at rest and steps it in place of waking the other. One at a time, and
/// each sees all that the one before has done. Whatever is signalled is looked for by somebody after the signal.
/// </summary>
internal sealed class LoopTurn
{
    private const int Resting = 0;
    private const int Taken = 1; // somebody steps it
    private const int Signalled = 2; // something has come, and nobody has looked since
    private const int Wanted = 4; // somebody else steps it, and its own thread waits for the turn

    private readonly WaitWord _word;

    /// <summary>The turn is the own thread's to begin with.</summary>
    /// <param name="word">What the own thread sleeps on; nobody else's.</param>
    public LoopTurn(WaitWord word)
    {
        _word = word;
        _word.Value = Taken;
    }

    /// <summary>Whether something has come that nobody has looked for.</summary>
    public bool IsSignalled => (Volatile.Read(ref _word.Value) & Signalled) != 0;

    public bool IsAtRest => Volatile.Read(ref _word.Value) == Resting;

    /// <summary>Something has come. True: the loop was at rest, and it is the caller's duty to borrow the turn, or to wake the loop's own thread. Any thread.</summary>
    public bool Signal()
    {
        SchedulePoint.Hit();
        return Interlocked.Or(ref _word.Value, Signalled) == Resting;
    }

    /// <summary>For whom <see cref="Signal"/> told of the duty: true, the turn is the caller's; false, the own thread has taken it, and the duty is done.</summary>
    public bool TryBorrow()
    {
        SchedulePoint.Hit();
        return Interlocked.CompareExchange(ref _word.Value, Taken, Signalled) == Signalled;
    }

    /// <summary>For whom <see cref="Signal"/> told of the duty.</summary>
    public void WakeOwner() => _word.WakeOne();

    /// <summary>Whose turn it is has found nothing to do: the loop rests. False: something has come meanwhile, or the own thread waits.</summary>
    public bool TryRest()
    {
        SchedulePoint.Hit();
        return Interlocked.CompareExchange(ref _word.Value, Resting, Taken) == Taken;
    }

    /// <summary>Whose turn it is looks again. False: nothing has come, or the own thread waits.</summary>
    public bool TakeSignal()
    {
        SchedulePoint.Hit();
        return Interlocked.CompareExchange(ref _word.Value, Taken, Taken | Signalled) == (Taken | Signalled);
    }

    /// <summary>Who has borrowed the turn leaves it, and what there is to do, to the own thread.</summary>
    public void HandOver()
    {
        SchedulePoint.Hit();
        Interlocked.Exchange(ref _word.Value, Signalled);
        _word.WakeOne();
    }

    /// <summary>The own thread, whose turn it is, sleeps until it is woken or the time is over, and has the turn again. At once where something has come.</summary>
    public void Sleep(TimeSpan timeout)
    {
        if (TryRest())
        {
            _word.WaitWhile(Resting, timeout);
            TakeBack();
        }
    }

    private void TakeBack()
    {
        while (true)
        {
            SchedulePoint.Hit();
            int seen = Volatile.Read(ref _word.Value);
            bool isFree = (seen & Taken) == 0;
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
