namespace MetaStore.Wal;

/// <summary>
/// The log of a node, shared by its groups: what <see cref="Write"/> returned from is on stable storage, and comes back at the next
/// <see cref="Open(IDisk, string, WalIdentity, WalOptions, out WalRecovery)"/>, or the node refuses to start and says why. Not thread-safe: one thread writes, prepares and releases
/// (<see cref="LogWriter"/> does all three); only <see cref="DiskBytes"/> may be read by others.
/// <para>The first failure of any kind poisons the log for good. A sync is never tried again: after a failed one the operating system
/// may call the pages clean though they never reached the disk.</para>
/// </summary>
public sealed class WriteAheadLog : IDisposable
{
    /// <summary>Directory of the segments within a data directory.</summary>
    internal const string DirectoryName = "wal";

    /// <summary>Kept free at the end of each segment for the batch that closes it.</summary>
    private const int ReservedBytes = BatchHead.Bytes + RecordFormat.ClosedBytes + BatchEncoder.EndMarkBytes;

    private const int SegmentsReleasedAtOnceMax = 4;
    private const int PageBytes = 4096;

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly WalIdentity _identity;
    private readonly WalOptions _options;
    private readonly IDisposable _lock;
    private readonly SegmentPool _pool;
    private readonly BatchEncoder _encoder = new();
    private readonly SortedDictionary<uint, GroupLog> _groups = [];
    private readonly List<Segment> _segments;
    private readonly string _dataDirectory;
    private readonly VoteFile _votes;
    private readonly HashSet<uint> _recovering = [];
    private LogTail? _tail;
    private Exception? _poison;
    private long _diskBytes;
    private bool _disposed;

    private WriteAheadLog(
        IDisk disk, string dataDirectory, WalIdentity identity, WalOptions options, IDisposable directoryLock, VoteFile votes, LogReplay? replay, LogTail? tail)
    {
        _disk = disk;
        _dataDirectory = dataDirectory;
        _directory = Path.Combine(dataDirectory, DirectoryName);
        _votes = votes;
        _identity = identity;
        _options = options;
        _lock = directoryLock;
        _pool = SegmentPool.Open(disk, _directory, options);
        _segments = replay?.Segments ?? [];
        _tail = tail;
        foreach (GroupReplay group in replay?.Groups.Values ?? [])
        {
            _groups.Add(group.Log.GroupId, group.Log);
        }
    }

    /// <summary>Bytes on disk: segments, and spares for the next ones.</summary>
    public long DiskBytes => Interlocked.Read(ref _diskBytes);

    /// <summary>Whether the data directory holds a log, whatever its state. Changes nothing.</summary>
    public static bool Exists(IDisk disk, string directory)
    {
        string walDirectory = Path.Combine(directory, DirectoryName);
        return disk.DirectoryExists(walDirectory) && LogReplay.FindSegments(disk, walDirectory).Count > 0;
    }

    /// <summary>
    /// Takes the lock of the data directory <paramref name="directory"/>, recovers the log in it, or makes an empty one.
    /// All that <paramref name="recovery"/> holds is on stable storage when this returns.
    /// </summary>
    /// <exception cref="CorruptionException">Synced data is damaged or missing; file, offset and cause are named.</exception>
    /// <exception cref="WalIdentityException">The directory belongs to another cluster or node.</exception>
    /// <exception cref="WalVersionException">A segment is of an unknown format version.</exception>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public static WriteAheadLog Open(IDisk disk, string directory, WalIdentity identity, WalOptions options, out WalRecovery recovery) =>
        Open(disk, directory, identity, options, judge: null, out recovery);

    /// <summary>
    /// The same; <paramref name="judge"/> sees what the log holds before anything is mended or written, and throws where the log does not fit what
    /// stands beside it. So a start that is refused leaves the directory as it was.
    /// </summary>
    /// <exception cref="CorruptionException">Synced data is damaged or missing; file, offset and cause are named.</exception>
    /// <exception cref="WalIdentityException">The directory belongs to another cluster or node.</exception>
    /// <exception cref="WalVersionException">A segment is of an unknown format version.</exception>
    /// <exception cref="DiskException">The disk failed, or the directory is in use.</exception>
    public static WriteAheadLog Open(
        IDisk disk, string directory, WalIdentity identity, WalOptions options, Action<IReadOnlyList<RecoveredGroup>>? judge, out WalRecovery recovery)
    {
        options.Validate();
        string walDirectory = Path.Combine(directory, DirectoryName);
        disk.CreateDirectory(walDirectory);
        IDisposable directoryLock = disk.LockDirectory(directory);
        LogTail? tail = null;
        WriteAheadLog? log = null;
        VoteFile? votes = null;
        try
        {
            votes = VoteFile.Read(disk, directory, identity);
            LogReplay? replay = WalOpener.Recover(disk, walDirectory, identity, judge, out recovery, out tail);
            log = new WriteAheadLog(disk, directory, identity, options, directoryLock, votes, replay, tail);
            if (tail is null)
            {
                log.Roll(0);
            }

            recovery = log.JoinVotes(recovery);
            log.CountDiskBytes();
            return log;
        }
        catch
        {
            tail?.File.Dispose();
            votes?.Dispose();
            log?._pool.Close();
            directoryLock.Dispose();
            throw;
        }
    }

