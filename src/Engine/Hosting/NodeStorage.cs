using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A node's data directory, opened and recovered: the newest snapshot, loaded, and the log behind it. Everything that does not fit
/// together is refused by name; nothing is guessed.
/// </summary>
internal sealed class NodeStorage : IDisposable
{
    private const ulong DirectorySalt = 0x6469_7265_6374_6f72;

    private NodeStorage(WriteAheadLog log, SnapshotStore snapshots, MvccStore store, RaftRestart? restart, string? recoveryNote, ulong directoryId)
    {
        DirectoryId = directoryId;
        Log = log;
        Snapshots = snapshots;
        Store = store;
        Restart = restart;
        RecoveryNote = recoveryNote;
    }

    /// <summary>Names the directory; drawn when it was made.</summary>
    public ulong DirectoryId { get; }

    public WriteAheadLog Log { get; }

    public SnapshotStore Snapshots { get; }

    public MvccStore Store { get; }

    /// <summary>Where Raft takes up again; null for a new node.</summary>
    public RaftRestart? Restart { get; }

    /// <summary>The directory held nothing: this is the member's first start.</summary>
    public bool IsNew { get; private init; }

    /// <summary>The member lost a part of what it had acknowledged, and has to catch up before it votes.</summary>
    public bool IsRecovering => Restart is { IsRecovering: true };

    /// <summary>What recovery cut away, for the operator; null where nothing.</summary>
    public string? RecoveryNote { get; }

