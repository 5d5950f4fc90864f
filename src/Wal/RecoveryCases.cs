namespace MetaStore.Wal;

/// <summary>What is known of the place in a segment where no sound batch goes on.</summary>
/// <param name="IsLast">There is no segment with a higher sequence number.</param>
/// <param name="Continued">The header of the next segment names this very end: offset, chain value and batch number. Never with IsLast.</param>
/// <param name="Closed">A sound closing record stands here: the next segment was on stable storage.</param>
/// <param name="Opened">The first batch of the segment is sound. It was on stable storage before the segment had its name.</param>
/// <param name="LaterBatch">A sound batch head stands further on, or one stands here that does not belong here.</param>
/// <param name="WrittenWhole">What stands here is the next batch but for one bit.</param>
/// <param name="EndMark">A zero length stands here, or there is no room for one.</param>
internal readonly record struct RecoveryFacts(
    bool IsLast, bool Continued, bool Closed, bool Opened, bool LaterBatch, bool WrittenWhole, bool EndMark);

/// <summary>What to do about it.</summary>
internal enum RecoveryAction
{
    /// <summary>The segment is whole: go on with the next.</summary>
    NextSegment,

    /// <summary>The log ends here, and nothing is wrong.</summary>
    End,

    /// <summary>The log ends here; what stands behind is a batch that was torn, and is overwritten with zeros.</summary>
    Cut,

    /// <summary>Synced data is damaged or missing: refuse to start.</summary>
    Refuse,
}

/// <summary>
/// The one table by which recovery decides. Every combination of facts matches exactly one row; a test proves it.
/// <list type="bullet">
/// <item>A: the next segment continues from here, so all that was written to this one was read. What stands behind is from an earlier life of the file.</item>
/// <item>B: the next segment continues from somewhere else. That segment was begun when everything before was synced, so this one has lost synced data.</item>
/// <item>C: this segment says that the log goes on in another, which was durable by then. It is missing.</item>
/// <item>D: the segment's first batch is damaged. It was synced before the file got its name.</item>
/// <item>E: a later batch is sound. It was written when everything before was synced, so what stands here was synced, too, and is damaged.</item>
/// <item>F: but for one bit the batch is sound. No torn write leaves that, so it was written whole and may have been acknowledged.</item>
/// <item>G: a zero length, and nothing behind it that counts: a clean end.</item>
/// <item>H: anything else: the last batch was torn before it was acknowledged, or the file's earlier life shows behind a batch whose end mark
/// was. It is cut. (A last batch with more than one rotten bit looks the same: see docs/FORMAT.md, "Limits".)</item>
/// </list>
/// </summary>
internal static class RecoveryCases
{
    /// <summary>What a cut means for the operator.</summary>
    public const string CutMeaning =
        "Nobody was told that a torn batch is stored; but a last batch in which more than one bit rotted, or which the disk lost after its sync, looks the same (docs/FORMAT.md, Limits).";

    // Columns as in RecoveryFacts. null: does not matter.
    private static readonly RecoveryCase[] Rows =
    [
        new('A', RecoveryAction.NextSegment, false, true, null, true, null, null, null, "the segment ends where the next one begins"),
        new('B', RecoveryAction.Refuse, false, false, null, true, null, null, null, "the next segment continues from another place: synced records are damaged or missing here"),
        new('C', RecoveryAction.Refuse, true, null, true, true, null, null, null, "the log goes on in a segment that is missing"),
        new('D', RecoveryAction.Refuse, null, null, null, false, null, null, null, "the first batch of the segment is damaged"),
        new('E', RecoveryAction.Refuse, true, null, false, true, true, null, null, "damaged before a later batch that is sound"),
        new('F', RecoveryAction.Refuse, true, null, false, true, false, true, null, "one bit is wrong in a batch that was written whole"),
        new('G', RecoveryAction.End, true, null, false, true, false, false, true, "clean end"),
        new('H', RecoveryAction.Cut, true, null, false, true, false, false, false, "torn batch"),
    ];

    /// <summary>The rows, for the test that enumerates all facts.</summary>
    public static IReadOnlyList<RecoveryCase> All => Rows;

    public static RecoveryCase Decide(in RecoveryFacts facts)
    {
        foreach (RecoveryCase row in Rows)
        {
            if (row.Matches(facts))
            {
                return row;
            }
        }

        Invariant.Fail($"no recovery case for {facts}");
        return null;
    }
}

/// <summary>One row: a letter, what to do, and the facts it asks for (null: any).</summary>
internal sealed record RecoveryCase(
    char Letter,
    RecoveryAction Action,
    bool? IsLast,
    bool? Continued,
    bool? Closed,
    bool? Opened,
    bool? LaterBatch,
    bool? WrittenWhole,
    bool? EndMark,
    string Meaning)
{
    public bool Matches(in RecoveryFacts facts)
        => (IsLast ?? facts.IsLast) == facts.IsLast
            && (Continued ?? facts.Continued) == facts.Continued
            && (Closed ?? facts.Closed) == facts.Closed
            && (Opened ?? facts.Opened) == facts.Opened
            && (LaterBatch ?? facts.LaterBatch) == facts.LaterBatch
            && (WrittenWhole ?? facts.WrittenWhole) == facts.WrittenWhole
            && (EndMark ?? facts.EndMark) == facts.EndMark;
}
