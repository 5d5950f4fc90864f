using MetaStore.Engine.Members;
using MetaStore.Engine.Mvcc;
using MetaStore.Raft;
using MetaStore.Wal;

namespace MetaStore.Engine.Hosting;

/// <summary>
/// A node's data directory, opened and recovered: of each group the newest snapshot, loaded, and the log behind it, which one pass has read for
/// all groups. Everything that does not fit together is refused by name; nothing is guessed.
/// </summary>
internal sealed class NodeStorage : IDisposable
{
    private const string RestoreOrJoin = "Restore the directory from a copy; a member that has peers is started with --initial-cluster-state existing and their addresses in --initial-cluster";
    private const ulong DirectorySalt = 0x6469_7265_6374_6f72;

    private NodeStorage(WriteAheadLog log, SnapshotStore snapshots, IReadOnlyList<GroupStorage> groups, string? recoveryNote, ulong directoryId, EarlierSilence silence)
    {
        Silence = silence;
        DirectoryId = directoryId;
        Log = log;
        Snapshots = snapshots;
        Groups = groups;
        RecoveryNote = recoveryNote;
    }

    /// <summary>Names the directory; drawn when it was made.</summary>
    public ulong DirectoryId { get; }

    public WriteAheadLog Log { get; }

    /// <summary>What the member's earlier lives promised.</summary>
    public EarlierSilence Silence { get; }

    public SnapshotStore Snapshots { get; }

    /// <summary>Its groups, in the order in which they were asked for.</summary>
    public IReadOnlyList<GroupStorage> Groups { get; }

    /// <summary>The directory held nothing: this is the member's first start.</summary>
    public bool IsNew => Groups.All(group => group.IsNew);

    /// <summary>The member lost a part of what it had acknowledged, and has to catch up before it votes.</summary>
    public bool IsRecovering => Groups.Any(group => group.Restart is { IsRecovering: true });

    /// <summary>What recovery cut away, for the operator; null where nothing.</summary>
    public string? RecoveryNote { get; }

