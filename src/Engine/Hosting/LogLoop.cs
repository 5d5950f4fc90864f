using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>The log loop: group commit. Everything that has queued up goes out as one write and one sync.</summary>
internal sealed class LogLoop : ILoop
{
    private readonly Action? _written;

    /// <param name="log">The log.</param>
    /// <param name="observer">Hears of what is durable.</param>
    /// <param name="signal">Wakes the loop.</param>
    /// <param name="written">Called after each write, on the loop; null: nobody.</param>
    public LogLoop(WriteAheadLog log, ILogWriteObserver observer, ILoopSignal signal, Action? written = null)
    {
        _written = written;
        Writer = new LogWriter(log, observer, signal.Set);
    }

    public string Name => "log";

    public long NextWake => long.MaxValue;

    public LogWriter Writer { get; }

    public bool RunOnce()
    {
        bool worked = Writer.RunOnce();
        if (worked)
        {
            _written?.Invoke();
        }

        return worked;
    }
}
