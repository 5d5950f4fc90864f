using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>The log loop: group commit. Everything that has queued up goes out as one write and one sync.</summary>
internal sealed class LogLoop : ILoop
{
    /// <param name="log">The log.</param>
    /// <param name="observer">Hears of what is durable.</param>
    /// <param name="signal">Wakes the loop.</param>
    /// <param name="tidied">Called behind each write when the log is as long as it needs to be, on the loop; null: nobody.</param>
    public LogLoop(WriteAheadLog log, ILogWriteObserver observer, ILoopSignal signal, Action? tidied = null)
    {
        Writer = new LogWriter(log, observer, signal.Set, tidied);
    }

    public string Name => "log";

    public long NextWake => long.MaxValue;

    public bool EndsSoonAfterSignals => true;

    public LogWriter Writer { get; }

    public bool RunOnce() => Writer.RunOnce();
}
