namespace MetaStore.Engine.Snapshots;

/// <summary>When snapshots are taken.</summary>
public sealed record SnapshotOptions
{
    /// <summary>Entries applied since the last snapshot before the next may be taken.</summary>
    public long EntriesMin { get; init; } = 10_000;

    /// <summary>Bytes of entries applied since the last snapshot at which the next is taken, however few entries they are.</summary>
    public long LogBytesMin { get; init; } = 64 << 20;

    /// <summary>Bytes written or sent in one step.</summary>
    public int SliceBytes { get; init; } = 1 << 20;

    /// <summary>Bytes of one piece on its way to a peer.</summary>
    public int ChunkBytes { get; init; } = 1 << 20;

    /// <summary>Entries kept behind a snapshot, so that a follower that is a little behind needs no snapshot.</summary>
    public int EntriesKept { get; init; } = 5_000;

    /// <summary>
    /// Bytes of entries kept at least for a follower that is further behind and active, beyond <see cref="EntriesKept"/>; as many as the newest
    /// snapshot is large where that is more. So a follower that is sent a snapshot faster than the log grows finds the log going on where the
    /// snapshot ends, and needs no other one.
    /// </summary>
    public long CatchUpBytesMin { get; init; } = 64 << 20;

    /// <summary>
    /// Bytes of applied entries held in memory, about; more only for a follower that catches up (<see cref="CatchUpBytesMin"/>). A follower that comes back
    /// after more than that was written is sent a snapshot, a new one if need be. The log on the disk is not concerned. More than 0.
    /// </summary>
    public long LogBytesHeld { get; init; } = 32 << 20;

    /// <summary>Transfers to peers at a time; further ones wait their turn. 1 or more.</summary>
    public int TransfersMax { get; init; } = 2;

    /// <summary>Bytes of snapshots that the node sends in a second, to all peers together; 0: as fast as they are taken. With many groups: of each.</summary>
    public long BytesPerSecondMax { get; init; } = 64 << 20;

    /// <summary>Ticks without progress after which a piece is sent again.</summary>
    public int ResendTicks { get; init; } = 5;

    /// <summary>Ticks without progress after which a transfer is given up.</summary>
    public int GiveUpTicks { get; init; } = 50;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (SliceBytes < 1 || ChunkBytes < 1 || ResendTicks < 1 || GiveUpTicks < 1 || TransfersMax < 1)
        {
            throw new ArgumentException(
                $"SliceBytes ({SliceBytes}), ChunkBytes ({ChunkBytes}), ResendTicks ({ResendTicks}), GiveUpTicks ({GiveUpTicks}) and TransfersMax ({TransfersMax}) must be at least 1.");
        }

        if (LogBytesHeld < 1)
        {
            throw new ArgumentException($"LogBytesHeld is {LogBytesHeld}; it must be at least 1.");
        }

        if (EntriesKept < 0 || CatchUpBytesMin < 0 || BytesPerSecondMax < 0)
        {
            throw new ArgumentException(
                $"EntriesKept ({EntriesKept}), CatchUpBytesMin ({CatchUpBytesMin}) and BytesPerSecondMax ({BytesPerSecondMax}) must not be negative.");
        }
    }
}

/// <summary>
/// A snapshot is due when the log has outgrown the last snapshot: then writing snapshots costs at most as much again as writing
/// the log, however large the store. Shared by the apply loop, which counts, and the snapshot loop, which reports sizes.
/// </summary>
internal sealed class SnapshotPolicy(SnapshotOptions options, long lastSnapshotBytes)
{
    private long _lastBytes = lastSnapshotBytes;
    private long _entries;
    private long _bytes;
    private int _underWay;
    private volatile bool _isDemanded;

    /// <summary>Bytes of log that the group may need before its next snapshot, about.</summary>
    public long LogBytesAllowed => Math.Max(LastBytes, options.LogBytesMin);

    /// <summary>Bytes of log worth holding for a follower that catches up.</summary>
    public long CatchUpBytes => Math.Max(LastBytes, options.CatchUpBytesMin);

    /// <summary>Bytes of applied entries held in memory otherwise.</summary>
    public long LogBytesHeld => options.LogBytesHeld;

    /// <summary>Bytes of the newest snapshot.</summary>
    public long LastBytes => Interlocked.Read(ref _lastBytes);

    public void Applied(int entryBytes)
    {
        _entries++;
        _bytes += entryBytes;
    }

    public bool TryBegin()
    {
        long last = LastBytes;
        bool due = (_entries >= options.EntriesMin && _bytes >= last) || _bytes >= LogBytesAllowed;
        return due && Begin();
    }

    /// <summary>Somebody else needs the log's space, or a peer a newer snapshot: the next snapshot is due at once. Any thread.</summary>
    public void Demand() => _isDemanded = true;

    /// <summary>As <see cref="TryBegin"/>, where one was demanded and there is anything new to be in it.</summary>
    public bool TryBeginDemanded()
    {
        if (!_isDemanded)
        {
            return false;
        }

        _isDemanded = false;
        return _entries > 0 && Begin();
    }

    /// <summary>A snapshot of the leader took the place of the log.</summary>
    public void Installed()
    {
        _entries = 0;
        _bytes = 0;
    }

    public void Ended(long bytes)
    {
        if (bytes > 0)
        {
            Interlocked.Exchange(ref _lastBytes, bytes);
        }

        Volatile.Write(ref _underWay, 0);
    }

    private bool Begin()
    {
        if (Interlocked.CompareExchange(ref _underWay, 1, 0) != 0 && !KnownBugs.SnapshotsOverlap)
        {
            return false;
        }

        _entries = 0;
        _bytes = 0;
        return true;
    }
}
