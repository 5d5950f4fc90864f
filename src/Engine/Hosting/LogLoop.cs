using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>The log loop: group commit. Everything that has queued up goes out as one write and one sync.</summary>
internal sealed class LogLoop : ILoop
{
    public LogLoop(WriteAheadLog log, ILogWriteObserver observer, ILoopSignal signal)
    {
        Writer = new LogWriter(log, observer, signal.Set);
    }

    public string Name => "log";

    public long NextWake => long.MaxValue;

    public LogWriter Writer { get; }

    public bool RunOnce() => Writer.RunOnce();
}
