namespace MetaStore.Wal;

/// <summary>
/// Group commit: writes queue up from any thread, and each step makes all that has queued durable with one sync. Holds no thread of its own:
/// whoever owns the log thread calls <see cref="RunOnce"/> whenever <c>wake</c> was called, and again until it returns false.
/// </summary>
public sealed class LogWriter
{
    private readonly WriteAheadLog _log;
    private readonly ILogWriteObserver _observer;
    private readonly Action? _wake;
    private readonly Action? _tidied;
    private readonly Lock _gate = new();
    private List<LogWrite> _queued = []; // guarded by _gate
    private List<LogWrite> _writing = []; // owned by the thread in RunOnce
    private bool _hasTidied = true; // owned by the thread in RunOnce
    private bool _hasMark; // likewise
    private Exception? _failure; // guarded by _gate

    /// <summary>A writer on <paramref name="log"/>, which nothing else may write to any more.</summary>
    /// <param name="log">The log. Its owner disposes it.</param>
    /// <param name="observer">Hears of each write that is durable, and of the failure, on the thread that calls <see cref="RunOnce"/>.</param>
    /// <param name="wake">Called on the enqueuing thread, outside any lock, after a write was queued.</param>
    /// <param name="tidied">Called by <see cref="RunOnce"/> when the segments behind a write have been seen to: how long the log is then is what it needs.</param>
    public LogWriter(WriteAheadLog log, ILogWriteObserver observer, Action? wake = null, Action? tidied = null)
    {
        _tidied = tidied;
        _log = log;
        _observer = observer;
        _wake = wake;
    }

    /// <summary>Queues a write. Writes become durable in the order in which they were queued. Any thread.</summary>
    /// <exception cref="WalPoisonedException">The log has failed; the write was not queued.</exception>
    public void Enqueue(LogWrite write)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                throw new WalPoisonedException(_failure);
            }

            _queued.Add(write);
        }

        _wake?.Invoke();
    }

    /// <summary>
    /// Makes everything queued durable and tells the observer of each. The call after that first, with nobody waiting to be told, releases segments that a new mark
    /// has freed and prepares the next one. A failure of the disk is told to the observer; any other exception is a bug, and thrown.
    /// </summary>
    /// <returns>False if nothing was queued, or the log has failed.</returns>
    public bool RunOnce()
    {
        try
        {
            Tidy();
            if (!TryTake())
            {
                return false;
            }

            _log.Write(_writing);
            _hasTidied = false;
            foreach (LogWrite write in _writing)
            {
                _hasMark |= write.Mark is not null;
                _observer.OnDurable(write);
            }

            _writing.Clear();
        }
        catch (Exception exception)
        {
            Fail(exception);
            if (exception is DiskException or WalPoisonedException)
            {
                _observer.OnFailed(exception);
                return true;
            }

            throw;
        }

        return true;
    }

    private bool TryTake()
    {
        lock (_gate)
        {
            if (_failure is not null || _queued.Count == 0)
            {
                return false;
            }

            (_queued, _writing) = (_writing, _queued);
            return true;
        }
    }

    private void Tidy()
    {
        if (_hasTidied)
        {
            return;
        }

        _hasTidied = true;
        if (_hasMark)
        {
            _hasMark = false;
            _log.ReleaseSegments();
        }

        _log.PrepareAhead();
        _tidied?.Invoke();
    }

    private void Fail(Exception exception)
    {
        lock (_gate)
        {
            _failure = exception;
            _queued.Clear();
        }

        _writing.Clear();
        _hasTidied = true; // of a log that has failed nothing is touched any more
    }
}
