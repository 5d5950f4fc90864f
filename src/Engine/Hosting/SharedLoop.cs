using System.Collections.Concurrent;
using MetaStore.Engine.Replication;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// One loop for the loops of many groups: runs those that were signalled or whose time has come, and costs nothing for the others, however many
/// they are. Each has a <see cref="Seat"/> here, which is its signal.
/// </summary>
internal sealed class SharedLoop : ILoop
{
    private readonly ConcurrentQueue<Seat> _ready = new();
    private readonly PriorityQueue<Seat, (long Wake, long Order)> _timers = new();
    private readonly List<Seat> _seats = [];
    private readonly NodeFailure _failure;
    private readonly TimeProvider _time;
    private readonly ILoopSignal _signal;
    private long _order;

    /// <param name="name">The loop's name.</param>
    /// <param name="failure">Once the node has failed, all of them run, to tell whoever waits.</param>
    /// <param name="time">The clock of their <see cref="ILoop.NextWake"/>.</param>
    /// <param name="signal">Wakes whoever steps this loop.</param>
    public SharedLoop(string name, NodeFailure failure, TimeProvider time, ILoopSignal signal)
    {
        Name = name;
        _failure = failure;
        _time = time;
        _signal = signal;
    }

    public string Name { get; }

    /// <summary>Wakes whoever steps this loop.</summary>
    public ILoopSignal Signal => _signal;

    public long NextWake
    {
        get
        {
            while (_timers.TryPeek(out Seat? seat, out (long Wake, long Order) next))
            {
                if (seat.Wake == next.Wake)
                {
                    return next.Wake;
                }

                _timers.Dequeue(); // It has another time by now, or none.
            }

            return long.MaxValue;
        }
    }

    /// <summary>A place for one more loop; before the first run. The loop may need its signal before it is there itself.</summary>
    public Seat Reserve()
    {
        var seat = new Seat(this);
        _seats.Add(seat);
        return seat;
    }

    public bool RunOnce()
    {
        if (_failure.IsFailed)
        {
            // The marks first: whoever brings something while a loop runs for the last time wakes it once more.
            while (_ready.TryDequeue(out Seat? queued))
            {
                queued.TakeSignal();
            }

            foreach (Seat seat in _seats)
            {
                seat.Loop.RunOnce();
            }

            _timers.Clear(); // Nothing is due any more.
            return false;
        }

        // Those that have more to do queue up again behind the others: nobody starves.
        bool worked = false;
        for (int left = _ready.Count; left > 0 && _ready.TryDequeue(out Seat? seat); left--)
        {
            seat.TakeSignal();
            worked |= Run(seat);
        }

        long now = _time.GetTimestamp();
        while (_timers.TryPeek(out Seat? seat, out (long Wake, long Order) next) && next.Wake <= now)
        {
            _timers.Dequeue();
            if (seat.Wake == next.Wake)
            {
                seat.Wake = long.MaxValue;
                worked |= Run(seat);
            }
        }

        return worked;
    }

    private bool Run(Seat seat)
    {
        bool worked = seat.Loop.RunOnce();
        if (worked)
        {
            seat.Set();
        }

        long wake = seat.Loop.NextWake;
        if (wake != seat.Wake)
        {
            seat.Wake = wake;
            if (wake != long.MaxValue)
            {
                _timers.Enqueue(seat, (wake, _order++));
            }
        }

        return worked;
    }

    /// <summary>The place of one loop.</summary>
    internal sealed class Seat(SharedLoop shared) : ILoopSignal
    {
        private int _isQueued;

        public ILoop Loop { get; private set; } = null!;

        /// <summary>The only time in the timers that counts for it; owned by the shared loop.</summary>
        public long Wake { get; set; } = long.MaxValue;

        /// <summary>Seats the loop, and lets it run a first time.</summary>
        public void Take(ILoop loop)
        {
            Loop = loop;
            Set();
        }

        public void Set()
        {
            // Whoever finds it queued may go: the one that queued it signals after that, and the loop takes the mark off before it runs.
            if (Interlocked.Exchange(ref _isQueued, 1) == 0)
            {
                shared._ready.Enqueue(this);
                shared._signal.Set();
            }
        }

        public void TakeSignal() => Interlocked.Exchange(ref _isQueued, 0);
    }
}