    /// <summary>Makes all the writes durable with one write and one sync, in order. An empty list does nothing.</summary>
    /// <exception cref="WalPoisonedException">An earlier call failed; the inner exception is that failure.</exception>
    /// <exception cref="DiskException">The disk failed, or is full. Whether the writes come back at the next start is unknown.</exception>
    public void Write(IReadOnlyList<LogWrite> writes)
    {
        ThrowIfUnusable();
        if (writes.Count == 0)
        {
            return;
        }

        try
        {
            int bytesMax = BatchBytesMax(writes);
            int offset = _tail!.Offset;
            if ((long)offset + bytesMax + ReservedBytes > _segments[^1].Bytes)
            {
                Roll(bytesMax);
                _tail.Offset = KnownBugs.OffsetOfTheSegmentBefore ? offset : _tail.Offset;
            }

            _encoder.Begin(prefixBytes: 0);
            SaveVotes(writes);
            foreach (LogWrite write in writes)
            {
                Encode(write);
            }

            Invariant.Check(_encoder.BatchBytes <= bytesMax, $"batch of {_encoder.BatchBytes} bytes, at most {bytesMax} were expected");
            WriteBatch();
            EndRecovery(writes);
        }
        catch (Exception exception)
        {
            _poison = KnownBugs.LogGoesOnAfterFailedWrite ? null : exception;
            throw;
        }
    }

    /// <summary>The directory's recovery ends with <see cref="LogWrite.EndsRecovery"/> of all these groups; where none were named, of any.</summary>
    public void AwaitRecoveryOf(IReadOnlyList<uint> groups) => _recovering.UnionWith(groups);

    /// <summary>
    /// Gives up the oldest segments that no group needs any more: every entry in them is at or before its group's durable mark.
    /// Bounded work: a few files a call.
    /// </summary>
    /// <exception cref="WalPoisonedException">An earlier call failed.</exception>
    /// <exception cref="DiskException">The disk failed; the log is poisoned.</exception>
    public void ReleaseSegments()
    {
        ThrowIfUnusable();
        try
        {
            for (int released = 0; released < SegmentsReleasedAtOnceMax && _segments.Count > 1 && OldestSegmentNeededBy is null; released++)
            {
                ReleaseOldest();
            }
        }
        catch (Exception exception)
        {
            _poison = exception;
            throw;
        }
        finally
        {
            CountDiskBytes();
        }
    }

    /// <summary>The group that keeps the oldest segment from being released because it has entries there behind its mark; null where none does.</summary>
    public uint? OldestSegmentNeededBy => _segments[0].NeededBy(groupId => _groups[groupId].Mark.Index);

    /// <summary>Does a slice of the work of having the next segment ready, so that no write waits for it. To be called between writes.</summary>
    public void PrepareAhead()
    {
        ThrowIfUnusable();
        _pool.PrepareAhead();
        CountDiskBytes();
    }

