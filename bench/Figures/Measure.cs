using System.Diagnostics;

namespace MetaStore.Figures;

/// <summary>Times code that runs many times over: the best of some rounds, so that what else the machine does counts least.</summary>
internal static class Measure
{
    private const int Rounds = 5;

    /// <summary>Nanoseconds of one operation, where a call of <paramref name="run"/> does <paramref name="operations"/> of them.</summary>
    public static double Nanoseconds(int operations, Action run) => Nanoseconds(operations, static () => { }, run);

    /// <summary>As the other; <paramref name="prepare"/> comes before each round and is not timed.</summary>
    public static double Nanoseconds(int operations, Action prepare, Action run)
    {
        double best = double.MaxValue;
        for (int round = -1; round < Rounds; round++)
        {
            prepare();
            long start = Stopwatch.GetTimestamp();
            run();
            double elapsed = Stopwatch.GetElapsedTime(start).TotalNanoseconds / operations;
            best = round < 0 ? best : Math.Min(best, elapsed); // The first one warms up.
        }

        return best;
    }

    /// <summary>Bytes that one operation allocates on the managed heap, by the calling thread.</summary>
    public static double AllocatedBytes(int operations, Action run)
    {
        run();
        long before = GC.GetAllocatedBytesForCurrentThread();
        run();
        return (double)(GC.GetAllocatedBytesForCurrentThread() - before) / operations;
    }
}
