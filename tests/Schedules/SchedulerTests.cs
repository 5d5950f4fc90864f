using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;
using Xunit;

namespace MetaStore.Schedules;

/// <summary>The scheduler itself: it tries what there is, once, and finds what can be found.</summary>
public sealed class SchedulerTests : IDisposable
{
    private const int NoBound = int.MaxValue;

    private readonly Scheduler _scheduler = new();

    [Theory]
    [InlineData(1, 6)]
    [InlineData(2, 20)]
    [InlineData(3, 70)]
    [InlineData(5, 924)]
    public void Without_a_bound_each_interleaving_comes_once(int marks, int interleavings)
    {
        var seen = new HashSet<string>();
        var order = new List<int>();
        var scenario = new Steps(
            begin: order.Clear,
            end: () => Assert.True(seen.Add(string.Concat(order))),
            thread => Pass(marks, () => order.Add(thread)),
            thread => Pass(marks, () => order.Add(thread)));
        Exploration result = _scheduler.Explore(scenario, new ExhaustiveStrategy(NoBound));
        Assert.Null(result.Failure);
        Assert.Equal(interleavings, result.Schedules);
        Assert.Equal(interleavings, seen.Count);
    }

    [Fact]
    public void A_bound_leaves_out_what_has_more_preemptions()
    {
        const int Marks = 4;
        var scenario = new Steps(null, null, _ => Pass(Marks), _ => Pass(Marks));
        Assert.Equal(2, _scheduler.Explore(scenario, new ExhaustiveStrategy(0)).Schedules);

        // Either thread first, and one preemption at any of its marks or none; then the other runs to its end.
        Assert.Equal(2 * (Marks + 1), _scheduler.Explore(scenario, new ExhaustiveStrategy(1)).Schedules);
    }

    [Fact]
    public void A_lost_update_is_found_and_shown_again()
    {
        int counter = 0;
        var scenario = new Steps(() => counter = 0, () => Assert.Equal(2, counter), Increment, Increment);
        Exploration enumerated = _scheduler.Explore(scenario, new ExhaustiveStrategy(1));
        Exploration sampled = _scheduler.Explore(scenario, new PctStrategy(1, 1000, 4));
        Assert.NotNull(enumerated.Failure);
        Assert.NotNull(sampled.Failure);
        Assert.NotNull(_scheduler.Explore(scenario, new ReplayStrategy(Choices.Parse(enumerated.Choices!))).Failure);
        Assert.NotNull(_scheduler.Explore(scenario, new ReplayStrategy(Choices.Parse(sampled.Choices!))).Failure);

        void Increment(int thread)
        {
            int read = counter;
            SchedulePoint.Hit();
            counter = read + 1;
        }
    }

    [Fact]
    public void Random_schedules_come_to_the_same_from_the_same_seed()
    {
        Assert.Equal(Orders(7), Orders(7));
        Assert.NotEqual(Orders(7), Orders(8));

        string Orders(ulong seed)
        {
            var order = new List<int>();
            var scenario = new Steps(null, null, thread => Pass(5, () => order.Add(thread)), thread => Pass(5, () => order.Add(thread)), thread => Pass(5, () => order.Add(thread)));
            Assert.Equal(50, _scheduler.Explore(scenario, new PctStrategy(seed, 50, 15)).Schedules);
            return string.Concat(order);
        }
    }

    [Fact]
    public void A_lock_keeps_others_out_and_a_wait_lets_them_in()
    {
        object gate = new();
        int inside = 0;
        var scenario = new Steps(null, null, Enter, Enter, Enter);
        Exploration result = _scheduler.Explore(scenario, new ExhaustiveStrategy(NoBound));
        Assert.Null(result.Failure);
        Assert.True(result.Schedules > 6);

        void Enter(int thread)
        {
            SchedulePoint.Lock(gate);
            lock (gate)
            {
                Assert.Equal(1, ++inside);
                SchedulePoint.Hit();
                inside--;
                SchedulePoint.Unlock(gate);
            }
        }
    }

    [Fact]
    public void Who_waits_for_another_sees_what_it_did()
    {
        bool isSet = false;
        var scenario = new Steps(() => isSet = false, null, Wait, Set);
        Assert.Null(_scheduler.Explore(scenario, new ExhaustiveStrategy(NoBound)).Failure);

        void Wait(int thread)
        {
            SchedulePoint.Await(() => isSet);
            Assert.True(isSet);
        }

        void Set(int thread)
        {
            SchedulePoint.Hit();
            isSet = true;
        }
    }

    [Fact]
    public void Threads_that_all_wait_and_threads_that_never_end_are_failures()
    {
        object first = new();
        object second = new();
        Exploration deadlock = _scheduler.Explore(new Steps(null, null, _ => LockBoth(first, second), _ => LockBoth(second, first)), new ExhaustiveStrategy(1));
        Assert.Equal("all threads wait", deadlock.Failure?.Message);

        Exploration endless = _scheduler.Explore(new Steps(null, null, _ => Pass(int.MaxValue), _ => Pass(1)), new ExhaustiveStrategy(1));
        Assert.Contains("does not end", endless.Failure?.Message, StringComparison.Ordinal);

        // And it goes on afterwards.
        Assert.Null(_scheduler.Explore(new Steps(null, null, _ => Pass(1), _ => Pass(1)), new ExhaustiveStrategy(1)).Failure);

        static void LockBoth(object one, object other)
        {
            SchedulePoint.Lock(one);
            SchedulePoint.Lock(other);
            SchedulePoint.Unlock(other);
            SchedulePoint.Unlock(one);
        }
    }

    [Fact]
    public void Choices_are_written_and_read()
    {
        var choices = Choices.Parse("0x3,1,2x2");
        Assert.Equal(6, choices.Count);
        Assert.Equal("0x3,1,2x2", choices.ToString());
    }

    public void Dispose() => _scheduler.Dispose();

    private static void Pass(int marks, Action? step = null)
    {
        step?.Invoke();
        for (int i = 0; i < marks; i++)
        {
            SchedulePoint.Hit();
            step?.Invoke();
        }
    }

    private sealed class Steps(Action? begin, Action? end, params Action<int>[] threads) : Scenario
    {
        public override IReadOnlyList<string> Threads { get; } = [.. threads.Select((_, i) => $"thread {i}")];

        public override void Begin() => begin?.Invoke();

        public override void Run(int thread) => threads[thread](thread);

        public override void End() => end?.Invoke();
    }
}
