using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// Loads the newest snapshots while the log is read, which takes about as long. Nothing is judged by it: what cannot be loaded, or is not the newest one any more once the directory
/// is locked, is loaded again when it is its turn, and then it is said what is wrong.
/// </summary>
internal sealed class EarlyLoad(SnapshotStore snapshots, IReadOnlyList<GroupId> groups, IForkJoin parts)
{
    private readonly (SnapshotInfo Info, MvccStore Store)?[] _loaded = new (SnapshotInfo, MvccStore)?[groups.Count];

    /// <summary>Reads the log by way of <paramref name="readLog"/>, and loads meanwhile where there is somebody to do it.</summary>
    public void Beside(Action readLog) => parts.Run(part =>
    {
        if (part == 0)
        {
            readLog();
            return;
        }

        for (int i = part - 1; i < groups.Count; i += parts.Width - 1)
        {
            _loaded[i] = TryLoad(groups[i]);
        }
    });

    /// <summary>The store that the snapshot of the group holds, which is loaded now if it was not before.</summary>
    /// <exception cref="CorruptionException">It is damaged, or not what its name says.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public MvccStore Take(GroupId group, SnapshotInfo info)
    {
        int at = groups.Index().First(place => place.Item == group).Index;
        (SnapshotInfo Info, MvccStore Store)? loaded = _loaded[at];
        _loaded[at] = null;
        return loaded is { } it && it.Info.Index == info.Index && it.Info.Term == info.Term ? it.Store : Load(group, info);
    }

    private (SnapshotInfo Info, MvccStore Store)? TryLoad(GroupId group)
    {
        try
        {
            return snapshots.List(group.Value).FirstOrDefault() is { } info ? (info, Load(group, info)) : null;
        }
        catch (Exception error) when (error is CorruptionException or DiskException or WalVersionException or WalIdentityException)
        {
            return null;
        }
    }

    private MvccStore Load(GroupId group, SnapshotInfo info)
    {
        using SnapshotReader reader = snapshots.OpenRead(group.Value, info);
        try
        {
            MvccStore store = new StoreSnapshotReader(reader.Read, MembershipCodec.Decode(info.Configuration), parts).Read();
            return KnownBugs.AppliedIndexAheadOfData || store.View.AppliedIndex == info.Index
                ? store
                : throw new SnapshotFormatException($"it holds applied index {store.View.AppliedIndex}, and is named {info.Index}");
        }
        catch (Exception error) when (error is SnapshotFormatException or MessageFormatException)
        {
            throw new CorruptionException(snapshots.PathOf(group.Value, info), 0, error.Message, error);
        }
    }
}
