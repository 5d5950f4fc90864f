using MetaStore.Engine.Memory;

namespace MetaStore.Schedules.Scheduling;

/// <summary>
/// A thread of the scheduler, which runs one logical thread of each schedule. All workers have managed ids that are equal modulo <see cref="EpochDomain.Slots"/>: they
/// ask for the same slot first, so that they meet there, and what a schedule does is the same in every process.
/// </summary>
internal sealed class Worker : IDisposable
{
    /// <summary>The slot that all workers try first, and how many from there on they can come to use: each may stay twice at a time.</summary>
    public const int FirstPlace = 8;
    public const int Places = 2 * Scheduler.WorkersMax;

    private readonly Scheduler _scheduler;
    private readonly Thread _thread;

    public Worker(Scheduler scheduler, int index)
    {
        _scheduler = scheduler;
        Index = index;
        var tried = new List<Thread>();
        do
        {
            _thread = new Thread(Run) { IsBackground = true, Name = $"schedules {index}" };
            tried.Add(_thread); // Kept, so that its id is not given out again.
        }
        while (_thread.ManagedThreadId % EpochDomain.Slots != FirstPlace);
        _thread.Start();
    }

    public int Index { get; }

    public Gate Gate { get; } = new();

    public void Hit(string file, string member) => _scheduler.Step(this, file, member);

    public void Lock(object gate, string file, string member) => _scheduler.Lock(this, gate, file, member);

    public void Unlock(object gate) => _scheduler.Unlock(this, gate);

    public void Busy(object gate) => _scheduler.Own(this, gate);

    public void AwaitIdle(object gate, string file, string member) => _scheduler.AwaitFree(this, gate, file, member);

    public void Await(Func<bool> condition, string file, string member) => _scheduler.Await(this, condition, file, member);

    public void Dispose()
    {
        _thread.Join();
        Gate.Dispose();
    }

    private void Run()
    {
        SchedulePoint.Current = this;
        Gate.Pass();
        while (!_scheduler.IsEnding)
        {
            _scheduler.RunBody(this);
            Gate.Pass();
        }
    }
}
