namespace MetaStore.Engine.Replication;

/// <summary>
/// Since when the state of this node is known to lack nothing: the moment the last round of reads began whose index has been applied (a round vouches for all
/// that was acknowledged before it began). Rests on no clock but the node's own. Written by the node loop, read from any thread.
/// </summary>
internal sealed class Freshness(TimeProvider time)
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
        return asOf == Never ? null : time.GetElapsedTime(asOf);
    }
}
