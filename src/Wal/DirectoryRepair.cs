namespace MetaStore.Wal;

/// <summary>
/// Prepares the damaged directory of a stopped member so that it can start again and mend itself from its peers: what is sound of log and
/// snapshots stays, the rest is moved aside, and the <see cref="RecoveryMarker"/> says that the member has to catch up before it votes. Nothing is deleted.
/// <para>
/// It rests on the member's term and vote, which must be known: from the copies outside the log (<see cref="VoteFile"/>), or from a log that is
/// whole. Each step leaves a directory that either does not start, or starts as a recovering member, or can be repaired again.
/// </para>
/// </summary>
public sealed class DirectoryRepair
{
    /// <summary>What was moved aside is in directories of this name and a number, within the data directory.</summary>
    internal const string AsideName = "damaged-";

    private const int BytesPerWrite = 4 << 20;

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly WalIdentity _identity;
    private readonly VoteFile _votes;
    private readonly LogReplay _replay;
    private readonly bool _keepsNothing;
    private readonly List<SnapshotReport> _keptSnapshots;
    private readonly List<string> _moved = [];
    private List<string> _misnamed = [];

    private DirectoryRepair(IDisk disk, string directory, WalIdentity identity, VoteFile votes, LogReplay replay, WalReport report, bool isDiverged)
    {
        _disk = disk;
        _directory = directory;
        _identity = identity;
        _votes = votes;
        _replay = replay;
        _keepsNothing = isDiverged;
        Report = report;
        _keptSnapshots = isDiverged ? [] : [.. report.Snapshots.Where(snapshot => snapshot.IsSound)];
        Groups = [.. replay.Groups.Values.Select(group => group.Log.GroupId).Union(_keptSnapshots.Select(snapshot => snapshot.GroupId)).Order().Select(Keep)];
        foreach (GroupReplay group in replay.Groups.Values)
        {
            _votes.Note(group.Log.GroupId, new TermVote(group.Log.HardState.Term, group.Log.HardState.Vote));
        }
    }

    /// <summary>What the inspection found.</summary>
    public WalReport Report { get; }

    /// <summary>Whether there is anything to do.</summary>
    public bool IsNeeded => _keepsNothing || !Report.IsSound;

    /// <summary>Nothing is wrong but that files lie among the log's segments that are none: without them the member starts as it was.</summary>
    public bool IsOnlyMisnamed => IsNeeded && !_keepsNothing && Report.Findings.Where(finding => finding.IsDamage).All(finding => _misnamed.Contains(finding.File));

    /// <summary>The member has been repaired before, and has not caught up since.</summary>
    public bool IsRecovering => RecoveryMarker.Exists(_disk, _directory);

    /// <summary>What stays of each group.</summary>
    public IReadOnlyList<KeptGroup> Groups { get; }

    /// <summary>All entries that can be read, whether or not they stay.</summary>
    public IEnumerable<LogEntry> ReadableEntries(uint groupId) =>
        _replay.Groups.TryGetValue(groupId, out GroupReplay? group) ? group.Entries : [];

    /// <summary>Where the files went that were moved aside; null before <see cref="Execute"/>.</summary>
    public string? Aside { get; private set; }

    /// <summary>The files that were moved aside, by name.</summary>
    public IReadOnlyList<string> Moved => _moved;