    /// <summary>Opens a directory for the groups that it is to hold; those it holds nothing of are new.</summary>
    /// <exception cref="CorruptionException">Stored bytes are damaged, or log, snapshots and groups do not fit together.</exception>
    /// <exception cref="WalIdentityException">The directory belongs to another cluster or node.</exception>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public static NodeStorage Open(IDisk disk, NodeSettings settings, IReadOnlyList<GroupId> groups, IForkJoin parts)
    {
        disk.CreateDirectory(settings.DataDirectory);
        var identity = new WalIdentity(settings.ClusterId, settings.NodeId.Value);
        var snapshots = new SnapshotStore(disk, settings.DataDirectory, identity);
        bool isRecovering = RecoveryMarker.Exists(disk, settings.DataDirectory);
        if (isRecovering)
        {
            RefuseNobodyToAsk(disk, settings, snapshots, groups);
        }
        else
        {
            RefuseLostLog(disk, settings.DataDirectory, snapshots, groups);
        }

        bool isNamed = DirectoryIdentity.TryRead(disk, settings.DataDirectory) is not null;
        var newest = new Dictionary<uint, SnapshotInfo>();
        var early = new EarlyLoad(snapshots, groups, parts);
        (WriteAheadLog log, WalRecovery recovery) = OpenLog(disk, settings, snapshots, groups, newest, early);
        try
        {
            snapshots.DeleteTemporary();
            Dictionary<uint, RecoveredGroup> known = recovery.Groups.ToDictionary(group => group.GroupId);
            if (recovery.Created)
            {
                FindSnapshots(snapshots, groups, newest); // Nobody judged a log that is not there.
            }

            // The name comes last: before, nobody can have been told anything. After it, only a group that the node was not opened for yet is new.
            GroupId[] empty = [.. groups.Where(group => !newest.ContainsKey(group.Value) && IsEmpty(known.GetValueOrDefault(group.Value)))];
            GroupId[] fresh = isNamed ? [.. empty.Where(group => (known.GetValueOrDefault(group.Value)?.HardState ?? default) == default)] : empty;
            if (settings.Members.Count > 0)
            {
                Bootstrap(log, isRecovering ? empty : fresh, settings, known);
            }

            var silence = new EarlierSilence(disk, settings);
            GroupStorage[] storages = [.. groups.Select(group => Recover(
                early, group, known.GetValueOrDefault(group.Value), newest.GetValueOrDefault(group.Value), !isNamed && fresh.Contains(group), isRecovering, silence.Ticks))];
            Array.ForEach(storages, storage => RefuseLoneVoter(settings, storage.Restart));
            MarkSnapshots(log, groups, known, newest);
            if (isRecovering)
            {
                log.AwaitRecoveryOf([.. groups.Select(group => group.Value)]);
            }

            // Made after the log: a directory that has a name and no log has lost it.
            DirectoryIdentity named = DirectoryIdentity.ReadOrCreate(disk, settings.DataDirectory, identity, new SplitMix64(settings.Seed ^ DirectorySalt).Next);
            return new NodeStorage(log, snapshots, storages, recovery.Note, named.DirectoryId, silence);
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    public void Dispose() => Log.Dispose();

    private static (WriteAheadLog Log, WalRecovery Recovery) OpenLog(
        IDisk disk, NodeSettings settings, SnapshotStore snapshots, IReadOnlyList<GroupId> groups, Dictionary<uint, SnapshotInfo> newest, EarlyLoad early)
    {
        WriteAheadLog? log = null;
        WalRecovery? recovery = null;
        early.Beside(() => log = WriteAheadLog.Open(
            disk,
            settings.DataDirectory,
            new WalIdentity(settings.ClusterId, settings.NodeId.Value),
            settings.Wal,
            recovered =>
            {
                // With the directory's lock held: nobody else removes a snapshot now.
                RefuseUnknownGroups(settings.DataDirectory, recovered, groups);
                FindSnapshots(snapshots, groups, newest);
                foreach (GroupId group in groups)
                {
                    RefuseLostSnapshot(settings.DataDirectory, recovered, newest.GetValueOrDefault(group.Value), group);
                }
            },
            out recovery));
        return (log!, recovery!);
    }

    /// <summary>Before anything is written: what is put back from a copy must find the directory as it is.</summary>
    private static void RefuseNobodyToAsk(IDisk disk, NodeSettings settings, SnapshotStore snapshots, IReadOnlyList<GroupId> groups)
    {
        bool hasNothing = !WriteAheadLog.Exists(disk, settings.DataDirectory) && groups.All(group => snapshots.List(group.Value).Count == 0);
        if (hasNothing && settings.Members.Count == 1)
        {
            throw new CorruptionException(
                settings.DataDirectory,
                0,
                $"the member has lost its log and is started as the only one of its cluster: there is nobody to mend it from. {RestoreOrJoin}");
        }
    }

    /// <summary>Looked at before the log is opened, which would make an empty one.</summary>
    private static void RefuseLostLog(IDisk disk, string directory, SnapshotStore snapshots, IReadOnlyList<GroupId> groups)
    {
        if (WriteAheadLog.Exists(disk, directory))
        {
            return;
        }

        foreach (GroupId group in groups)
        {
            if (DirectoryFit.LostLogComplaint(snapshots.List(group.Value).FirstOrDefault()?.Index, DirectoryIdentity.TryRead(disk, directory)) is { } complaint)
            {
                throw new CorruptionException(directory, 0, complaint);
            }
        }
    }

    /// <summary>A group that nobody steps would keep its votes to itself and the log's segments for ever.</summary>
    private static void RefuseUnknownGroups(string directory, IReadOnlyList<RecoveredGroup> recovered, IReadOnlyList<GroupId> groups)
    {
        if (recovered.FirstOrDefault(group => !groups.Contains(new GroupId(group.GroupId))) is { } unknown)
        {
            throw new CorruptionException(directory, 0, $"the log holds group {unknown.GroupId}, and the node was opened for {groups.Count} others");
        }
    }

    private static void FindSnapshots(SnapshotStore snapshots, IReadOnlyList<GroupId> groups, Dictionary<uint, SnapshotInfo> newest)
    {
        foreach (GroupId group in groups)
        {
            if (snapshots.List(group.Value).FirstOrDefault() is { } info)
            {
                newest.Add(group.Value, info);
            }
        }
    }

    private static bool IsEmpty(RecoveredGroup? recovered) => recovered is null || recovered.Entries.Count == 0;

    private static GroupStorage Recover(
        EarlyLoad early, GroupId group, RecoveredGroup? recovered, SnapshotInfo? newest, bool isNew, bool isRecovering, int silenceTicks)
    {
        MvccStore store = newest is null ? new MvccStore() : early.Take(group, newest);
        return new GroupStorage(group, store, Restarted(recovered, newest, store.View.Membership, isRecovering, silenceTicks), isNew);
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
    private static void Bootstrap(WriteAheadLog log, IReadOnlyList<GroupId> groups, NodeSettings settings, Dictionary<uint, RecoveredGroup> known)
    {
        byte[] membership = MembershipCodec.Encode(MemberTable.Bootstrap(settings.Members));
        var writes = new List<LogWrite>();
        foreach (GroupId group in groups)
        {
            LogHardState before = known.GetValueOrDefault(group.Value)?.HardState ?? default;
            LogHardState state = before.Term > 1 ? before with { Commit = 1 } : new LogHardState(1, before.Vote, 1);
            LogEntry[] entries = [new LogEntry(1, 1, (byte)EntryKind.Membership, membership)];
            writes.Add(new LogWrite { GroupId = group.Value, WriteId = 0, Entries = entries, HardState = state });
            known[group.Value] = new RecoveredGroup { GroupId = group.Value, Mark = default, Entries = entries, HardState = state };
        }

        log.Write(writes);
    }

    /// <summary>
    /// A member that votes alone has nobody to mend its log from, and would wait for ever. What it holds by now may be of a time when it was alone, though, before its
    /// cluster grew, or between two growths: whoever starts it with others in its list, or as a member of an existing cluster, says that there are some.
    /// </summary>
    private static void RefuseLoneVoter(NodeSettings settings, RaftRestart? restart)
    {
        bool isAlone = restart is { IsRecovering: true } && MembershipOf(restart) is { IsJoint: false, Voters: [var only] } && only == settings.NodeId;
        if (isAlone && settings.Members.Count == 1)
        {
            throw new CorruptionException(
                settings.DataDirectory,
                0,
                $"the member has lost a part of its log, and what is left of it says that it is the only voter of its cluster: there is nobody to mend it from. {RestoreOrJoin}");
        }
    }

    private static Membership? MembershipOf(RaftRestart restart)
    {
        Entry? newest = restart.Entries.Where(entry => entry.Kind == EntryKind.Membership).Select(entry => (Entry?)entry).LastOrDefault();
        return newest is { } entry ? MembershipCodec.Decode(entry.Data) : restart.Snapshot?.Membership;
    }

    /// <summary>
    /// Joins snapshot and log. The snapshot may be newer than the log's mark (a crash between the two writes) and even than its end
    /// (a snapshot received from the leader): then the log behind it is void, which the mark that is written next makes durable.
    /// </summary>
    private static RaftRestart? Restarted(RecoveredGroup? recovered, SnapshotInfo? newest, Membership membership, bool isRecovering, int silenceTicks)
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
                : new SnapshotMetadata(new LogIndex(newest.Index), new Term(newest.Term), membership),
            IsRecovering = isRecovering,
            SilenceTicks = silenceTicks,
            Entries = [.. entries.Select(e => new Entry(new Term(e.Term), new LogIndex(e.Index), (EntryKind)e.Kind, e.Data))],
        };
    }

    private static void MarkSnapshots(
        WriteAheadLog log, IReadOnlyList<GroupId> groups, Dictionary<uint, RecoveredGroup> known, Dictionary<uint, SnapshotInfo> newest)
    {
        var marks = new List<LogWrite>();
        foreach (uint groupId in groups.Select(group => group.Value))
        {
            if (newest.TryGetValue(groupId, out SnapshotInfo? info) && info.Index > (known.GetValueOrDefault(groupId)?.Mark.Index ?? 0))
            {
                marks.Add(new LogWrite { GroupId = groupId, WriteId = 0, Mark = new LogSnapshotMark(info.Index, info.Term) });
            }
        }

        if (marks.Count > 0)
        {
            log.Write(marks);
        }
    }
}

/// <summary>What a data directory held of one group.</summary>
/// <param name="Group">The group.</param>
/// <param name="Store">Its newest snapshot, loaded; empty where there is none.</param>
/// <param name="Restart">Where Raft takes up again; null where there is nothing to take up.</param>
/// <param name="IsNew">The directory held nothing of it.</param>
internal sealed record GroupStorage(GroupId Group, MvccStore Store, RaftRestart? Restart, bool IsNew);
