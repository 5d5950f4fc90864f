namespace MetaStore.Etcd.Tests.Services;

/// <summary>Time that passes by hand: each timer fires when the test says so, whatever it is set to.</summary>
internal sealed class HandTime : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<Timer> _timers = [];
    private readonly TaskCompletionSource _hasTimer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Timers
    {
        get
        {
            lock (_gate)
            {
                return _timers.Count;
            }
        }
    }

    /// <summary>Ends when the first timer is there.</summary>
    public Task WhenTimerAsync() => _hasTimer.Task.WaitAsync(TimeSpan.FromSeconds(30));

    public void Look(int times)
    {
        for (int i = 0; i < times; i++)
        {
            Timer[] timers;
            lock (_gate)
            {
                timers = [.. _timers];
            }

            foreach (Timer timer in timers)
            {
                timer.Fire();
            }
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, () => callback(state));
        lock (_gate)
        {
            _timers.Add(timer);
        }

        _hasTimer.TrySetResult();
        return timer;
    }

    private void Remove(Timer timer)
    {
        lock (_gate)
        {
            _timers.Remove(timer);
        }
    }

    private sealed class Timer(HandTime owner, Action fire) : ITimer
    {
        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period) => throw new InvalidOperationException("it keeps its period");

        public void Dispose() => owner.Remove(this);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
