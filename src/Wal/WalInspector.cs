namespace MetaStore.Wal;

/// <summary>
/// Looks over a data directory without changing anything, and without taking its lock: for the operator's question whether the files are sound.
/// A directory that a node is writing to may look torn at its end.
/// </summary>
public static class WalInspector
{
    /// <summary>Reads every segment, every snapshot and the directory's name, and whether they fit together. What is wrong becomes a finding; nothing is thrown for it.</summary>
    public static WalReport Inspect(IDisk disk, string directory)
    {
        var findings = new List<WalFinding>();
        var segments = new List<SegmentReport>();
        WalIdentity? identity = null;
        List<GroupReport> groups = [];
        bool hasLog = InspectLog(disk, Path.Combine(directory, WriteAheadLog.DirectoryName), segments, ref groups, ref identity, findings);
        DirectoryIdentity? named = InspectName(disk, directory, identity, findings);
        List<SnapshotReport> snapshots = InspectSnapshots(disk, Path.Combine(directory, SnapshotStore.DirectoryName), identity ?? named?.Identity, findings);
        InspectFit(directory, hasLog, groups, snapshots, named, findings, isRecovering: NoteRecovery(disk, directory, findings));
        NoteVotes(disk, directory, findings);
        NoteSilence(disk, directory, findings);
        return new WalReport(identity ?? named?.Identity, named, segments, groups, snapshots, findings);
    }

    private static DirectoryIdentity? InspectName(IDisk disk, string directory, WalIdentity? logOf, List<WalFinding> findings)
    {
        try
        {
            DirectoryIdentity? named = DirectoryIdentity.TryRead(disk, directory);
            return named is null || logOf is not { } log || named.Identity == log
                ? named
                : throw new WalIdentityException(Path.Combine(directory, DirectoryIdentity.FileName), named.Identity, log);
        }
        catch (Exception exception) when (IsAboutTheFiles(exception))
        {
            findings.Add(FindingOf(exception, directory));
            return null;
        }
    }

    private static bool NoteRecovery(IDisk disk, string directory, List<WalFinding> findings)
    {
        bool isRecovering = RecoveryMarker.Exists(disk, directory);
        if (isRecovering)
        {
            findings.Add(new WalFinding(
                Path.Combine(directory, RecoveryMarker.FileName), 0, "the member is recovering: it votes for nobody until it has caught up", IsDamage: false));
        }

        return isRecovering;
    }

    /// <summary>A copy of term and vote that cannot be read keeps nobody from a start: the log has them, and the copy is written anew.</summary>
    private static void NoteVotes(IDisk disk, string directory, List<WalFinding> findings) =>
        findings.AddRange(VoteFile.FileNames
            .Select(name => Path.Combine(directory, name))
            .Where(disk.FileExists)
            .Where(path => VoteFile.DamageOf(disk, path) is not null)
            .Select(path => new WalFinding(path, 0, "this copy of term and vote cannot be read; the next start writes it anew from the log", IsDamage: false)));

    private static void NoteSilence(IDisk disk, string directory, List<WalFinding> findings)
    {
        try
        {
            SilenceFile.Read(disk, directory);
        }
        catch (Exception exception) when (IsAboutTheFiles(exception))
        {
            findings.Add(FindingOf(exception, directory));
        }
    }

    /// <summary>Snapshots count by their names here: one that is damaged has a finding of its own already.</summary>
    private static void InspectFit(
        string directory,
        bool hasLog,
        List<GroupReport> groups,
        List<SnapshotReport> snapshots,
        DirectoryIdentity? named,
        List<WalFinding> findings,
        bool isRecovering)
    {
        ulong? Newest(Func<SnapshotReport, bool> of) => snapshots.Where(of).Max(snapshot => (ulong?)snapshot.Info.Index);
        IEnumerable<string?> complaints = hasLog
            ? groups.Select(group => DirectoryFit.LostSnapshotComplaint(group.Mark, Newest(snapshot => snapshot.GroupId == group.GroupId)))
            : [isRecovering ? null : DirectoryFit.LostLogComplaint(Newest(_ => true), named)];
        findings.AddRange(complaints.OfType<string>().Select(complaint => new WalFinding(directory, 0, complaint, IsDamage: true)));
    }