    /// <exception cref="CorruptionException">Stored bytes are damaged, or log and snapshots do not fit together.</exception>
    /// <exception cref="WalIdentityException">The directory belongs to another cluster or node.</exception>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public static NodeStorage Open(IDisk disk, NodeSettings settings, GroupId group)
    {
        disk.CreateDirectory(settings.DataDirectory);
        var identity = new WalIdentity(settings.ClusterId, settings.NodeId.Value);
        var snapshots = new SnapshotStore(disk, settings.DataDirectory, identity);
        bool isRecovering = RecoveryMarker.Exists(disk, settings.DataDirectory);
        if (!isRecovering)
        {
            RefuseLostLog(disk, settings.DataDirectory, snapshots, group);
        }

        bool isNamed = DirectoryIdentity.TryRead(disk, settings.DataDirectory) is not null;
        SnapshotInfo? newest = null;
        WriteAheadLog log = WriteAheadLog.Open(
            disk,
            settings.DataDirectory,
            identity,
            settings.Wal,
            groups =>
            {
                // With the directory's lock held: nobody else removes a snapshot now.
                newest = snapshots.List(group.Value).FirstOrDefault();
                RefuseLostSnapshot(settings.DataDirectory, groups, newest, group);
            },
            out WalRecovery recovery);
        try
        {
            snapshots.DeleteTemporary();
            RecoveredGroup? recovered = recovery.Groups.FirstOrDefault(g => g.GroupId == group.Value);
            if (recovery.Created)
            {
                newest = snapshots.List(group.Value).FirstOrDefault(); // Nobody judged a log that is not there.
            }

            // The name comes last: before, nobody can have been told anything.
            bool isEmpty = newest is null && (recovered is null || recovered.Entries.Count == 0);
            bool isNew = isEmpty && !isNamed;
            if (isEmpty && (isNew || isRecovering) && settings.Members.Count > 0)
            {
                recovered = Bootstrap(log, group, settings, recovered?.HardState ?? default);
            }

            MvccStore store = newest is null ? new MvccStore() : Load(snapshots, group, newest);
            RaftRestart? restart = Restarted(recovered, newest, isRecovering);
            RefuseLoneVoter(settings, restart);
            if (newest is not null && newest.Index > (recovered?.Mark.Index ?? 0))
            {
                MarkSnapshot(log, group, newest);
            }

            // Made after the log: a directory that has a name and no log has lost it.
            DirectoryIdentity named = DirectoryIdentity.ReadOrCreate(disk, settings.DataDirectory, identity, new SplitMix64(settings.Seed ^ DirectorySalt).Next);
            return new NodeStorage(log, snapshots, store, restart, recovery.Note, named.DirectoryId) { IsNew = isNew };
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    public void Dispose() => Log.Dispose();

    /// <summary>Looked at before the log is opened, which would make an empty one.</summary>
    private static void RefuseLostLog(IDisk disk, string directory, SnapshotStore snapshots, GroupId group)
    {
        if (!WriteAheadLog.Exists(disk, directory)
            && DirectoryFit.LostLogComplaint(snapshots.List(group.Value).FirstOrDefault()?.Index, DirectoryIdentity.TryRead(disk, directory)) is { } complaint)
        {
            throw new CorruptionException(directory, 0, complaint);
        }
    }

    private static void RefuseLostSnapshot(string directory, IReadOnlyList<RecoveredGroup> groups, SnapshotInfo? newest, GroupId group)
    {
        if (groups.FirstOrDefault(g => g.GroupId == group.Value) is { } recovered && DirectoryFit.LostSnapshotComplaint(recovered.Mark, newest?.Index) is { } complaint)
        {
            throw new CorruptionException(directory, 0, complaint);
        }
    }

    /// <summary>
    /// The first start of a member of a new cluster: its log begins with the membership that all of them were started with, as an entry
    /// of term 1 at index 1, committed by definition. So the log alone says who belongs to the cluster, from the first entry on. The members' entries are equal, since
    /// their lists are: the cluster's id is made of the list.
    /// </summary>
    private static RecoveredGroup Bootstrap(WriteAheadLog log, GroupId group, NodeSettings settings, LogHardState known)
    {
        byte[] membership = MembershipCodec.Encode(MemberTable.Bootstrap(settings.Members));
        var write = new LogWrite
        {
            GroupId = group.Value,
            WriteId = 0,
            Entries = [new LogEntry(1, 1, (byte)EntryKind.Membership, membership)],
            HardState = known.Term > 1 ? known with { Commit = 1 } : new LogHardState(1, known.Vote, 1),
        };
        log.Write([write]);
        return new RecoveredGroup { GroupId = group.Value, Mark = default, Entries = write.Entries, HardState = write.HardState.Value };
    }

    /// <summary>A member that votes alone has nobody to mend its log from, and would wait for ever.</summary>
    private static void RefuseLoneVoter(NodeSettings settings, RaftRestart? restart)
    {
        if (restart is { IsRecovering: true } && MembershipOf(restart) is { } membership && membership.Voters.Count == 1 && membership.IsVoter(settings.NodeId))
        {
            throw new CorruptionException(
                settings.DataDirectory, 0, "the member has lost a part of its log and is the only voter of its group: there is nobody to mend it from");
        }
    }

    private static Membership? MembershipOf(RaftRestart restart)
    {
        Entry? newest = restart.Entries.Where(entry => entry.Kind == EntryKind.Membership).Select(entry => (Entry?)entry).LastOrDefault();
        return newest is { } entry ? MembershipCodec.Decode(entry.Data) : restart.Snapshot?.Membership;
    }

    private static Membership ReadMembership(SnapshotInfo info)
    {
        try
        {
            return MembershipCodec.Decode(info.Configuration);
        }
        catch (MessageFormatException error)
        {
            throw new CorruptionException($"snapshot {info.Index}", 0, error.Message, error);
        }
    }

    private static MvccStore Load(SnapshotStore snapshots, GroupId group, SnapshotInfo info)
    {
        using SnapshotReader reader = snapshots.OpenRead(group.Value, info);
        try
        {
            MvccStore store = new StoreSnapshotReader(reader.Read, ReadMembership(info)).Read();
            return KnownBugs.AppliedIndexAheadOfData || store.View.AppliedIndex == info.Index
                ? store
                : throw new SnapshotFormatException($"it holds applied index {store.View.AppliedIndex}, and is named {info.Index}");
        }
        catch (SnapshotFormatException error)
        {
            throw new CorruptionException($"snapshot {info.Index}", 0, error.Message, error);
        }
    }

    /// <summary>
    /// Joins snapshot and log. The snapshot may be newer than the log's mark (a crash between the two writes) and even than its end
    /// (a snapshot received from the leader): then the log behind it is void, which the mark that is written next makes durable.
    /// </summary>
    private static RaftRestart? Restarted(RecoveredGroup? recovered, SnapshotInfo? newest, bool isRecovering)
    {
        if (recovered is null && newest is null && !isRecovering)
        {
            return null;
        }

        IEnumerable<LogEntry> entries = recovered?.Entries ?? [];
        if (newest is not null && newest.Index > recovered?.Mark.Index && !KnownBugs.LogNotAlignedWithSnapshot)
        {
            bool continues = entries.Any(e => e.Index == newest.Index && e.Term == newest.Term);
            entries = continues ? entries.Where(e => e.Index > newest.Index) : [];
        }

        LogHardState state = recovered?.HardState ?? default;
        return new RaftRestart
        {
            HardState = new HardState(new Term(state.Term), new NodeId(state.Vote), new LogIndex(state.Commit)),
            Snapshot = newest is null
                ? null
                : new SnapshotMetadata(new LogIndex(newest.Index), new Term(newest.Term), ReadMembership(newest)),
            IsRecovering = isRecovering,
            Entries = [.. entries.Select(e => new Entry(new Term(e.Term), new LogIndex(e.Index), (EntryKind)e.Kind, e.Data))],
        };
    }

    private static void MarkSnapshot(WriteAheadLog log, GroupId group, SnapshotInfo newest) =>
        log.Write([new LogWrite { GroupId = group.Value, WriteId = 0, Mark = new LogSnapshotMark(newest.Index, newest.Term) }]);
}
