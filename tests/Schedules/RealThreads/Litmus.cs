using System.Diagnostics;

namespace MetaStore.Schedules.RealThreads;

/// <summary>
/// Two threads that each store and then look at what the other has stored, at the same moment, some million times: whether both can miss the other. Without a full fence in between a
/// processor may look before its store is seen.
/// </summary>
internal static class Litmus
{
    private const int SpinsBeforeYield = 2000;

    /// <summary>Each thread begins its part up to so many spins late, in all combinations: one of them is the moment that matters.</summary>
    private const int Delays = 32;

    /// <summary>Runs rounds until both have missed each other, or the time is over. Returns the round, or -1 where it never came about.</summary>
    /// <param name="first">The first thread's part of a round.</param>
    /// <param name="second">The second's.</param>
    /// <param name="bothMissed">Behind a round, on one thread: whether it came about; makes ready for the next.</param>
    /// <param name="time">How long to try.</param>
    /// <param name="rounds">How many there were.</param>
    public static long Run(Action first, Action second, Func<bool> bothMissed, TimeSpan time, out long rounds)
    {
        long arrived = 0;
        long done = 0;
        long found = -1;
        bool isOver = false;
        long round = 0;
        var clock = Stopwatch.StartNew();
        var other = new Thread(() =>
        {
            for (long mine = 1; ; mine++)
            {
                Meet(ref arrived, 2 * mine);
                if (Volatile.Read(ref isOver))
                {
                    return;
                }

                Thread.SpinWait((int)(mine / Delays % Delays));
                second();
                Meet(ref done, 2 * mine);
            }
        });
        other.Start();
        while (true)
        {
            round++;
            Volatile.Write(ref isOver, found >= 0 || clock.Elapsed > time);
            Meet(ref arrived, 2 * round);
            if (isOver)
            {
                break;
            }

            Thread.SpinWait((int)(round % Delays));
            first();
            Meet(ref done, 2 * round);
            found = bothMissed() ? round : -1;
        }

        other.Join();
        rounds = round - 1;
        return found;
    }

    private static void Meet(ref long counter, long all)
    {
        Interlocked.Increment(ref counter);
        for (int spins = 0; Volatile.Read(ref counter) < all; spins++)
        {
            if (spins > SpinsBeforeYield)
            {
                Thread.Yield();
            }
        }
    }
}
