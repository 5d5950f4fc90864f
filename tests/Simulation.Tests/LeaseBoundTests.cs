namespace MetaStore.Simulation.Tests;

/// <summary>That no read is stale while clocks keep to what the leader's lease allows for says something only if reads are seen to be stale where they do not.</summary>
public class LeaseBoundTests
{
    // The first that does it, when this was written, is 965; a change of the simulator moves it.
    private const ulong First = 900, SeedsMax = 5000;

    [Fact]
    public void ClocksBeyondTheBound_MakeReadsStale_AndTheRunsSaySo()
    {
        // On a thread of its own: a run is one thread's, and knows no context that would carry a part of it to another.
        string? found = null;
        var runs = new Thread(() => found = FirstStaleRead());
        runs.Start();
        runs.Join();

        Assert.NotNull(found);
        Assert.Contains("not linearizable", found, StringComparison.Ordinal);
    }

    /// <summary>What the first run with a wrong answer says; null for none. That an election takes longer by such clocks is no wrong answer.</summary>
    private static string? FirstStaleRead()
    {
        for (ulong seed = First; seed < First + SeedsMax; seed++)
        {
            try
            {
                new World(seed, RunOptions.DrawReads(seed) with { ClockDriftMax = 0.6, ClocksAtExtremes = true }, new Trace(null)).Run();
            }
            catch (SimulationFailure failure)
            {
                if (failure.Kind == FailureKind.Correctness)
                {
                    return failure.Message;
                }
            }
        }

        return null;
    }
}
