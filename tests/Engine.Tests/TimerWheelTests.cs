using MetaStore.Engine.Leases;

namespace MetaStore.Engine.Tests;

/// <summary>The timer wheel against the plainest timer there is: a sorted list.</summary>
public sealed class TimerWheelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void WhatIsDue_Fires_WhenAndOnlyWhenItsTimeHasCome(int seed)
    {
        var random = new Random(seed);
        long now = random.NextInt64(1L << random.Next(1, 40));
        var wheel = new TimerWheel(now);
        var waiting = new SortedSet<(long Due, int Number)>();
        var timers = new List<Numbered>();
        for (int step = 0; step < 4000; step++)
        {
            switch (random.Next(4))
            {
                case 0 or 1:
                    long due = now + random.NextInt64(-5, 1L << random.Next(3, 45));
                    var timer = new Numbered(timers.Count);
                    timers.Add(timer);
                    wheel.Add(timer, due);
                    waiting.Add((Math.Max(due, now + 1), timer.Number));
                    break;
                case 2 when waiting.Count > 0:
                    (long Due, int Number) removed = waiting.ElementAt(random.Next(waiting.Count));
                    waiting.Remove(removed);
                    wheel.Remove(timers[removed.Number]);
                    break;
                default:
                    now += random.NextInt64(1L << random.Next(1, waiting.Count > 20 ? 22 : 10));
                    Fire(wheel, now, waiting);
                    break;
            }

            Assert.Equal(waiting.Count, wheel.Count);
        }
    }

    [Fact]
    public void ATimerThatIsAddedWhileOthersFire_WaitsForTheNextTick()
    {
        var wheel = new TimerWheel(0);
        var timer = new Numbered(0);
        wheel.Add(timer, 63);
        var fired = new List<long>();
        wheel.Advance(70, again =>
        {
            fired.Add(wheel.Now);
            wheel.Add(again, wheel.Now);
        });
        Assert.Equal([63, 64, 65, 66, 67, 68, 69, 70], fired);
    }

    private static void Fire(TimerWheel wheel, long now, SortedSet<(long Due, int Number)> waiting)
    {
        var fired = new List<(long Due, int Number)>();
        wheel.Advance(now, timer =>
        {
            Assert.Equal(timer.Due, wheel.Now);
            fired.Add((timer.Due, ((Numbered)timer).Number));
        });
        (long Due, int Number)[] expected = [.. waiting.TakeWhile(timer => timer.Due <= now)];
        Assert.Equal(expected.Select(timer => timer.Due), fired.Select(timer => timer.Due));
        Assert.Equal(expected.Order(), fired.Order());
        waiting.ExceptWith(expected);
    }

    private sealed class Numbered(int number) : Timed
    {
        public int Number { get; } = number;
    }
}
