using System.Numerics;

namespace MetaStore.Schedules.Scheduling;

/// <summary>What came of the schedules of a scenario.</summary>
/// <param name="Schedules">How many ran; the failing one is the last.</param>
/// <param name="StepsMax">Choices in the longest one.</param>
/// <param name="Failure">What went wrong; null where nothing did.</param>
/// <param name="Choices">The failing schedule, as <see cref="Scheduling.Choices"/> writes it.</param>
internal sealed record Exploration(long Schedules, int StepsMax, Exception? Failure, string? Choices);

/// <summary>
/// Runs real code on real threads of which one runs at a time. At each mark (<c>SchedulePoint</c>) a strategy says who goes on; where it is the one that
/// runs, the mark costs a call. The threads stay from schedule to schedule, and whoever ends last checks one and begins the next, so that a schedule costs little
/// more than its switches.
/// <para>
/// Only the thread whose turn it is touches the fields; its gate orders that against the next one's turn.
/// </para>
/// </summary>
internal sealed class Scheduler : IDisposable
{
    public const int WorkersMax = 4;

    /// <summary>A schedule that takes more marks does not end.</summary>
    private const int MarksMax = 20_000;

    private readonly Worker[] _workers = new Worker[WorkersMax];
    private readonly Choices _choices = new();
    private readonly object?[] _awaited = new object?[WorkersMax];
    private readonly List<(object Gate, int Owner)> _owned = [];
    private readonly ManualResetEventSlim _done = new();
    private Scenario _scenario = null!;
    private IStrategy _strategy = null!;
    private List<string>? _trace;
    private Exception? _failure;
    private long _schedules;
    private int _stepsMax;
    private int _marks;
    private uint _unfinished;
    private uint _started;
    private uint _waiting;
    private bool _isRunning;
    private bool _isDraining;

    public Scheduler()
    {
        for (int i = 0; i < WorkersMax; i++)
        {
            _workers[i] = new Worker(this, i);
        }
    }

    public bool IsEnding { get; private set; }

    /// <summary>Runs schedules until the strategy has none left or one fails. Fills <paramref name="trace"/>, where there is one, with every mark that was passed.</summary>
    public Exploration Explore(Scenario scenario, IStrategy strategy, List<string>? trace = null)
    {
        (_scenario, _strategy, _trace) = (scenario, strategy, trace);
        (_failure, _schedules, _stepsMax) = (null, 0, 0);
        _done.Reset();
        int first = BeginNext();
        if (first >= 0)
        {
            _workers[first].Gate.Open();
            _done.Wait();
        }

        return new Exploration(_schedules, _stepsMax, _failure, _failure is null ? null : _choices.ToString());
    }

    public void Dispose()
    {
        IsEnding = true;
        foreach (Worker worker in _workers)
        {
            worker.Gate.Open();
            worker.Dispose();
        }

        _done.Dispose();
    }

    /// <summary>A worker's turn to run its logical thread; again and again while the next schedule begins with it too.</summary>
    public void RunBody(Worker me)
    {
        int next;
        do
        {
            _started |= 1u << me.Index;
            try
            {
                if (!_isDraining)
                {
                    _scenario.Run(me.Index);
                }
            }
            catch (Exception e)
            {
                Fail(e);
            }

            next = Finish(me);
        }
        while (next == me.Index);
        if (next >= 0)
        {
            _workers[next].Gate.Open();
        }
        else
        {
            _done.Set();
        }
    }

    /// <summary>A mark: whoever is chosen goes on.</summary>
    public void Step(Worker me, string file, string member)
    {
        if (!IsLive())
        {
            return;
        }

        Note(me, file, member);
        uint enabled = Enabled();
        if (enabled != 1u << me.Index)
        {
            GoOn(me, enabled);
        }
    }

    public void Lock(Worker me, object gate, string file, string member)
    {
        if (!IsLive())
        {
            return;
        }

        AwaitFree(me, gate, file, member);
        _owned.Add((gate, me.Index));
    }

    public void Own(Worker me, object gate)
    {
        if (IsLive())
        {
            _owned.Add((gate, me.Index));
        }
    }

    public void Unlock(Worker me, object gate)
    {
        if (_isRunning)
        {
            Invariant.Check(_owned.Remove((gate, me.Index)), "what was never locked is unlocked");
        }
    }

    public void AwaitFree(Worker me, object gate, string file, string member) => Wait(me, gate, file, member);

    public void Await(Worker me, Func<bool> condition, string file, string member) => Wait(me, condition, file, member);

