using System.Runtime.ExceptionServices;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// Loads the newest snapshots while the log is read, which takes about as long. It begins before the directory is locked, so what is found then is a guess: it counts, its failure too, only if it is
/// still the newest one under the lock.
/// </summary>
internal sealed class EarlyLoad(SnapshotStore snapshots, IReadOnlyList<GroupId> groups, IForkJoin parts)
{
    private readonly Dictionary<GroupId, Loaded> _loaded = [];
    private volatile bool _isRefused;

    /// <summary>Reads the log by way of <paramref name="readLog"/>, and loads meanwhile, for as long as that does not fail.</summary>
    public void Beside(Action readLog) => parts.Beside(
        () =>
        {
            try
            {
                readLog();
            }
            catch
            {
                _isRefused = true;
                throw;
            }
        },
        LoadAll);

    /// <summary>The store that the snapshot of the group holds, which is loaded now if it was not before.</summary>
    /// <exception cref="CorruptionException">It is damaged, or not what its name says.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public MvccStore Take(GroupId group, SnapshotInfo info)
    {
        if (!_loaded.Remove(group, out Loaded? loaded) || loaded.Info.Index != info.Index || loaded.Info.Term != info.Term)
        {
            return Load(group, info);
        }

        loaded.Error?.Throw();
        return loaded.Store!;
    }

    private void LoadAll()
    {
        foreach (GroupId group in groups)
        {
            SnapshotInfo? info = null;
            try
            {
                info = snapshots.List(group.Value).FirstOrDefault();
                if (info is not null && !_isRefused)
                {
                    _loaded[group] = new Loaded(info, Load(group, info), null);
                }
            }
#pragma warning disable CA1031 // Whatever it is, it is thrown where the snapshot is asked for.
            catch (Exception error)
#pragma warning restore CA1031
            {
                if (info is not null)
                {
                    _loaded[group] = new Loaded(info, null, ExceptionDispatchInfo.Capture(error));
                }
            }
        }
    }

    private MvccStore Load(GroupId group, SnapshotInfo info)
    {
        using SnapshotReader reader = snapshots.OpenRead(group.Value, info);
        try
        {
            MvccStore store = new StoreSnapshotReader(buffer => _isRefused ? 0 : reader.Read(buffer), MembershipCodec.Decode(info.Configuration), parts).Read();
            return KnownBugs.AppliedIndexAheadOfData || store.View.AppliedIndex == info.Index
                ? store
                : throw new SnapshotFormatException($"it holds applied index {store.View.AppliedIndex}, and is named {info.Index}");
        }
        catch (Exception error) when (error is SnapshotFormatException or MessageFormatException)
        {
            throw new CorruptionException(snapshots.PathOf(group.Value, info), 0, error.Message, error);
        }
    }

    private sealed record Loaded(SnapshotInfo Info, MvccStore? Store, ExceptionDispatchInfo? Error);
}
