namespace MetaStore.Engine.Snapshots;

/// <summary>
/// Lets bytes pass at a rate, on average, with bursts of a tenth of a second. What is taken may exceed what is there, and is owed: so a piece of any
/// size passes whole, and the next waits the longer. A rate of 0 lets everything pass. Owned by one loop.
/// </summary>
internal sealed class TokenBucket(long bytesPerSecond, TimeProvider time)
{
    private const int BurstsPerSecond = 10;

    private double _bytes = Burst(bytesPerSecond);
    private long _filledAt = time.GetTimestamp();

    /// <summary>When something may pass again; a timestamp of the clock.</summary>
    public long ReadyAt => bytesPerSecond == 0 || _bytes > 0
        ? _filledAt
        : _filledAt + (long)Math.Ceiling((1 - _bytes) / bytesPerSecond * time.TimestampFrequency);

    /// <summary>Takes the bytes if anything may pass now.</summary>
    public bool TryTake(long bytes)
    {
        long now = time.GetTimestamp();
        double earned = (double)(now - _filledAt) / time.TimestampFrequency * bytesPerSecond;
        _bytes = Math.Min(_bytes + earned, Burst(bytesPerSecond));
        _filledAt = now;
        if (bytesPerSecond > 0 && _bytes <= 0)
        {
            return false;
        }

        _bytes -= bytesPerSecond > 0 ? bytes : 0;
        return true;
    }

    private static double Burst(long bytesPerSecond) => Math.Max(1, (double)bytesPerSecond / BurstsPerSecond);
}
