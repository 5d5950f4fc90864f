using System.Collections.Concurrent;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What a <see cref="LoopThread"/> does beside others, for it and its twins.</summary>
internal interface IRelayed : ILoopSignal, IDisposable
{
    /// <summary>The own thread, until it is disposed.</summary>
    void Run(ILoop loop);
}

internal sealed class RealRelayed(WaitWord word, Action<Exception> failed) : IRelayed
{
    private readonly LoopThread _thread = new(TimeProvider.System, (_, error) => failed(error), word);

    public void Run(ILoop loop) => _thread.Run(loop);

    public void Set() => _thread.Set();

    public void SetOrRun() => _thread.SetOrRun();

    public void Dispose() => _thread.Dispose();
}

/// <summary>
/// Two loops with a thread each, as the node loop and the applier: what is brought to the first it hands on to the second, which whoever steps the first steps next, unless the first has more to do. A caller
/// steps, another signals. Nothing stays undone, a loop is stepped by one at a time and never within the other, and both threads hear of the end.
/// </summary>
/// <param name="create">Makes what steps a loop.</param>
/// <param name="secondIsBrief">Whether the second may be stepped by others.</param>
internal sealed class RelayScenario(Func<WaitWord, Action<Exception>, IRelayed> create, bool secondIsBrief) : Scenario
{
    private const int Items = 3;

    [ThreadStatic]
    private static int t_depth;

    private readonly IRelayed[] _threads = new IRelayed[2];
    private readonly Loop[] _loops = new Loop[2];
    private Exception? _failure;

    public override IReadOnlyList<string> Threads { get; } = ["first", "second", "stepper", "signaller"];

    public override void Begin()
    {
        _failure = null;
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = create(new ScheduledWord(() => { }), error => _failure = error);
        }

        _loops[1] = new Loop("second", secondIsBrief, endsSoonAfterSignals: false, _ => { });
        _loops[0] = new Loop("first", isBrief: true, endsSoonAfterSignals: true, HandOn);
    }

    public override void Run(int thread)
    {
        t_depth = 0;
        switch (thread)
        {
            case 0 or 1:
                _threads[thread].Run(_loops[thread]);
                break;
            case 2:
                _loops[0].Inbox.Enqueue(1);
                _threads[0].SetOrRun();
                _loops[0].Inbox.Enqueue(2);
                _threads[0].SetOrRun();
                break;
            default:
                _loops[0].Inbox.Enqueue(3);
                _threads[0].Set();
                SchedulePoint.Await(() => _loops[1].Done == Items || _failure is not null);
                Array.ForEach(_threads, stopped => stopped.Dispose());
                break;
        }
    }

    public override void End() => Require(_failure is null, $"a loop has failed: {_failure?.Message}");

    private void HandOn(int item)
    {
        _loops[1].Inbox.Enqueue(item);
        _threads[1].Set();
    }

    private sealed class Loop(string name, bool isBrief, bool endsSoonAfterSignals, Action<int> work) : ILoop
    {
        private volatile bool _isStepped;
        private volatile int _done;

        public ConcurrentQueue<int> Inbox { get; } = new();

        public string Name => name;

        public long NextWake => long.MaxValue;

        public bool IsBrief => isBrief;

        public bool EndsSoonAfterSignals => endsSoonAfterSignals;

        public int Done => _done;

        public bool RunOnce()
        {
            Require(!_isStepped, $"two threads step the {name} loop");
            _isStepped = true;
            Require(++t_depth == 1, $"the {name} loop is stepped within another");
            SchedulePoint.Hit();
            bool worked = Inbox.TryDequeue(out int item);
            if (worked)
            {
                work(item);
                _done++;
            }

            t_depth--;
            _isStepped = false;
            return worked;
        }
    }
}
