using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;
using Xunit;

namespace MetaStore.Schedules;

/// <summary>The lock-free pieces under chosen schedules, and their twins with bugs, which must be caught by the same scenarios.</summary>
public sealed class ScheduleTests : IDisposable
{
    private const long Sampled = 10_000;
    private const long TwinSampled = 50_000;
    private const ulong FirstSeed = 1;

    private readonly Scheduler _scheduler = new();

    public static TheoryData<string> RealNames => [.. Catalogue.Real.Select(c => c.Name)];

    public static TheoryData<string> SoundTwinNames => [.. Catalogue.SoundTwins.Select(c => c.Name)];

    public static TheoryData<string> TwinNames => [.. Catalogue.Twins.Select(c => c.Name)];

    [Fact]
    public void The_memory_is_checked_where_the_schedules_run() => Assert.True(MemoryChecks.Enabled);

    [Theory]
    [MemberData(nameof(RealNames))]
    [MemberData(nameof(SoundTwinNames))]
    public void Every_schedule_with_few_preemptions_holds(string name)
    {
        Case c = Find(name);
        Exploration result = _scheduler.Explore(c.Create(), new ExhaustiveStrategy(c.Preemptions));
        Assert.True(result.Failure is null, Told(name, result));
        Assert.True(result.Schedules > 1, "there is nothing to choose");
    }

    [Theory]
    [MemberData(nameof(RealNames))]
    [MemberData(nameof(SoundTwinNames))]
    public void Random_schedules_hold(string name)
    {
        Exploration result = Sample(Find(name), Sampled);
        Assert.True(result.Failure is null, Told(name, result));
        Assert.Equal(Sampled, result.Schedules);
    }

    [Theory]
    [MemberData(nameof(TwinNames))]
    public void A_twin_with_a_bug_is_caught_and_its_schedule_fails_again(string name)
    {
        Case twin = Find(name);
        Exploration result = Sample(twin, TwinSampled);
        Assert.True(result.Failure is not null, $"{name}: not caught in {result.Schedules} schedules");
        for (int i = 0; i < 2; i++)
        {
            Exploration again = _scheduler.Explore(twin.Create(), new ReplayStrategy(Choices.Parse(result.Choices!)));
            Assert.Equal(result.Failure.Message, again.Failure?.Message);
        }
    }

    public void Dispose() => _scheduler.Dispose();

    private static Case Find(string name) => Catalogue.All.Single(c => c.Name == name);

    private static string Told(string name, Exploration result) => $"{result.Failure}\nschedule {result.Schedules}: ./build.sh schedules --scenario {name} --replay {result.Choices}";

    private Exploration Sample(Case c, long count) => _scheduler.Explore(c.Create(), new PctStrategy(FirstSeed, count, Runner.StepsOf(_scheduler, c)));
}