    /// <summary>Examines a directory, and changes nothing.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The data directory.</param>
    /// <param name="isDiverged">The state that the member came to is wrong, whatever its checksums say: no snapshot and no entry stays.</param>
    /// <exception cref="RepairRefusedException">It cannot be repaired; the message says why, and what can be done.</exception>
    /// <exception cref="WalVersionException">A file is of another version.</exception>
    /// <exception cref="WalIdentityException">A file is of another cluster or node.</exception>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static DirectoryRepair Examine(IDisk disk, string directory, bool isDiverged)
    {
        ArgumentNullException.ThrowIfNull(disk);
        WalIdentity identity = RequireName(disk, directory);
        disk.LockDirectory(directory).Dispose(); // Nobody writes to what is looked at.
        RequireSilence(disk, directory);
        var votes = VoteFile.Read(disk, directory, identity);
        string walDirectory = Path.Combine(directory, WriteAheadLog.DirectoryName);
        var replay = new LogReplay(disk, walDirectory);
        List<ulong> sequences = LogReplay.FindSegments(disk, walDirectory, out List<string> misnamed);
        CorruptionException? damage = replay.RunToDamage(sequences, identity);
        bool logIsWhole = damage is null && sequences.Count > 0;
        if (!votes.IsKnown && !logIsWhole)
        {
            throw new RepairRefusedException(
                "the log is damaged, and so are both copies of the member's term and vote: it could vote twice in one term. "
                + "Only this is safe: metastore member remove, and a new member on an empty directory");
        }

        return new DirectoryRepair(disk, directory, identity, votes, replay, WalInspector.Inspect(disk, directory), isDiverged) { _misnamed = misnamed };
    }

    /// <summary>Does it, with the lock of the directory held: a member that runs on it is not disturbed.</summary>
    /// <param name="options">How the new log is laid out.</param>
    /// <exception cref="DiskException">The disk failed or is full, or the directory is in use. To be run again.</exception>
    public void Execute(WalOptions options)
    {
        using (_disk.LockDirectory(_directory))
        {
            if (IsOnlyMisnamed)
            {
                _votes.Dispose();
                MoveAside(name => _misnamed.Exists(path => Path.GetFileName(path) == name), _ => false);
                return;
            }

            _votes.Renew();
            RecoveryMarker.Write(_disk, _directory, _identity);
            MoveAside(IsSegment, name => name.EndsWith(SnapshotHeader.FileSuffix, StringComparison.Ordinal) && !IsKept(name));
        }

        _votes.Dispose();
        if (Groups.Any(group => group.Entries.Count > 0))
        {
            // A member that is started in between finds no log, and recovers without these entries.
            WriteLog(options);
        }
    }

    private static WalIdentity RequireName(IDisk disk, string directory)
    {
        try
        {
            return DirectoryIdentity.TryRead(disk, directory)?.Identity ?? throw new RepairRefusedException(
                $"{directory} has no {DirectoryIdentity.FileName}: the member has not come through its first start, or the file is lost, and its peers will not know it. "
                + "Start it if its first start was cut short; else metastore member remove, and a new member on an empty directory");
        }
        catch (CorruptionException damage)
        {
            throw new RepairRefusedException($"{damage.Message}: its peers will not know the member. Only this is safe: metastore member remove, and a new member on an empty directory", damage);
        }
    }

    /// <summary>No peer knows for how long the member promised silence, but whoever knows how long it has been stopped need not know it either.</summary>
    private static void RequireSilence(IDisk disk, string directory)
    {
        try
        {
            SilenceFile.Read(disk, directory);
        }
        catch (CorruptionException damage)
        {
            throw new RepairRefusedException(damage.Message, damage);
        }
    }

    /// <summary>
    /// What stays of a group: the newest sound snapshot, and the entries that follow it without a gap. Entries before the damage are this member's own
    /// log as it once was. They need not be what it acknowledged last; a recovering member finds out as every follower does.
    /// </summary>
    private KeptGroup Keep(uint groupId)
    {
        SnapshotReport? snapshot = _keptSnapshots.Where(candidate => candidate.GroupId == groupId).MaxBy(candidate => candidate.Info.Index);
        LogSnapshotMark? mark = snapshot is null ? null : new LogSnapshotMark(snapshot.Info.Index, snapshot.Info.Term);
        if (_keepsNothing || !_replay.Groups.TryGetValue(groupId, out GroupReplay? group))
        {
            return new KeptGroup(groupId, mark, 0, []);
        }

        ulong start = mark?.Index ?? 0;
        bool agrees = start == 0 || group.Log.TermAt(start) == mark!.Value.Term;
        List<LogEntry> entries = agrees ? [.. group.Entries.Where(entry => entry.Index > start)] : [];
        bool follows = entries.Count > 0 && entries[0].Index == start + 1;
        return new KeptGroup(groupId, mark, group.Log.HardState.Commit, follows ? entries : []);
    }

