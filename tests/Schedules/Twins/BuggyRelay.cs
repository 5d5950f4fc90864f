using MetaStore.Engine.Hosting;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum RelayBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>Who has stepped often enough, or has something to do of its own, forgets what it has taken over.</summary>
    ForgetsWhatItTook,

    /// <summary>What is signalled while a loop is stepped is stepped at once, within it.</summary>
    StepsWithin,

    /// <summary>Who signals a loop that is not for others to step does nothing more about it.</summary>
    LeavesWhatIsNotBrief,

    /// <summary>Who steps a loop that was signalled steps it whoever has its turn.</summary>
    StepsWithoutTheTurn,
}

/// <summary>A frozen copy of <see cref="LoopThread"/> with its <see cref="LoopRelay"/>, on the turns that ship, with a bug.</summary>
internal sealed class BuggyRelay(WaitWord word, Action<Exception> failed, RelayBug bug) : IRelayed
{
    private const int BorrowedRunsMax = 4;

    private readonly LoopTurn _turn = new(word);
    private ILoop? _loop;
    private long _wake;
    private volatile bool _stopping;

    public void Run(ILoop loop)
    {
        _loop = loop;
        Relay? relay = loop.EndsSoonAfterSignals ? Relay.Begin(bug) : null;
        try
        {
            while (!_stopping)
            {
                _turn.TakeSignal();
                bool worked = loop.RunOnce();
                relay?.StepAll(own: this);
                if (!worked && !_stopping && !_turn.TakeSignal())
                {
                    _wake = loop.NextWake;
                    _turn.Sleep(Timeout.InfiniteTimeSpan);
                }
            }
        }
        catch (Exception error)
        {
            failed(error);
        }
        finally
        {
            relay?.End();
        }
    }

    public void Set()
    {
        if (_turn.Signal() && Relay.Current?.TryTake(this) != true)
        {
            _turn.WakeOwner();
        }
    }

    public void SetOrRun()
    {
        if (Relay.Current is not null)
        {
            Set();
        }
        else if (_turn.Signal())
        {
            if (!_loop!.IsBrief)
            {
                _turn.WakeOwner();
                return;
            }

            Relay relay = Relay.Begin(bug);
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

    public void Dispose()
    {
        _stopping = true;
        _turn.Signal();
        _turn.WakeOwner();
    }

    private void StepBorrowed()
    {
        if (!_turn.TryBorrow() && bug != RelayBug.StepsWithoutTheTurn)
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
            failed(error);
        }
        finally
        {
            if (!isDone)
            {
                _turn.HandOver();
            }
        }
    }

    private bool RunToRest()
    {
        for (int i = 0; i < BorrowedRunsMax && !_stopping && _loop!.IsBrief; i++)
        {
            if (_loop.RunOnce())
            {
                continue;
            }

            if (_loop.NextWake < _wake)
            {
                return false;
            }

            if (_turn.TryRest())
            {
                return true;
            }

            if (!_turn.TakeSignal())
            {
                return false;
            }
        }

        return false;
    }

    private sealed class Relay(RelayBug bug)
    {
        private const int LoopsMax = 4;
        private const int StepsMax = 4;

        private readonly BuggyRelay?[] _loops = new BuggyRelay?[LoopsMax];
        private int _count;

        [field: ThreadStatic]
        public static Relay? Current { get; private set; }

        public static Relay Begin(RelayBug bug) => Current = new Relay(bug);

        public void End()
        {
            Current = null;
            WakeOwners();
        }

        public bool TryTake(BuggyRelay loop)
        {
            if (bug == RelayBug.LeavesWhatIsNotBrief && !loop._loop!.IsBrief)
            {
                return true;
            }

            if (_count == LoopsMax || !loop._loop!.IsBrief)
            {
                return false;
            }

            if (bug == RelayBug.StepsWithin)
            {
                loop.StepBorrowed();
                return true;
            }

            _loops[_count++] = loop;
            return true;
        }

        public void StepAll(BuggyRelay? own)
        {
            for (int steps = 0; _count > 0; steps++)
            {
                if (own is null ? steps == StepsMax : own._turn.IsSignalled)
                {
                    WakeOwners();
                    return;
                }

                Take().StepBorrowed();
            }
        }

        private void WakeOwners()
        {
            while (_count > 0)
            {
                BuggyRelay loop = Take();
                if (bug != RelayBug.ForgetsWhatItTook)
                {
                    loop._turn.WakeOwner();
                }
            }
        }

        private BuggyRelay Take()
        {
            BuggyRelay loop = _loops[--_count]!;
            _loops[_count] = null;
            return loop;
        }
    }
}
