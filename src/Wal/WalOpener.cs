namespace MetaStore.Wal;

/// <summary>
/// Brings a log from what is on disk to a state that can be appended to. Every step can be repeated: a crash in the middle of it
/// finds the same decision again at the next start.
/// </summary>
internal static class WalOpener
{
    private static readonly byte[] Zeros = new byte[256 * 1024];

    /// <summary>Replays and mends the log; null where there is none.</summary>
    public static LogReplay? Recover(
        IDisk disk, string walDirectory, WalIdentity identity, Action<IReadOnlyList<RecoveredGroup>>? judge, out WalRecovery recovery, out LogTail? tail)
    {
        List<ulong> sequences = LogReplay.FindSegments(disk, walDirectory);
        if (sequences.Count == 0)
        {
            recovery = new WalRecovery { Groups = [], Created = true };
            tail = null;
            return null;
        }

        var replay = new LogReplay(disk, walDirectory);
        replay.Run(sequences, identity);
        List<RecoveredGroup> groups = replay.Finish();
        judge?.Invoke(groups);
        SegmentReader reader = replay.Tail!;
        WalCut? cut = replay.TailCase!.Action == RecoveryAction.Cut ? new WalCut(reader.File, reader.Offset, reader.TornBytes()) : null;
        if (KnownBugs.DamageTakenForEndOfLog)
        {
            foreach (ulong lost in sequences.Where(sequence => sequence > reader.Header.Sequence))
            {
                disk.Delete(Path.Combine(walDirectory, SegmentHeader.FileName(lost)));
            }
        }

        IDiskFile file = disk.Open(reader.File, readOnly: false);
        try
        {
            Mend(file, reader, cut);
            disk.SyncDirectory(walDirectory);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        int end = KnownBugs.TornTailNotRepaired && cut is not null
            ? reader.Offset + RecordFormat.Padded((int)cut.Bytes)
            : reader.Offset;
        recovery = new WalRecovery { Groups = groups, Created = false, Cut = cut };
        tail = new LogTail(file, reader.Seed, end, reader.NextNumber, reader.Chain, reader.LastBatchIsEmpty);
        return replay;
    }

    /// <summary>
    /// Overwrites a torn end, and writes the last sound batch once more over itself. The batch may be in the system's cache only: written
    /// just before the program was killed, or before a sync that failed, after which the system calls the pages clean though they never
    /// reached the disk. Reading it back proves nothing, a sync alone may skip it; a new write makes the sync mean something.
    /// </summary>
    private static void Mend(IDiskFile file, SegmentReader reader, WalCut? cut)
    {
        file.Write(reader.CopyLastBatch(), reader.LastBatchOffset);
        if (cut is not null && !KnownBugs.TornTailNotRepaired)
        {
            for (long at = reader.Offset; at < reader.Header.SegmentBytes; at += Zeros.Length)
            {
                file.Write(Zeros.AsSpan(0, (int)Math.Min(Zeros.Length, reader.Header.SegmentBytes - at)), at);
            }
        }

        file.SyncData();
    }
}

/// <summary>The open end of the log. Owned by the log's one writer.</summary>
internal sealed class LogTail(IDiskFile file, uint seed, int offset, ulong nextNumber, uint chain, bool lastBatchIsEmpty) : IDisposable
{
    public IDiskFile File { get; } = file;

    public uint Seed { get; } = seed;

    /// <summary>Where the next batch goes.</summary>
    public int Offset { get; set; } = offset;

    public ulong NextNumber { get; set; } = nextNumber;

    /// <summary>CRC of the last record, which the next continues.</summary>
    public uint Chain { get; set; } = chain;

    public bool LastBatchIsEmpty { get; set; } = lastBatchIsEmpty;

    public void Dispose() => File.Dispose();
}