    /// <summary>
    /// A directory that is whole again (its files were put back from a copy) is no recovering member's any more. Only for a member that has no peers: any other
    /// finds out from them.
    /// </summary>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public void EndRecovery()
    {
        Invariant.Check(!IsNeeded, "a damaged directory is taken for whole");
        using (_disk.LockDirectory(_directory))
        {
            RecoveryMarker.Remove(_disk, _directory);
        }
    }

    private static bool IsSegment(string name) => name.EndsWith(SegmentHeader.FileSuffix, StringComparison.Ordinal);

    private bool IsKept(string name) => _keptSnapshots.Exists(snapshot => Path.GetFileName(snapshot.File) == name);

    private void MoveAside(Predicate<string> ofLog, Predicate<string> ofSnapshots)
    {
        string walDirectory = Path.Combine(_directory, WriteAheadLog.DirectoryName);
        string snapshotDirectory = Path.Combine(_directory, SnapshotStore.DirectoryName);
        string aside = FreeName();
        _disk.CreateDirectory(aside);
        Aside = aside;
        Move(snapshotDirectory, ofSnapshots);
        Move(walDirectory, ofLog);
    }

    private string FreeName()
    {
        int number = 1;
        while (_disk.DirectoryExists(Path.Combine(_directory, $"{AsideName}{number}")))
        {
            number++;
        }

        return Path.Combine(_directory, $"{AsideName}{number}");
    }

    private void Move(string from, Predicate<string> isMoved)
    {
        foreach (string name in _disk.DirectoryExists(from) ? _disk.ListFiles(from).Where(name => isMoved(name)) : [])
        {
            _disk.Rename(Path.Combine(from, name), Path.Combine(Aside!, name));
            _disk.SyncDirectory(Aside!); // First the new name, then the loss of the old one.
            _disk.SyncDirectory(from);
            _moved.Add(name);
        }
    }

    private void WriteLog(WalOptions options)
    {
        using WriteAheadLog log = WriteAheadLog.Open(_disk, _directory, _identity, options, out WalRecovery recovery);
        if (!recovery.Created)
        {
            return; // Somebody was quicker, and has begun a log.
        }

        foreach (KeptGroup group in Groups.Where(group => group.Entries.Count > 0))
        {
            TermVote vote = _votes.Groups.GetValueOrDefault(group.GroupId);
            LogSnapshotMark? mark = group.Snapshot;
            int next = 0;
            while (next < group.Entries.Count)
            {
                List<LogEntry> entries = TakePiece(group.Entries, ref next);
                var state = new LogHardState(vote.Term, vote.Vote, Math.Min(group.Commit, entries[^1].Index));
                log.Write([new LogWrite { GroupId = group.GroupId, WriteId = 0, Mark = mark, Entries = entries, HardState = state }]);
                mark = null;
            }
        }
    }

    private static List<LogEntry> TakePiece(IReadOnlyList<LogEntry> entries, ref int next)
    {
        var piece = new List<LogEntry>();
        for (long bytes = 0; next < entries.Count && bytes < BytesPerWrite; next++)
        {
            piece.Add(entries[next]);
            bytes += entries[next].Data.Length + RecordFormat.EntryFixedBytes;
        }

        return piece;
    }
}

/// <summary>What a repair keeps of one group.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="Snapshot">The snapshot that stays; null for none.</param>
/// <param name="Commit">How far the log is known to be committed; may be beyond the entries.</param>
/// <param name="Entries">The entries that stay, behind the snapshot.</param>
public sealed record KeptGroup(uint GroupId, LogSnapshotMark? Snapshot, ulong Commit, IReadOnlyList<LogEntry> Entries);

/// <summary>A directory cannot be repaired, or must not be; the message says why, and what can be done.</summary>
public sealed class RepairRefusedException(string message, Exception? inner = null) : Exception(message, inner);
