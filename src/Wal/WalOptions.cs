namespace MetaStore.Wal;

/// <summary>How the log lays itself out on disk. May change from one start to the next; segments keep the size they were made with.</summary>
public sealed record WalOptions
{
    /// <summary>The smallest segment: room for its header, its opening batch and a few records.</summary>
    public const long SegmentBytesMin = 4 * 1024;

    /// <summary>The largest segment: offsets and lengths inside one fit a positive Int32.</summary>
    public const long SegmentBytesMax = 1024L * 1024 * 1024;

    /// <summary>Size of a segment file in bytes: a multiple of 4,096 from 4 KiB to 1 GiB. A single write that needs more gets a larger segment of its own.</summary>
    public long SegmentBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>How many segments that nobody needs any more are kept to be written again, 0 to 64. More are removed.</summary>
    public int RecycledSegmentsMax { get; init; } = 2;

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range; the message names it.</exception>
    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(SegmentBytes, SegmentBytesMin);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(SegmentBytes, SegmentBytesMax);
        ArgumentOutOfRangeException.ThrowIfNegative(RecycledSegmentsMax);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(RecycledSegmentsMax, 64);
        if (SegmentBytes % SegmentBytesMin != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(SegmentBytes), SegmentBytes, $"must be a multiple of {SegmentBytesMin}");
        }
    }
}

/// <summary>Whose data a directory holds. Stored in every segment and snapshot; a file of another owner is refused.</summary>
/// <param name="ClusterId">The cluster, the same on all its nodes.</param>
/// <param name="NodeId">This node within it.</param>
public readonly record struct WalIdentity(ulong ClusterId, ulong NodeId)
{
    /// <inheritdoc/>
    public override string ToString() => $"cluster {ClusterId:x16} node {NodeId:x16}";
}