    /// <summary>
    /// Ends the log. A healthy one gets an empty batch at its end, which bears witness that all before it was synced. A failure to write it
    /// costs nothing but that witness and is not reported.
    /// </summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        try
        {
            WriteWitness();
        }
        catch (DiskException)
        {
            // What was acknowledged is durable without it.
        }
        finally
        {
            _tail?.File.Dispose();
            _pool.Close();
            _votes.Dispose();
            _lock.Dispose();
        }
    }

    /// <summary>
    /// Term and vote, from the log or from their copy, whichever is newer. The copy is written first, so after a crash it may be ahead; the log says
    /// the same before anything else is written to it.
    /// </summary>
    private WalRecovery JoinVotes(WalRecovery recovery)
    {
        foreach (RecoveredGroup group in recovery.Groups)
        {
            _votes.Note(group.GroupId, new TermVote(group.HardState.Term, group.HardState.Vote));
        }

        _votes.Renew();
        var joined = recovery.Groups.ToDictionary(group => group.GroupId);
        var ahead = new List<LogWrite>();
        foreach ((uint groupId, TermVote state) in _votes.Groups)
        {
            RecoveredGroup group = joined.GetValueOrDefault(groupId) ?? new RecoveredGroup { GroupId = groupId, Mark = default, HardState = default, Entries = [] };
            var hardState = new LogHardState(state.Term, state.Vote, group.HardState.Commit);
            if (hardState != group.HardState)
            {
                joined[groupId] = new RecoveredGroup { GroupId = groupId, Mark = group.Mark, HardState = hardState, Entries = group.Entries };
                ahead.Add(new LogWrite { GroupId = groupId, WriteId = 0, HardState = hardState });
            }
        }

        Write(ahead);
        return new WalRecovery { Groups = [.. joined.Values.OrderBy(group => group.GroupId)], Created = recovery.Created, Cut = recovery.Cut };
    }

    /// <summary>Before the log: what is told after the log's sync is in both copies by then.</summary>
    private void SaveVotes(IReadOnlyList<LogWrite> writes)
    {
        bool isNews = false;
        foreach (LogWrite write in writes)
        {
            if (write.HardState is { } state)
            {
                isNews |= _votes.Note(write.GroupId, new TermVote(state.Term, state.Vote));
            }
        }

        if (isNews && !KnownBugs.VoteNotCopied)
        {
            _votes.Save();
        }
    }

    private void WriteWitness()
    {
        bool hasRoom = _tail is not null && _tail.Offset + BatchHead.Bytes + ReservedBytes <= _segments[^1].Bytes;
        if (_poison is null && hasRoom && !_tail!.LastBatchIsEmpty)
        {
            _encoder.Begin(prefixBytes: 0);
            WriteBatch();
        }
    }

    /// <summary>The marker goes when the last group that is waited for has caught up: it vouches for all of them.</summary>
    private void EndRecovery(IReadOnlyList<LogWrite> writes)
    {
        bool ends = false;
        foreach (LogWrite write in writes)
        {
            if (write.EndsRecovery)
            {
                _recovering.Remove(write.GroupId);
                ends = _recovering.Count == 0;
            }
        }

        if (ends)
        {
            RecoveryMarker.Remove(_disk, _dataDirectory);
        }
    }

    /// <summary>The most a batch of these writes can take; whether a truncate record is needed is not known before it is encoded.</summary>
    private static int BatchBytesMax(IReadOnlyList<LogWrite> writes)
    {
        long bytes = BatchHead.Bytes + BatchEncoder.EndMarkBytes;
        foreach (LogWrite write in writes)
        {
            bytes += RecordFormat.MarkBytes + RecordFormat.TruncateBytes + RecordFormat.HardStateBytes;
            foreach (LogEntry entry in write.Entries)
            {
                bytes += RecordFormat.EntryFixedBytes + RecordFormat.AlignmentBytes + entry.Data.Length;
            }
        }

        Invariant.Check(bytes <= WalOptions.SegmentBytesMax, $"a batch of {bytes} bytes");
        return (int)bytes;
    }

    private void Encode(LogWrite write)
    {
        GroupLog group = GroupOf(write.GroupId);
        if (write.Mark is { } mark)
        {
            string? complaint = group.MarkComplaint(mark);
            Invariant.Check(complaint is null, complaint ?? "");
            bool voids = group.MarkVoidsLog(mark);
            _encoder.AddMark(write.GroupId, mark, voids);
            group.SetMark(mark, voids);
            if (voids)
            {
                Segment.Drop(_segments, write.GroupId, 0);
            }
        }

        if (write.Entries.Count > 0 && write.Entries[0].Index <= group.LastIndex)
        {
            ulong from = write.Entries[0].Index;
            string? complaint = group.TruncateComplaint(from);
            Invariant.Check(complaint is null, complaint ?? "");
            _encoder.AddTruncate(write.GroupId, from);
            group.Truncate(from);
            Segment.Drop(_segments, write.GroupId, from);
        }

        foreach (LogEntry entry in write.Entries)
        {
            string? complaint = group.AppendComplaint(entry.Index);
            Invariant.Check(complaint is null, complaint ?? "");
            _encoder.AddEntry(write.GroupId, entry);
            group.Append(entry.Index, entry.Term);
        }

        if (write.Entries.Count > 0)
        {
            _segments[^1].Holds(write.GroupId, group.LastIndex);
        }

        if (write.HardState is { } hardState)
        {
            _encoder.AddHardState(write.GroupId, hardState);
            group.HardState = hardState;
        }
    }

    private GroupLog GroupOf(uint groupId)
    {
        if (!_groups.TryGetValue(groupId, out GroupLog? group))
        {
            group = new GroupLog(groupId);
            _groups.Add(groupId, group);
        }

        return group;
    }

    /// <summary>Writes and syncs the batch in the encoder behind the others.</summary>
    private void WriteBatch()
    {
        LogTail tail = _tail!;
        int batchBytes = _encoder.BatchBytes;
        uint chain = tail.Chain;
        ReadOnlySpan<byte> bytes = _encoder.Finish(tail.Offset, tail.NextNumber, tail.Seed, ref chain);
        tail.File.Write(bytes, tail.Offset);
        if (!KnownBugs.TailLeftUnsynced || tail.NextNumber % 2 == 0)
        {
            Sync(tail.File);
        }

        tail.LastBatchIsEmpty = _encoder.Records == 0;
        tail.Offset += batchBytes;
        tail.Chain = chain;
        tail.NextNumber++;
    }

    private static void Sync(IDiskFile file)
    {
        if (!KnownBugs.FailedSyncTriedAgain)
        {
            file.SyncData();
            return;
        }

        try
        {
            file.SyncData();
        }
        catch (DiskException)
        {
            file.SyncData();
        }
    }

    /// <summary>
    /// Begins the next segment. Its header and the restatement of all groups are on stable storage before it gets its name,
    /// and the name is before anything is written behind them; so a .wal file is never half made, and a crash anywhere leaves the old
    /// segment as the last one, or the new one whole.
    /// </summary>
    private void Roll(int batchBytesMax)
    {
        ulong sequence = _segments.Count == 0 ? 1 : _segments[^1].Sequence + 1;
        if (KnownBugs.OldSegmentClosedFirst && _tail is not null)
        {
            Close(_tail, sequence);
        }

        _encoder.Begin(SegmentHeader.Bytes);
        foreach (GroupLog group in _groups.Values)
        {
            _encoder.AddGroupState(group);
        }

        long needed = SegmentHeader.Bytes + _encoder.BatchBytes + (long)batchBytesMax + ReservedBytes;
        IDiskFile file = _pool.Take((needed + PageBytes - 1) / PageBytes * PageBytes);
        LogTail tail;
        long bytes;
        string path = Path.Combine(_directory, SegmentHeader.FileName(sequence));
        try
        {
            bytes = file.Length;
            ulong number = _tail?.NextNumber ?? 1;
            uint seed = new SegmentHeader(_identity, sequence, bytes, number, _tail?.Offset ?? 0, _tail?.Chain ?? 0).Encode(_encoder.Prefix);
            uint chain = seed;
            int batchBytes = _encoder.BatchBytes;
            file.Write(_encoder.Finish(SegmentHeader.Bytes, number, seed, ref chain), 0);
            file.SyncData();
            file.Rename(path);
            if (!KnownBugs.DirectoryNotSynced)
            {
                _disk.SyncDirectory(_directory);
            }

            tail = new LogTail(file, seed, SegmentHeader.Bytes + batchBytes, number + 1, chain, lastBatchIsEmpty: _groups.Count == 0);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        using (LogTail? old = _tail)
        {
            _tail = tail;
            _segments.Add(new Segment(sequence, path, bytes));
            CountDiskBytes();
            if (old is not null)
            {
                Close(old, sequence);
            }
        }
    }

    /// <summary>Says at the end of the old segment that there is a next one, so that its loss would be noticed.</summary>
    private void Close(LogTail old, ulong nextSequence)
    {
        _encoder.Begin(prefixBytes: 0);
        _encoder.AddClosed(nextSequence);
        uint chain = old.Chain;
        old.File.Write(_encoder.Finish(old.Offset, old.NextNumber, old.Seed, ref chain), old.Offset);
        old.File.SyncData();
    }

    /// <summary>Each file on its own and in order: were two removals to reach the disk in another order, a segment would seem to be missing.</summary>
    private void ReleaseOldest()
    {
        Segment oldest = _segments[0];
        if (oldest.Bytes == _options.SegmentBytes && _pool.WantsMore)
        {
            string spare = _pool.NewPath();
            _disk.Rename(oldest.Path, spare);
            _disk.SyncDirectory(_directory); // before it is written to: else it could come back under its old name with new content
            _pool.Add(spare);
        }
        else
        {
            _disk.Delete(oldest.Path);
            _disk.SyncDirectory(_directory);
        }

        _segments.RemoveAt(0);
    }

    private void CountDiskBytes() => Interlocked.Exchange(ref _diskBytes, _segments.Sum(segment => segment.Bytes) + _pool.DiskBytes);

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_poison is not null)
        {
            throw new WalPoisonedException(_poison);
        }
    }
}
