using MetaStore.Engine.Hosting;

namespace MetaStore.Engine.Tests;

/// <summary>Both ways of sleeping on a number, and a loop's thread over each. A wake-up that is lost is a test that never ends.</summary>
public sealed class WaitWordTests
{
    private const int Rounds = 20_000;

    public static TheoryData<string> Kinds { get; } = FutexWord.IsSupported ? new("monitor", "futex") : new("monitor");

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Nobody_sleeps_on_a_number_that_is_another_by_then(string kind)
    {
        WaitWord word = Make(kind);
        word.Value = 1;

        word.WaitWhile(2, Timeout.InfiniteTimeSpan);

        Assert.Equal(1, word.Value);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_sleep_ends_when_its_time_is_over(string kind) => Make(kind).WaitWhile(0, TimeSpan.FromMilliseconds(1.5));

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Two_threads_wake_each_other(string kind)
    {
        WaitWord mine = Make(kind);
        WaitWord theirs = Make(kind);
        var other = new Thread(() =>
        {
            for (int round = 1; round <= Rounds; round++)
            {
                WaitFor(mine, round);
                Give(theirs, round);
            }
        });
        other.Start();
        for (int round = 1; round <= Rounds; round++)
        {
            Give(mine, round);
            WaitFor(theirs, round);
        }

        other.Join();
        Assert.Equal(Rounds, mine.Value);
        Assert.Equal(Rounds, theirs.Value);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_loop_runs_for_every_signal_that_comes_when_it_has_gone_to_sleep(string kind)
    {
        Exception? failure = null;
        using var answered = new SemaphoreSlim(0);
        var loop = new EchoLoop(answered);
        using (var thread = new LoopThread(TimeProvider.System, (_, error) => failure = error, Make(kind)))
        {
            thread.Start(loop);
            for (int round = 0; round < Rounds; round++)
            {
                loop.Ask();
                thread.Set();
                answered.Wait();
            }
        }

        Assert.Null(failure);
        Assert.Equal(Rounds, loop.Answered);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_loop_runs_at_the_time_that_it_named(string kind)
    {
        using var ran = new SemaphoreSlim(0);
        using var thread = new LoopThread(TimeProvider.System, (_, _) => { }, Make(kind));

        thread.Start(new AlarmLoop(ran));

        ran.Wait();
    }

    private static WaitWord Make(string kind) => kind == "futex" ? new FutexWord() : new MonitorWord();

    private static void Give(WaitWord word, int value)
    {
        Volatile.Write(ref word.Value, value);
        word.WakeOne();
    }

    private static void WaitFor(WaitWord word, int value)
    {
        for (int seen = Volatile.Read(ref word.Value); seen < value; seen = Volatile.Read(ref word.Value))
        {
            word.WaitWhile(seen, Timeout.InfiniteTimeSpan);
        }
    }

    private sealed class EchoLoop(SemaphoreSlim answered) : ILoop
    {
        private int _asked;

        public int Answered { get; private set; }

        public string Name => "echo";

        public long NextWake => long.MaxValue;

        public void Ask() => Interlocked.Increment(ref _asked);

        public bool RunOnce()
        {
            if (Volatile.Read(ref _asked) == Answered)
            {
                return false;
            }

            Answered++;
            answered.Release();
            return true;
        }
    }

    private sealed class AlarmLoop(SemaphoreSlim ran) : ILoop
    {
        private readonly long _due = TimeProvider.System.GetTimestamp() + (TimeProvider.System.TimestampFrequency / 500);
        private bool _rung;

        public string Name => "alarm";

        public long NextWake => _rung ? long.MaxValue : _due;

        public bool RunOnce()
        {
            if (_rung || TimeProvider.System.GetTimestamp() < _due)
            {
                return false;
            }

            _rung = true;
            ran.Release();
            return true;
        }
    }
}