    /// <summary>A thread goes on once what it waits for is so. Until then nobody counts it a preemption that another runs.</summary>
    private void Wait(Worker me, object awaited, string file, string member)
    {
        if (!IsLive())
        {
            return;
        }

        Note(me, file, member);
        _awaited[me.Index] = awaited;
        _waiting |= 1u << me.Index;
        uint enabled = Enabled();
        if (enabled != 1u << me.Index)
        {
            GoOn(me, enabled);
        }

        _waiting &= ~(1u << me.Index);
        _awaited[me.Index] = null;
    }

    /// <summary>Marks count only while a schedule runs; once it has failed they end whoever comes to them.</summary>
    private bool IsLive()
    {
        if (_isDraining)
        {
            throw new ScheduleEndedException();
        }

        return _isRunning;
    }

    private void Note(Worker me, string file, string member)
    {
        _trace?.Add($"{_scenario.Threads[me.Index]}: {Path.GetFileNameWithoutExtension(file)}.{member}");
        if (++_marks > MarksMax)
        {
            throw new WrongException($"the schedule does not end: {MarksMax} marks");
        }
    }

    private void GoOn(Worker me, uint enabled)
    {
        if (enabled == 0)
        {
            throw new WrongException("all threads wait");
        }

        int next = _strategy.Choose(me.Index, enabled);
        _choices.Add(next);
        if (next != me.Index)
        {
            _workers[next].Gate.Open();
            me.Gate.Pass();
            if (_isDraining)
            {
                throw new ScheduleEndedException();
            }
        }
    }

    private uint Enabled()
    {
        if (_waiting == 0)
        {
            return _unfinished;
        }

        uint enabled = _unfinished & ~_waiting;
        _isRunning = false; // Conditions pass marks.
        for (uint rest = _unfinished & _waiting; rest != 0; rest &= rest - 1)
        {
            int thread = BitOperations.TrailingZeroCount(rest);
            bool isSo = _awaited[thread] is Func<bool> condition ? condition() : IsFree(_awaited[thread]!, thread);
            enabled |= isSo ? 1u << thread : 0;
        }

        _isRunning = true;
        return enabled;
    }

    private bool IsFree(object gate, int thread)
    {
        foreach ((object Gate, int Owner) owned in _owned)
        {
            if (ReferenceEquals(owned.Gate, gate) && owned.Owner != thread)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Who goes on behind a thread that has ended; -1 where all schedules are done.</summary>
    private int Finish(Worker me)
    {
        _unfinished &= ~(1u << me.Index);
        if (_unfinished != 0 && !_isDraining)
        {
            uint enabled = Enabled();
            if (enabled != 0)
            {
                return Pick(me.Index, enabled);
            }

            Fail(new WrongException("all threads wait"));
        }

        if (_isDraining)
        {
            _unfinished &= _started; // Whoever has not begun need not.
        }

        if (_unfinished != 0)
        {
            return BitOperations.TrailingZeroCount(_unfinished);
        }

        EndSchedule();
        return _failure is null ? BeginNext() : -1;
    }

    private int Pick(int current, uint enabled)
    {
        if (BitOperations.IsPow2(enabled))
        {
            return BitOperations.TrailingZeroCount(enabled);
        }

        int next = _strategy.Choose(current, enabled);
        _choices.Add(next);
        return next;
    }

    private void EndSchedule()
    {
        _isRunning = false;
        _isDraining = false;
        _stepsMax = Math.Max(_stepsMax, _choices.Count);
        try
        {
            if (_failure is null)
            {
                _scenario.End();
                _strategy.End();
            }
        }
        catch (Exception e)
        {
            _failure = e;
        }

        _scenario.Discard();
    }

    private int BeginNext()
    {
        int threads = _scenario.Threads.Count;
        if (!_strategy.TryBegin(threads))
        {
            return -1;
        }

        _schedules++;
        _choices.Clear();
        _owned.Clear();
        (_marks, _started, _waiting) = (0, 0, 0);
        try
        {
            _scenario.Begin();
        }
        catch (Exception e)
        {
            _failure = e;
            _scenario.Discard();
            return -1;
        }

        _unfinished = (1u << threads) - 1;
        _isRunning = true;
        return Pick(threads, _unfinished);
    }

    private void Fail(Exception e)
    {
        _failure ??= e is ScheduleEndedException ? _failure : e;
        _isDraining = true;
        _isRunning = false;
    }

    /// <summary>Ends a thread of a schedule that has failed.</summary>
    private sealed class ScheduleEndedException : Exception;
}