    /// <summary>Whether there is a log, whatever its state.</summary>
    private static bool InspectLog(
        IDisk disk,
        string walDirectory,
        List<SegmentReport> segments,
        ref List<GroupReport> groups,
        ref WalIdentity? identity,
        List<WalFinding> findings)
    {
        var open = new Dictionary<ulong, SegmentTally>();
        LogReplay? replay = null;
        try
        {
            List<ulong> sequences = LogReplay.FindSegments(disk, walDirectory, out List<string> misnamed);
            findings.AddRange(misnamed.Select(path => FindingOf(LogReplay.Misnamed(path), path)));
            if (sequences.Count == 0)
            {
                findings.Add(new WalFinding(walDirectory, 0, "there is no log", IsDamage: false));
                return false;
            }

            replay = new LogReplay(disk, walDirectory)
            {
                OnRecord = (segment, type, group, index) => Tally(open, segment).Add(type, group, index),
            };
            replay.Run(sequences, identity: null);
            identity = replay.Tail!.Header.Identity;
            groups = [.. replay.Finish().Select(group => new GroupReport(
                group.GroupId,
                group.Mark,
                group.HardState,
                group.Entries.Count == 0 ? null : group.Entries[0].Index,
                group.Entries.Count == 0 ? null : group.Entries[^1].Index))];
            if (replay.TailCase!.Action == RecoveryAction.Cut)
            {
                findings.Add(new WalFinding(
                    replay.Tail.File,
                    replay.Tail.Offset,
                    $"{replay.TailCase.Meaning}: {replay.Tail.TornBytes()} bytes will be cut at the next start (case {replay.TailCase.Letter}). {RecoveryCases.CutMeaning}",
                    IsDamage: false));
            }
        }
        catch (Exception exception) when (IsAboutTheFiles(exception))
        {
            findings.Add(FindingOf(exception, walDirectory));
        }

        foreach (Segment segment in replay?.Segments ?? [])
        {
            segments.Add(Tally(open, segment).ToReport());
        }

        return true;
    }

    private static List<SnapshotReport> InspectSnapshots(IDisk disk, string snapshotDirectory, WalIdentity? identity, List<WalFinding> findings)
    {
        var reports = new List<SnapshotReport>();
        if (!disk.DirectoryExists(snapshotDirectory))
        {
            return reports; // None was ever taken, or all are gone: which of the two, the log's marks tell.
        }

        IReadOnlyList<string> names;
        try
        {
            names = disk.ListFiles(snapshotDirectory);
        }
        catch (DiskException exception)
        {
            findings.Add(FindingOf(exception, snapshotDirectory) with { IsDamage = false });
            return reports;
        }

        foreach (string name in names)
        {
            string path = Path.Combine(snapshotDirectory, name);
            if (!SnapshotHeader.TryParseFileName(name, out uint groupId, out ulong index, out ulong term))
            {
                findings.Add(new WalFinding(path, 0, "not a snapshot; left over from a crash, or not of this program", IsDamage: false));
                continue;
            }

            var info = new SnapshotInfo(index, term, default);
            try
            {
                IDiskFile file = disk.Open(path, readOnly: true);
                using var owner = file;
                SnapshotHeader header = SnapshotHeader.Read(file, identity?.ClusterId, out uint crc);
                SnapshotReader.RequireNamed(file, header, groupId, index, term);
                info = header.Info; // The header has a checksum of its own: what it says holds whatever comes behind.
                ulong payload = new SnapshotReader(file, header, crc).Verify();
                reports.Add(new SnapshotReport(path, groupId, header.Info, file.Length, payload, IsSound: true));
            }
            catch (Exception exception) when (IsAboutTheFiles(exception))
            {
                findings.Add(FindingOf(exception, path));
                reports.Add(new SnapshotReport(path, groupId, info, 0, 0, IsSound: false));
            }
        }

        return reports;
    }

    private static SegmentTally Tally(Dictionary<ulong, SegmentTally> tallies, Segment segment)
    {
        if (!tallies.TryGetValue(segment.Sequence, out SegmentTally? tally))
        {
            tallies[segment.Sequence] = tally = new SegmentTally(segment);
        }

        return tally;
    }

