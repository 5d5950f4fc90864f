using System.Diagnostics;

namespace MetaStore.Testing.Processes;

/// <summary>Waits for conditions of other processes, which send no signal when they come true. The deadlines are for machines that are busy.</summary>
public static class Deadline
{
    public static readonly TimeSpan Generous = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);

    public static async Task UntilAsync(Func<Task<bool>> condition, string what, TimeSpan? patience = null)
    {
        long start = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(start) > (patience ?? Generous))
            {
                throw new TimeoutException($"Not within {(patience ?? Generous).TotalSeconds} s: {what}.");
            }

            await Task.Delay(s_look);
        }
    }

    public static Task UntilAsync(Func<bool> condition, string what, TimeSpan? patience = null) =>
        UntilAsync(() => Task.FromResult(condition()), what, patience);
}
