namespace MetaStore.Engine.Hosting;

/// <summary>
/// A number that one thread sleeps on until another has changed it. On Linux that is a futex: the kernel looks at the number again before
/// the thread sleeps, so no lock is held and nobody is woken only to wait for one. Elsewhere a monitor does it.
/// </summary>
internal abstract class WaitWord
{
    // Pinned, for the kernel knows it by its address; in the midst of two cache lines of its own, so that nothing beside it makes it slow.
    private readonly int[] _line = GC.AllocateArray<int>(64, pinned: true);

    /// <summary>The number. It is to be changed before <see cref="WakeOne"/>.</summary>
    public ref int Value => ref _line[_line.Length / 2];

    /// <summary>The best that this system has.</summary>
    public static WaitWord Create() => FutexWord.IsSupported ? new FutexWord() : new MonitorWord();

    /// <summary>Sleeps until woken or <paramref name="timeout"/> has passed, or not at all where the number is another. May return early.</summary>
    public abstract void WaitWhile(int value, TimeSpan timeout);

    public abstract void WakeOne();
}

/// <summary>By a lock and its condition; a sleeper that is woken has to take the lock.</summary>
internal sealed class MonitorWord : WaitWord
{
    private readonly object _gate = new();

    public override void WaitWhile(int value, TimeSpan timeout)
    {
        lock (_gate)
        {
            if (Volatile.Read(ref Value) == value)
            {
                // In whole milliseconds, rounded up: a wait that ended early would be gone through again for the rest.
                Monitor.Wait(_gate, timeout == Timeout.InfiniteTimeSpan ? timeout : TimeSpan.FromMilliseconds(Math.Ceiling(timeout.TotalMilliseconds)));
            }
        }
    }

    public override void WakeOne()
    {
        lock (_gate)
        {
            Monitor.Pulse(_gate);
        }
    }
}
