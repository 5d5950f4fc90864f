using MetaStore.Schedules.RealThreads;
using MetaStore.Schedules.Scenarios;
using MetaStore.Schedules.Scheduling;
using MetaStore.Schedules.Twins;
using Xunit;

namespace MetaStore.Schedules;

/// <summary>The same scenarios on threads that run freely, and the fences by themselves: a schedule has one order of all accesses, a processor has not.</summary>
public sealed class RealThreadTests
{
    private static readonly TimeSpan s_stress = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_litmus = TimeSpan.FromSeconds(2);

    /// <summary>How long a twin has, on a machine that is busy with other things. It takes milliseconds where two processors are free.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    public static TheoryData<string> RealNames => [.. Catalogue.Real.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(RealNames))]
    public void Threads_that_run_freely_break_nothing(string name) =>
        Assert.True(FreeRun.For(Catalogue.Real.Single(c => c.Name == name).Create(), s_stress) > 0);

    [Fact]
    public void Threads_that_run_freely_find_a_bug_that_is_everywhere() =>
        Assert.Throws<WrongException>(() => FreeRun.For(new ReclaimScenario(() => new BuggyReclaimer(ReclaimBug.ForgetsWhatWaits), readers: 3), s_patience));

    [Fact]
    public void A_reader_that_enters_and_a_writer_that_looks_never_miss_each_other() =>
        Assert.False(LitmusCases.Epochs(() => new RealEpochs(), s_litmus));

    [Fact]
    public void A_hold_and_a_compaction_never_miss_each_other() =>
        Assert.False(LitmusCases.Hold(() => new RealHold(), s_litmus));

    [SkippableFact]
    public void A_reader_that_enters_without_a_fence_is_missed()
    {
        Skip.If(Environment.ProcessorCount < 2, "one processor sees its own stores in their order; run it on two");
        Assert.True(LitmusCases.Epochs(() => new UnfencedEpochs(), s_patience));
    }

    [SkippableFact]
    public void A_hold_without_a_fence_is_missed()
    {
        Skip.If(Environment.ProcessorCount < 2, "one processor sees its own stores in their order; run it on two");
        Assert.True(LitmusCases.Hold(() => new UnfencedHold(), s_patience));
    }
}
