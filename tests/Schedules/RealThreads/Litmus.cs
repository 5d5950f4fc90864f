using System.Runtime.CompilerServices;

namespace MetaStore.Schedules.RealThreads;

/// <summary>
/// Two threads that each store and then look at what the other has stored, at the same moment, some million times: whether both can miss the other. Without a full fence in between a
/// processor may look before its store is seen.
/// </summary>
internal static class Litmus
{
    /// <summary>Trials between two meetings, each in places of its own: the threads drift apart and together.</summary>
    public const int Trials = 256;

    /// <summary>Few: places that neither processor has in its cache yet are where stores take longest.</summary>
    private const int Rounds = 4;

    private const int SpinsBeforeYield = 2000;
    private const int BallastLines = 8;
    private const int DelaysMax = 28;
    private const int LineLongs = 16;

    /// <summary>Runs rounds until both have missed each other. Returns the trial, or -1 where it never came about.</summary>
    /// <param name="first">The first thread's part of a trial, by its number from 0.</param>
    /// <param name="second">The second's.</param>
    /// <param name="bothMissed">Behind a round, on one thread: whether it came about; makes the trial's place ready for the next round.</param>
    public static long Run(Action<int> first, Action<int> second, Func<int, bool> bothMissed)
    {
        long arrived = 0;
        long done = 0;
        long found = -1;
        bool isOver = false;
        long round = 0;
        long[] begun = new long[3 * LineLongs];
        long[] ballast = new long[BallastLines * LineLongs];
        var other = new Thread(() =>
        {
            for (long mine = 1; ; mine++)
            {
                Meet(ref arrived, 2 * mine);
                if (Volatile.Read(ref isOver))
                {
                    return;
                }

                Part(second, ballast, isFirst: false, ref begun[LineLongs * 2], ref begun[LineLongs]);
                Meet(ref done, 2 * mine);
            }
        });
        other.Start();
        while (true)
        {
            round++;
            Volatile.Write(ref isOver, found >= 0 || round > Rounds);
            Meet(ref arrived, 2 * round);
            if (isOver)
            {
                break;
            }

            Part(first, ballast, isFirst: true, ref begun[LineLongs], ref begun[LineLongs * 2]);
            Meet(ref done, 2 * round);
            for (int trial = 0; trial < Trials; trial++)
            {
                found = bothMissed(trial) && found < 0 ? ((round - 1) * Trials) + trial : found;
            }
        }

        other.Join();
        return found;
    }

    /// <summary>
    /// The threads begin each trial together. The first writes to some lines before that the other has just written to: until that one has given them up, whatever the first stores behind them is
    /// seen by itself alone. How many they are differs from trial to trial, and so does the moment at which the two meet.
    /// </summary>
    private static void Part(Action<int> part, long[] ballast, bool isFirst, ref long mine, ref long theirs)
    {
        long begun = mine;
        for (int trial = 0; trial < Trials; trial++)
        {
            int lines = isFirst ? trial % (BallastLines + 1) : BallastLines;
            if (!isFirst)
            {
                Load(ballast, lines);
            }

            Volatile.Write(ref mine, begun + trial + 1);
            AwaitAtLeast(ref theirs, begun + trial + 1);
            if (isFirst)
            {
                Load(ballast, lines);
            }
            else
            {
                Spin(trial / (BallastLines + 1) % DelaysMax);
            }

            part(trial);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.NoOptimization)]
    private static void Spin(int turns)
    {
        for (int i = 0; i < turns; i++)
        {
        }
    }

    private static void Load(long[] ballast, int lines)
    {
        for (int line = 0; line < lines; line++)
        {
            Volatile.Write(ref ballast[line * LineLongs], lines);
        }
    }

    private static void Meet(ref long counter, long all)
    {
        Interlocked.Increment(ref counter);
        AwaitAtLeast(ref counter, all);
    }

    private static void AwaitAtLeast(ref long counter, long all)
    {
        for (int spins = 0; Volatile.Read(ref counter) < all; spins++)
        {
            if (spins > SpinsBeforeYield)
            {
                Thread.Yield();
            }
        }
    }
}
