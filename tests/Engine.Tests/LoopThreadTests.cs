using MetaStore.Engine.Hosting;

namespace MetaStore.Engine.Tests;

/// <summary>Loops that are stepped by whoever signals them, over both kinds of <see cref="WaitWord"/>. The order in which threads meet is the schedules' matter (tests/Schedules).</summary>
public sealed class LoopThreadTests
{
    public static TheoryData<string> Kinds { get; } = FutexWord.IsSupported ? new("monitor", "futex") : new("monitor");

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Who_signals_a_brief_loop_at_rest_finds_the_work_done(string kind)
    {
        var loop = new Loop { IsBrief = true };
        using LoopThread thread = Start(kind, loop);
        AwaitRest(thread, loop);

        for (int i = 1; i <= 1000; i++)
        {
            loop.Post();
            thread.SetOrRun();
            Assert.Equal(i, loop.Done);
            Assert.Equal(Environment.CurrentManagedThreadId, loop.LastThread);
        }
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_loop_that_is_not_brief_or_whose_caller_cannot_wait_is_stepped_by_its_own_thread(bool isBrief, bool mayRun)
    {
        var loop = new Loop { IsBrief = isBrief };
        using LoopThread thread = Start("monitor", loop);
        AwaitRest(thread, loop);

        loop.Post();
        if (mayRun)
        {
            thread.SetOrRun();
        }
        else
        {
            thread.Set();
        }

        loop.Await(1);
        Assert.NotEqual(Environment.CurrentManagedThreadId, loop.LastThread);
    }

    [Fact]
    public void What_a_loop_signals_is_stepped_behind_it_by_the_same_thread_and_not_within_it()
    {
        bool isWithin = false;
        bool wasWithin = false;
        var second = new Loop { IsBrief = true };
        using LoopThread secondThread = Start("monitor", second);
        second.Runs = () => wasWithin |= isWithin;
        var first = new Loop { IsBrief = true };
        first.Runs = () =>
        {
            isWithin = true;
            second.Post();
            secondThread.Set();
            isWithin = false;
        };
        using LoopThread firstThread = Start("monitor", first);
        AwaitRest(firstThread, first);
        AwaitRest(secondThread, second);

        first.Post();
        firstThread.SetOrRun();

        Assert.Equal((1, 1), (first.Done, second.Done));
        Assert.False(wasWithin);
        Assert.Equal(Environment.CurrentManagedThreadId, second.LastThread);
    }

    [Fact]
    public void The_own_thread_of_a_loop_that_has_more_to_do_leaves_what_it_has_signalled_to_others()
    {
        var second = new Loop { IsBrief = true };
        using LoopThread secondThread = Start("monitor", second);
        AwaitRest(secondThread, second);
        LoopThread? self = null;
        var first = new Loop { EndsSoonAfterSignals = true };
        first.Runs = () =>
        {
            second.Post();
            secondThread.Set();
            self!.Set(); // More to do.
        };
        using LoopThread firstThread = self = Make("monitor");
        firstThread.Start(first);
        AwaitRest(firstThread, first);

        first.Post();
        firstThread.Set();

        second.Await(1);
        Assert.NotEqual(first.LastThread, second.LastThread);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_time_that_a_borrowed_step_names_is_kept_by_the_own_thread(string kind)
    {
        var loop = new Loop { IsBrief = true };
        using LoopThread thread = Start(kind, loop);
        AwaitRest(thread, loop);
        loop.Runs = () => loop.Alarm = TimeProvider.System.GetTimestamp() + (TimeProvider.System.TimestampFrequency / 5);

        loop.Post();
        thread.SetOrRun();

        loop.AwaitRing();
        Assert.NotEqual(Environment.CurrentManagedThreadId, loop.LastThread);
    }

    [Fact]
    public void A_step_that_throws_fails_the_node_and_not_who_happened_to_take_it()
    {
        List<(string Loop, string Words)> failures = [];
        var loop = new Loop { IsBrief = true, Runs = () => throw new InvalidOperationException("no") };
        using var thread = new LoopThread(TimeProvider.System, (name, error) => failures.Add((name, error.Message)));
        thread.Start(loop);
        AwaitRest(thread, loop);

        loop.Post();
        thread.SetOrRun();

        Assert.Equal([("test", "no")], failures);
        loop.Runs = () => { };
        loop.Post();
        thread.SetOrRun();
        Assert.Equal(0, loop.Done);
    }

    [Fact]
    public void A_step_may_end_its_own_loop()
    {
        var loop = new Loop { IsBrief = true };
        LoopThread thread = Start("monitor", loop);
        AwaitRest(thread, loop);
        loop.Runs = thread.Dispose;

        loop.Post();
        thread.SetOrRun();

        Assert.Equal(1, loop.Done);
        thread.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Many_threads_step_one_loop_one_at_a_time_and_leave_nothing(string kind)
    {
        const int PerThread = 20_000;
        var loop = new Loop { IsBrief = true };
        using LoopThread thread = Start(kind, loop);
        int within = 0;
        int met = 0;
        loop.Runs = () =>
        {
            met |= Interlocked.Increment(ref within) - 1;
            Interlocked.Decrement(ref within);
        };

        await Task.WhenAll(Enumerable.Range(0, 4).Select(who => Task.Run(() =>
        {
            for (int i = 0; i < PerThread; i++)
            {
                loop.Post();
                if (who % 2 == 0)
                {
                    thread.SetOrRun();
                }
                else
                {
                    thread.Set();
                }
            }
        })));

        loop.Await(4 * PerThread);
        Assert.Equal(0, met);
    }

    private static LoopThread Make(string kind) =>
        new(TimeProvider.System, (_, error) => throw new InvalidOperationException("a loop has failed", error), kind == "futex" ? new FutexWord() : new MonitorWord());

    private static LoopThread Start(string kind, Loop loop)
    {
        LoopThread thread = Make(kind);
        thread.Start(loop);
        return thread;
    }

    /// <summary>Its own thread has gone to sleep.</summary>
    private static void AwaitRest(LoopThread thread, Loop loop) => Assert.True(SpinWait.SpinUntil(() => thread.IsAtRest, TimeSpan.FromMinutes(1)), $"{loop.Name} does not rest");

    private sealed class Loop : ILoop
    {
        private readonly SemaphoreSlim _rung = new(0);
        private int _posted;
        private volatile int _done;

        public string Name => "test";

        public long Alarm { get; set; } = long.MaxValue;

        public long NextWake => Alarm;

        public bool IsBrief { get; init; }

        public bool EndsSoonAfterSignals { get; init; }

        public Action Runs { get; set; } = () => { };

        public int Done => _done;

        public int LastThread { get; private set; }

        public void Post() => Interlocked.Increment(ref _posted);

        public void Await(int done) => Assert.True(SpinWait.SpinUntil(() => _done == done, TimeSpan.FromMinutes(1)), $"{_done} of {done}");

        public void AwaitRing() => Assert.True(_rung.Wait(TimeSpan.FromMinutes(1)));

        public bool RunOnce()
        {
            if (Alarm <= TimeProvider.System.GetTimestamp())
            {
                Alarm = long.MaxValue;
                LastThread = Environment.CurrentManagedThreadId;
                _rung.Release();
                return true;
            }

            if (Volatile.Read(ref _posted) == _done)
            {
                return false;
            }

            Runs();
            LastThread = Environment.CurrentManagedThreadId;
            _done++;
            return true;
        }
    }
}
