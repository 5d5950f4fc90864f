namespace MetaStore;

/// <summary>
/// Bugs that were found in systems like this one, each put back by one build switch (<c>-p:KnownBug=NN</c>)
/// so that the tests can be shown to find it. All are constants: a clean build contains none of the code behind them.
/// The numbers are those of the catalogue in docs/TESTING.md.
/// </summary>
internal static class KnownBugs
{
    /// <summary>An entry of an older term counts as committed by replica count alone (Raft paper, figure 8).</summary>
    public const bool OlderTermCommitsByCount =
#if KNOWN_BUG_1
        true;
#else
        false;
#endif

    /// <summary>A new leader answers a read before an entry of its own term is committed.</summary>
    public const bool ReadBeforeOwnTermCommit =
#if KNOWN_BUG_2
        true;
#else
        false;
#endif

    /// <summary>Seeing a higher vote stores it as granted: a node with a stale log is elected.</summary>
    public const bool VoteGrantedToStaleLog =
#if KNOWN_BUG_7
        true;
#else
        false;
#endif

    /// <summary>Vote and term are answered before they are durable.</summary>
    public const bool VoteAnsweredBeforeDurable =
#if KNOWN_BUG_8
        true;
#else
        false;
#endif

    /// <summary>An entry counts as committed before the only voter has it on stable storage.</summary>
    public const bool OwnAppendCountsBeforeDurable =
#if KNOWN_BUG_9
        true;
#else
        false;
#endif

    /// <summary>The in-memory log keeps old entries behind a conflicting append that is shorter than what it replaces.</summary>
    public const bool LogCacheKeepsReplacedSuffix =
#if KNOWN_BUG_16
        true;
#else
        false;
#endif

    /// <summary>A leader whose own disk takes nothing any more stays in office.</summary>
    public const bool LeaderIgnoresItsStalledDisk =
#if KNOWN_BUG_23
        true;
#else
        false;
#endif

    /// <summary>The leader keeps its lease while it hands leadership over.</summary>
    public const bool LeaseSurvivesTransfer =
#if KNOWN_BUG_80
        true;
#else
        false;
#endif

    /// <summary>The lease counts from the answer to a heartbeat, not from its sending.</summary>
    public const bool LeaseCountsFromAnswer =
#if KNOWN_BUG_81
        true;
#else
        false;
#endif

    /// <summary>A leader serves linearizable reads for as long as it believes to lead.</summary>
    public const bool LeaderReadsWithoutAsking =
#if KNOWN_BUG_6
        true;
#else
        false;
#endif

    /// <summary>A second change of the membership begins before the first is committed.</summary>
    public const bool MembershipChangesOverlap =
#if KNOWN_BUG_25
        true;
#else
        false;
#endif

    /// <summary>A restart drops the outgoing half of a joint membership.</summary>
    public const bool RestartForgetsJoint =
#if KNOWN_BUG_27
        true;
#else
        false;
#endif

    /// <summary>A member that does not know yet of its promotion refuses to vote.</summary>
    public const bool LearnerRefusesToVote =
#if KNOWN_BUG_28
        true;
#else
        false;
#endif

    /// <summary>A leader that was removed goes on leading.</summary>
    public const bool RemovedLeaderStays =
#if KNOWN_BUG_29
        true;
#else
        false;
#endif

    /// <summary>A new file is renamed into place without syncing its directory.</summary>
    public const bool DirectoryNotSynced =
#if KNOWN_BUG_36
        true;
#else
        false;
#endif

    /// <summary>A torn last record is passed over but not cut away before new records are appended.</summary>
    public const bool TornTailNotRepaired =
#if KNOWN_BUG_37
        true;
#else
        false;
#endif

    /// <summary>A damaged record ends its segment, and the next segment is replayed all the same.</summary>
    public const bool ReplayContinuesAfterDamage =
#if KNOWN_BUG_41
        true;
#else
        false;
#endif

    /// <summary>A checksum mismatch anywhere is taken for the end of the log.</summary>
    public const bool DamageTakenForEndOfLog =
#if KNOWN_BUG_42
        true;
#else
        false;
#endif

    /// <summary>The snapshot records an applied index ahead of the data it holds.</summary>
    public const bool AppliedIndexAheadOfData =
#if KNOWN_BUG_53
        true;
#else
        false;
#endif

    /// <summary>The compacted state forgets the current revision: it goes backwards after a restart.</summary>
    public const bool RevisionLostByCompaction =
#if KNOWN_BUG_58
        true;
#else
        false;
#endif
}
