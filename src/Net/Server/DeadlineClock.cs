using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Server;

/// <summary>
/// Tokens for the deadlines of requests. All requests whose deadlines fall into the same slice of time share one token, so that a
/// deadline costs a request no timer and no allocation; in exchange it comes up to two slices late.
/// </summary>
internal sealed class DeadlineClock : IDisposable
{
    /// <summary>Length of a slice.</summary>
    public static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource?[] _ring;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _start;
    private readonly uint _millisecondsMax;
    private readonly ITimer _timer;
    private long _slice; // the newest slice that has begun; tokens exist for later ones only

    public DeadlineClock(TimeSpan longest, TimeProvider time, ILogger logger)
    {
        _millisecondsMax = (uint)longest.TotalMilliseconds;
        _ring = new CancellationTokenSource?[(int)(longest / Slice) + 4];
        _time = time;
        _logger = logger;
        _start = time.GetTimestamp();
        _timer = time.CreateTimer(static state => ((DeadlineClock)state!).Tick(), this, Slice, Slice);
    }

    /// <summary>A token that is cancelled once so many milliseconds have passed; 0, or more than the longest, is the longest.</summary>
    public CancellationToken TokenFor(uint milliseconds)
    {
        if (milliseconds == 0 || milliseconds > _millisecondsMax)
        {
            milliseconds = _millisecondsMax;
        }

        long slices = (milliseconds / (long)Slice.TotalMilliseconds) + 2; // the current slice has partly gone; round up
        lock (_gate)
        {
            ref CancellationTokenSource? source = ref _ring[(_slice + slices) % _ring.Length];
            source ??= new CancellationTokenSource();
            return source.Token;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        long now = _time.GetElapsedTime(_start).Ticks / Slice.Ticks;
        while (TryTakeDue(now, out CancellationTokenSource? due))
        {
            try
            {
                due?.Cancel();
            }
            catch (AggregateException e)
            {
                _logger.LogError(e, "A request failed while its deadline was being announced to it.");
            }
        }
    }

    private bool TryTakeDue(long now, out CancellationTokenSource? due)
    {
        due = null;
        lock (_gate)
        {
            if (_slice >= now)
            {
                return false;
            }

            _slice++;
            ref CancellationTokenSource? slot = ref _ring[_slice % _ring.Length];
            (due, slot) = (slot, null);
            return true;
        }
    }
}
