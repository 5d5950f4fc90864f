namespace MetaStore.Engine.Leases;

/// <summary>
/// The lessor's time, in milliseconds: the node's monotonic clock without its pauses. A step longer than <paramref name="longestStep"/> (a stopped process, a suspended machine, a clock that jumps) counts
/// as one of that length: renewals that were sent meanwhile still lie in the inbox, and nobody has had a chance to have his looked at. So a pause makes leases later, never earlier.
/// </summary>
internal sealed class LeaseClock(TimeProvider time, TimeSpan longestStep)
{
    private readonly long _longest = (long)(longestStep.TotalSeconds * time.TimestampFrequency);
    private long _last = time.GetTimestamp();
    private long _passed;

    /// <summary>The time now. Never goes back.</summary>
    public long Read()
    {
        long now = time.GetTimestamp();
        _passed += Math.Clamp(now - _last, 0, _longest);
        _last = now;
        return (long)(_passed * (1000.0 / time.TimestampFrequency));
    }
}
