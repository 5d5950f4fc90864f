using System.Runtime.ExceptionServices;

namespace MetaStore.Simulation;

/// <summary>
/// The one clock and the one queue of everything that will happen. Events of one moment run in the order in which they were
/// scheduled, so a run is a function of its seed. Times are nanoseconds since the run began.
/// </summary>
internal sealed class VirtualTime
{
    public const long Microsecond = 1_000;
    public const long Millisecond = 1_000_000;
    public const long Second = 1_000_000_000;

    private readonly PriorityQueue<Event, UInt128> _events = new(); // By time, and within a time by order.
    private ulong _order;
    private ExceptionDispatchInfo? _thrown;

    public long Now { get; private set; }

    /// <summary>Events run so far: the total order of the run.</summary>
    public long Step { get; private set; }

    public void At(long time, Action action) => _events.Enqueue(new Event(action), new UInt128((ulong)Math.Max(time, Now), _order++));

    public void After(long delay, Action action) => At(Now + delay, action);

    /// <summary>Runs the next event; false where none is left.</summary>
    public bool RunNext()
    {
        if (!_events.TryDequeue(out Event next, out UInt128 at))
        {
            return false;
        }

        Now = (long)(at >> 64);
        Step++;
        next.Action();
        _thrown?.Throw();
        return true;
    }

    /// <summary>What is to run when an operation ends. Of what it throws the run ends, as if the event had thrown it: a task would throw it at nobody, on another thread.</summary>
    public Action Continuation(Action action) => () =>
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            _thrown ??= ExceptionDispatchInfo.Capture(e);
        }
    };

    /// <summary>A value, so that the queue is compiled for it alone.</summary>
    private readonly record struct Event(Action Action);
}

/// <summary>A node's own monotonic clock: runs fast or slow by a fixed rate, jumps forward when told to, and counts on through restarts.</summary>
internal sealed class DriftingClock(VirtualTime time, double rate, long offset) : TimeProvider
{
    private long _offset = offset;

    public override long TimestampFrequency => VirtualTime.Second;

    public override long GetTimestamp() => _offset + (long)(time.Now * rate);

    /// <summary>Jumps forward: this clock never goes back.</summary>
    public void Jump(long by) => _offset += by;

    /// <summary>The run's time at which this clock will show the timestamp, rounded up.</summary>
    public long ToRunTime(long timestamp) => (long)Math.Ceiling((timestamp - _offset) / rate) + 1;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp() / 100);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new NotSupportedException("Timers run outside the simulation; the loops take their time from NextWake.");
}

/// <summary>The clock of clients: right, and with timers, which fire as events of the run.</summary>
internal sealed class ClientClock(VirtualTime time) : TimeProvider
{
    public override long TimestampFrequency => VirtualTime.Second;

    public override long GetTimestamp() => time.Now;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp() / 100);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(time, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(VirtualTime time, Action callback) : ITimer
    {
        private int _set;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (period != Timeout.InfiniteTimeSpan)
            {
                throw new NotSupportedException("Timers of clients fire once.");
            }

            int set = ++_set;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                time.After((long)dueTime.TotalNanoseconds, () =>
                {
                    if (set == _set)
                    {
                        callback();
                    }
                });
            }

            return true;
        }

        public void Dispose() => _set++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
