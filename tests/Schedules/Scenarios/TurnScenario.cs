using System.Collections.Concurrent;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What a <see cref="LoopThread"/> does, for it and its twins.</summary>
internal interface ITurns : ILoopSignal
{
    /// <summary>The own thread, until <see cref="Stop"/>.</summary>
    void Run(ILoop loop);

    void Stop();
}

internal sealed class RealTurns(TimeProvider time, Action<Exception> failed, WaitWord word) : ITurns
{
    private readonly LoopThread _thread = new(time, (_, error) => failed(error), word);

    public void Run(ILoop loop) => _thread.Run(loop);

    public void Set() => _thread.Set();

    public void SetOrRun() => _thread.SetOrRun();

    public void Stop() => _thread.Dispose();
}

/// <summary>
/// A loop with a thread of its own, and two callers who bring it work: one steps it itself where it rests, the other once leaves that to the own thread, and once brings something for which the
/// loop names a time. One steps the loop at a time, nothing that was brought stays undone, the time is kept, and the own thread hears of the end.
/// </summary>
internal sealed class TurnScenario(Func<TimeProvider, Action<Exception>, WaitWord, ITurns> create) : Scenario
{
    private const int Items = 4;
    private const int Timed = 1; // the item for which the loop names a time

    private readonly ConcurrentQueue<int> _inbox = new();
    private Clock _clock = null!;
    private Loop _loop = null!;
    private ITurns _turns = null!;
    private Exception? _failure;

    public override IReadOnlyList<string> Threads { get; } = ["own", "stepper", "signaller", "stopper"];

    public override void Begin()
    {
        _failure = null;
        _inbox.Clear();
        _clock = new Clock();
        _loop = new Loop(_inbox, _clock);
        _turns = create(_clock, error => _failure = error, new ScheduledWord(_clock.Advance));
    }

    public override void Run(int thread)
    {
        switch (thread)
        {
            case 0:
                _turns.Run(_loop);
                break;
            case 1:
                Bring(0, steps: true);
                Bring(0, steps: true);
                break;
            case 2:
                Bring(0, steps: false);
                Bring(Timed, steps: true);
                break;
            default:
                SchedulePoint.Await(() => (_loop.Done == Items && _loop.HasRung) || _failure is not null);
                _turns.Stop();
                break;
        }
    }

    public override void End() => Require(_failure is null, $"the loop has failed: {_failure?.Message}");

    private void Bring(int item, bool steps)
    {
        SchedulePoint.Hit();
        _inbox.Enqueue(item);
        if (steps)
        {
            _turns.SetOrRun();
        }
        else
        {
            _turns.Set();
        }
    }

    private sealed class Loop(ConcurrentQueue<int> inbox, Clock clock) : ILoop
    {
        private volatile bool _isStepped;
        private volatile int _done;
        private volatile bool _hasRung;

        public string Name => "loop";

        public long NextWake { get; private set; } = long.MaxValue;

        public bool IsBrief => true;

        public int Done => _done;

        public bool HasRung => _hasRung;

        public bool RunOnce()
        {
            Require(!_isStepped, "two threads step the loop");
            _isStepped = true;
            SchedulePoint.Hit();
            bool worked = Work();
            _isStepped = false;
            return worked;
        }

        private bool Work()
        {
            if (NextWake <= clock.GetTimestamp())
            {
                NextWake = long.MaxValue;
                _hasRung = true;
                return true;
            }

            if (!inbox.TryDequeue(out int item))
            {
                return false;
            }

            if (item == Timed)
            {
                NextWake = clock.GetTimestamp() + 1;
            }

            _done++;
            return true;
        }
    }

    /// <summary>Stands still but for sleeps that have an end.</summary>
    private sealed class Clock : TimeProvider
    {
        private long _now;

        public void Advance() => Interlocked.Increment(ref _now);

        public override long GetTimestamp() => Volatile.Read(ref _now);
    }
}
