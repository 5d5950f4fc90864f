using System.Diagnostics;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.RealThreads;

/// <summary>
/// Runs a scenario again and again on threads that nobody holds back: what no schedule shows, since a schedule knows only one order of all accesses, is shown by processors
/// that have stores under way.
/// </summary>
internal static class FreeRun
{
    /// <summary>Whoever waits longer for another thread waits for ever.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>Runs it for so long. Returns how often; whatever fails comes out.</summary>
    public static long For(Scenario scenario, TimeSpan time)
    {
        int threads = scenario.Threads.Count;
        long rounds = 0;
        Exception? failure = null;
        bool isOver = false;
        var clock = Stopwatch.StartNew();
        using var start = new Barrier(threads, _ => Prepare());
        using var end = new Barrier(threads, _ => Check());
        Thread[] running = [.. Enumerable.Range(0, threads).Select(thread => new Thread(() => Rounds(thread)))];
        Array.ForEach(running, thread => thread.Start());
        Array.ForEach(running, thread => thread.Join());
        return failure is null ? rounds : throw new WrongException($"round {rounds}: {failure}");

        void Prepare()
        {
            isOver = failure is not null || clock.Elapsed > time;
            if (!isOver)
            {
                rounds++;
                scenario.Begin();
            }
        }

        void Check()
        {
            if (failure is null)
            {
                Try(scenario.End);
            }

            scenario.Discard();
        }

        void Rounds(int thread)
        {
            while (true)
            {
                start.SignalAndWait();
                if (isOver)
                {
                    return;
                }

                Try(() => scenario.Run(thread));
                end.SignalAndWait();
            }
        }

        void Try(Action action)
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
        }
    }

    public static void Await(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Thread.Yield();
            if (clock.Elapsed > s_patience)
            {
                throw new WrongException("waits for ever");
            }
        }
    }
}
