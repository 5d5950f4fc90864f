namespace MetaStore.Engine.Replication;

/// <summary>
/// Since when the state of this node is known to lack nothing: the moment the last round of reads began whose index has been applied (a round vouches for all
/// that was acknowledged before it began). Rests on no clock but the node's own. Written by the node loop, read from any thread.
/// </summary>
/// <param name="time">The node's clock.</param>
/// <param name="clockDriftMax">By how much it may run slow, as a share below 1: an age is told as it is by a right clock, if that is more.</param>
internal sealed class Freshness(TimeProvider time, double clockDriftMax)
{
    private const long Never = long.MinValue;

    private long _asOf = Never;

    /// <summary>Everything that was acknowledged before this moment has been applied here.</summary>
    public void Prove(long asOf)
    {
        if (asOf > _asOf)
        {
            Volatile.Write(ref _asOf, asOf);
        }
    }

    /// <summary>How old a view that is taken after this call may be at most; null: nobody knows.</summary>
    public TimeSpan? Age()
    {
        long asOf = Volatile.Read(ref _asOf);
        if (asOf == Never)
        {
            return null;
        }

        // One more, for what the clock's units cut off.
        long ticks = time.GetElapsedTime(asOf).Ticks + 1;
        return TimeSpan.FromTicks(KnownBugs.AgeByASlowClock ? ticks : (long)Math.Ceiling(ticks / (1 - clockDriftMax)));
    }
}
