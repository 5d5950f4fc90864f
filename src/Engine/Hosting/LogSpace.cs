using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// Keeps the shared log from growing for the sake of a group that has nothing to do: its few entries keep a segment, and with it all that other
/// groups have written since. Where the log is longer than all groups together may need by their own policies, whoever keeps the oldest segment
/// takes a snapshot at once. A stage of the log loop.
/// </summary>
internal sealed class LogSpace(WriteAheadLog log, IReadOnlyDictionary<GroupId, GroupCore> groups)
{
    private long _bytesSeen;

    /// <summary>Looks only when the log has grown or shrunk by a segment: to ask all groups costs their number.</summary>
    public void Look()
    {
        long bytes = log.DiskBytes;
        if (bytes == _bytesSeen)
        {
            return;
        }

        _bytesSeen = bytes;
        bool isTooLong = bytes > groups.Values.Sum(group => group.LogBytesAllowed);
        if (isTooLong && log.OldestSegmentNeededBy is { } keeper)
        {
            groups[new GroupId(keeper)].Apply.DemandSnapshot();
        }
    }
}