    private static bool IsAboutTheFiles(Exception exception)
        => exception is CorruptionException or WalIdentityException or WalVersionException or DiskException;

    private static WalFinding FindingOf(Exception exception, string path) => exception switch
    {
        CorruptionException corruption => new WalFinding(corruption.File, corruption.Offset, corruption.Cause, IsDamage: true),
        WalIdentityException other => new WalFinding(other.File, 0, other.Message, IsDamage: true),
        WalVersionException version => new WalFinding(version.File, 0, version.Message, IsDamage: true),
        _ => new WalFinding((exception as DiskException)?.FilePath ?? path, 0, exception.Message, IsDamage: true),
    };

    private sealed class SegmentTally(Segment segment)
    {
        private readonly SortedDictionary<uint, (ulong First, ulong Last)> _entries = [];
        private readonly SortedSet<uint> _groups = [];
        private long _records;

        public void Add(RecordType type, uint groupId, ulong index)
        {
            _records++;
            _groups.Add(groupId);
            if (type == RecordType.Entry)
            {
                (ulong first, ulong last) = _entries.TryGetValue(groupId, out (ulong First, ulong Last) range) ? range : (index, index);
                _entries[groupId] = (Math.Min(first, index), Math.Max(last, index));
            }
        }

        public SegmentReport ToReport()
            => new(segment.Path, segment.Sequence, segment.Bytes, _records, [.. _groups.Select(RangeOf)]);

        private EntryRange RangeOf(uint groupId)
            => _entries.TryGetValue(groupId, out (ulong First, ulong Last) range)
                ? new EntryRange(groupId, range.First, range.Last)
                : new EntryRange(groupId, null, null);
    }
}

/// <summary>What an inspection saw.</summary>
/// <param name="Identity">Whose directory it is; null where that could not be read.</param>
/// <param name="Named">The directory's own name; null where it has none or it could not be read.</param>
/// <param name="Segments">The segments read, oldest first; reading ends at the first that is damaged.</param>
/// <param name="Groups">What a start would recover; empty where it would be refused.</param>
/// <param name="Snapshots">The snapshot files.</param>
/// <param name="Findings">All that is worth a look.</param>
public sealed record WalReport(
    WalIdentity? Identity,
    DirectoryIdentity? Named,
    IReadOnlyList<SegmentReport> Segments,
    IReadOnlyList<GroupReport> Groups,
    IReadOnlyList<SnapshotReport> Snapshots,
    IReadOnlyList<WalFinding> Findings)
{
    /// <summary>Whether nothing is damaged.</summary>
    public bool IsSound => Findings.All(finding => !finding.IsDamage);
}

/// <summary>One thing worth a look.</summary>
/// <param name="File">The file or directory.</param>
/// <param name="Offset">Where in it, in bytes.</param>
/// <param name="Cause">What it is.</param>
/// <param name="IsDamage">Whether a node would refuse to start, or to use the file, for it.</param>
public sealed record WalFinding(string File, long Offset, string Cause, bool IsDamage);

/// <summary>One segment, as far as it could be read.</summary>
/// <param name="File">The file.</param>
/// <param name="Sequence">Its sequence number.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Records">Records in it, those that open and close batches aside.</param>
/// <param name="Groups">The groups that have records in it.</param>
public sealed record SegmentReport(string File, ulong Sequence, long Bytes, long Records, IReadOnlyList<EntryRange> Groups);

/// <summary>The lowest and highest index of a group's entries in a segment; null where it has only other records there.</summary>
public sealed record EntryRange(uint GroupId, ulong? FirstIndex, ulong? LastIndex);

/// <summary>What the log holds of one group.</summary>
public sealed record GroupReport(uint GroupId, LogSnapshotMark Mark, LogHardState HardState, ulong? FirstIndex, ulong? LastIndex);

/// <summary>One snapshot file.</summary>
/// <param name="File">The file.</param>
/// <param name="GroupId">Its group.</param>
/// <param name="Info">What it stands for.</param>
/// <param name="Bytes">Length of the file.</param>
/// <param name="PayloadBytes">Length of its content.</param>
/// <param name="IsSound">Whether every checksum holds.</param>
public sealed record SnapshotReport(string File, uint GroupId, SnapshotInfo Info, long Bytes, ulong PayloadBytes, bool IsSound);
