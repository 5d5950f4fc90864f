using System.Diagnostics;

namespace MetaStore.Figures;

/// <summary>Times code that runs many times over: the best of some rounds, so that what else the machine does counts least.</summary>
internal static class Measure
{
    private const int Rounds = 5;
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(2);

    /// <summary>Nanoseconds of one operation, where a call of <paramref name="run"/> does <paramref name="operations"/> of them.</summary>
    public static double Nanoseconds(int operations, Action run) => Nanoseconds(operations, static () => { }, run);

    /// <summary>As the other; <paramref name="prepare"/> comes before each round and is not timed.</summary>
    public static double Nanoseconds(int operations, Action prepare, Action run)
    {
        double best = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        int rounds = 0;
        while (rounds < Rounds)
        {
            prepare();
            bool isWarm = Stopwatch.GetElapsedTime(begin) > s_warmUp; // By then the code is compiled for good.
            long start = Stopwatch.GetTimestamp();
            run();
            if (isWarm)
            {
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / operations);
                rounds++;
            }
        }

        return best;
    }

    /// <summary>Nanoseconds of one operation of two kinds, a round of one and a round of the other, so that both have what the machine does in that time.</summary>
    public static (double First, double Second) InTurn(int operations, Action prepare, Action first, Action second)
    {
        double firstBest = double.MaxValue;
        double secondBest = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        for (int rounds = 0; rounds < Rounds;)
        {
            bool isWarm = Stopwatch.GetElapsedTime(begin) > s_warmUp;
            double ofFirst = Time(prepare, first) / operations;
            double ofSecond = Time(prepare, second) / operations;
            if (isWarm)
            {
                firstBest = Math.Min(firstBest, ofFirst);
                secondBest = Math.Min(secondBest, ofSecond);
                rounds++;
            }
        }

        return (firstBest, secondBest);
    }

    private static double Time(Action prepare, Action run)
    {
        prepare();
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds;
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
