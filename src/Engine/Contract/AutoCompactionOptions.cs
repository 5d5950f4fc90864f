namespace MetaStore.Engine;

/// <summary>
/// What history a cluster keeps by itself, as etcd's automatic compaction: the leader compacts through the log, so all members forget the same. Both may be set; then what either wants
/// forgotten is. By default nothing is.
/// </summary>
public sealed record AutoCompactionOptions
{
    /// <summary>Keeps this many revisions behind the newest; 0: as many as there are.</summary>
    public long RevisionsKept { get; init; }

    /// <summary>
    /// Keeps what was the state at some time this long ago or less; zero: however old. As the leader remembers it: a new one begins to count when it comes into office,
    /// so after a change more is kept.
    /// </summary>
    public TimeSpan AgeKept { get; init; }

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message names it.</exception>
    public void Validate()
    {
        if (RevisionsKept < 0)
        {
            throw new ArgumentException($"AutoCompaction.RevisionsKept is {RevisionsKept}; it must be at least 0, which is for no automatic compaction.");
        }

        if (AgeKept < TimeSpan.Zero || AgeKept > TimeSpan.FromDays(3650))
        {
            throw new ArgumentException($"AutoCompaction.AgeKept is {AgeKept}; it must be between 0, which is for no automatic compaction, and ten years.");
        }
    }
}
