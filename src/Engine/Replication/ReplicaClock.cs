namespace MetaStore.Engine.Replication;

/// <summary>
/// Cuts the node's monotonic clock into Raft ticks. After a pause (a stopped process, a suspended machine) the missed ticks are not
/// made up for: what the peers sent meanwhile lies in the inbox and is looked at first, before anybody is held to be dead.
/// </summary>
internal sealed class ReplicaClock
{
    private readonly TimeProvider _time;
    private readonly long _tick;

    public ReplicaClock(TimeProvider time, TimeSpan tickLength)
    {
        _time = time;
        _tick = Math.Max(1, (long)(tickLength.TotalSeconds * time.TimestampFrequency));
        NextTick = time.GetTimestamp() + _tick;
    }

    /// <summary>Timestamp of the next tick.</summary>
    public long NextTick { get; private set; }

    /// <summary>The tick taken last came a whole tick too late, or later still.</summary>
    public bool WasLate { get; private set; }

    /// <summary>Begins anew after a time without ticks: the next one is a whole tick away.</summary>
    public void Restart() => NextTick = _time.GetTimestamp() + _tick;

    /// <summary>Ticks that have passed since the last call; after a pause, one.</summary>
    public int TakeTicks()
    {
        long now = _time.GetTimestamp();
        if (now < NextTick)
        {
            return 0;
        }

        WasLate = now - NextTick >= _tick;
        bool paused = now - NextTick > 2 * _tick;
        NextTick = paused ? now + _tick : NextTick + _tick;
        return 1;
    }
}
