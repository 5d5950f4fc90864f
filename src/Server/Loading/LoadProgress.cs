using Spectre.Console;

namespace MetaStore.Server.Loading;

/// <summary>A progress bar on the terminal while a load runs; nothing where there is no terminal.</summary>
internal static class LoadProgress
{
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(100);

    /// <param name="load">The load, already running.</param>
    /// <param name="counters">How far it is.</param>
    /// <param name="inputBytes">Bytes of the input; null where nobody knows.</param>
    /// <param name="terminal">Where to draw; null for not at all.</param>
    public static async Task ShowAsync(Task load, LoadCounters counters, long? inputBytes, IAnsiConsole? terminal)
    {
        if (terminal is null)
        {
            await load;
            return;
        }

        Progress progress = terminal.Progress().AutoClear(true).Columns(
            new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn(), new SpinnerColumn());
        await progress.StartAsync(async context =>
        {
            ProgressTask bar = context.AddTask("load", maxValue: inputBytes ?? 1);
            bar.IsIndeterminate = inputBytes is null;
            using var timer = new PeriodicTimer(s_period);
            while (!load.IsCompleted)
            {
                await Task.WhenAny(load, timer.WaitForNextTickAsync().AsTask());
                bar.Value = inputBytes is null ? 0 : counters.InputBytes;
                bar.Description = $"{counters.Stored:N0} records";
            }
        });
        await load;
    }
}
