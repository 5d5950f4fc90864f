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

    /// <summary>All rounds of heartbeats that confirm reads carry one context: a late answer to an earlier round vouches for a later read.</summary>
    public const bool ReadRoundsShareTheirName =
#if KNOWN_BUG_3
        true;
#else
        false;
#endif

    /// <summary>A read that found no leader, or whose messages were lost, is not asked again.</summary>
    public const bool LostReadNeverAskedAgain =
#if KNOWN_BUG_5
        true;
#else
        false;
#endif

    /// <summary>The term of an entry that is not held is 0, and 0 matches 0.</summary>
    public const bool MissingEntryHasTermZero =
#if KNOWN_BUG_10
        true;
#else
        false;
#endif

    /// <summary>The search for the conflict in a log goes on below where the log was compacted.</summary>
    public const bool ConflictSearchLeavesTheLog =
#if KNOWN_BUG_11
        true;
#else
        false;
#endif

    /// <summary>Committed entries that do not fit into one page are skipped.</summary>
    public const bool PageEndSkipsTheRest =
#if KNOWN_BUG_12
        true;
#else
        false;
#endif

    /// <summary>Acknowledged Appends give their bytes not back to the window.</summary>
    public const bool WindowBytesLeak =
#if KNOWN_BUG_13
        true;
#else
        false;
#endif

    /// <summary>A peer whose probe was lost is never sent another.</summary>
    public const bool ProbeNeverResumed =
#if KNOWN_BUG_14
        true;
#else
        false;
#endif

    /// <summary>The receipt of a write counts for what replaced its entries since (the ABA case).</summary>
    public const bool ReceiptVouchesForLaterWrite =
#if KNOWN_BUG_15
        true;
#else
        false;
#endif

    /// <summary>An old Append cuts the log at its first entry, below what is committed.</summary>
    public const bool OldAppendCutsTheLog =
#if KNOWN_BUG_18
        true;
#else
        false;
#endif

    /// <summary>Cutting the log takes back one membership only, however many are cut away.</summary>
    public const bool CutTakesBackOneMembership =
#if KNOWN_BUG_19
        true;
#else
        false;
#endif

    /// <summary>A read is served before the log is applied through its read index.</summary>
    public const bool ReadOfHalfReplayedState =
#if KNOWN_BUG_20
        true;
#else
        false;
#endif

    /// <summary>A member that lost its data directory is let in under its old id.</summary>
    public const bool WipedMemberMayVote =
#if KNOWN_BUG_21
        true;
#else
        false;
#endif

    /// <summary>No pre-vote, and a leader that works protects from no election: a node that was cut off unseats it.</summary>
    public const bool CutOffNodeUnseatsTheLeader =
#if KNOWN_BUG_22
        true;
#else
        false;
#endif

    /// <summary>With each commit the leader proposes again to leave the joint membership.</summary>
    public const bool JointLeftAgainAndAgain =
#if KNOWN_BUG_26
        true;
#else
        false;
#endif

    /// <summary>The ids of removed members are not kept: one may come back.</summary>
    public const bool RemovedMemberForgotten =
#if KNOWN_BUG_31
        true;
#else
        false;
#endif

    /// <summary>A change of a member's addresses clears that it is a learner.</summary>
    public const bool UpdateMakesLearnerVoter =
#if KNOWN_BUG_32
        true;
#else
        false;
#endif

    /// <summary>Peers of another cluster are let in.</summary>
    public const bool OtherClusterAccepted =
#if KNOWN_BUG_33
        true;
#else
        false;
#endif

    /// <summary>A learner that is not there, or lacks most of the log, is promoted.</summary>
    public const bool LearnerPromotedUnseen =
#if KNOWN_BUG_34
        true;
#else
        false;
#endif

    /// <summary>The next entry for a new member is number 0.</summary>
    public const bool NewcomerBeginsAtZero =
#if KNOWN_BUG_35
        true;
#else
        false;
#endif

    /// <summary>A record's length is believed whatever bytes are left.</summary>
    public const bool LengthNotBounded =
#if KNOWN_BUG_38
        true;
#else
        false;
#endif

    /// <summary>Records that a recycled segment held before it was one are taken for its own.</summary>
    public const bool StaleRecordsCount =
#if KNOWN_BUG_40
        true;
#else
        false;
#endif

    /// <summary>The old segment says that the log goes on before the next one is there.</summary>
    public const bool OldSegmentClosedFirst =
#if KNOWN_BUG_43
        true;
#else
        false;
#endif

    /// <summary>The reader leaves in its buffer what it made of a batch that was not sound.</summary>
    public const bool ReaderKeepsWhatFailed =
#if KNOWN_BUG_44
        true;
#else
        false;
#endif

    /// <summary>The offset of a batch is taken before the log goes on to the next segment.</summary>
    public const bool OffsetOfTheSegmentBefore =
#if KNOWN_BUG_45
        true;
#else
        false;
#endif

    /// <summary>Every other batch waits for the next sync, which at a stop never comes.</summary>
    public const bool TailLeftUnsynced =
#if KNOWN_BUG_46
        true;
#else
        false;
#endif

    /// <summary>After a write that failed, on a full disk say, the log goes on.</summary>
    public const bool LogGoesOnAfterFailedWrite =
#if KNOWN_BUG_47
        true;
#else
        false;
#endif

    /// <summary>A sync that failed is tried again, and the second answer believed.</summary>
    public const bool FailedSyncTriedAgain =
#if KNOWN_BUG_48
        true;
#else
        false;
#endif

    /// <summary>The log is cut on the word of a snapshot that is not on stable storage.</summary>
    public const bool LogCutBeforeSnapshotIsDurable =
#if KNOWN_BUG_49
        true;
#else
        false;
#endif

    /// <summary>The newest snapshot is chosen by its term, as text.</summary>
    public const bool NewestSnapshotByTermText =
#if KNOWN_BUG_50
        true;
#else
        false;
#endif

    /// <summary>A log that ends before the snapshot is taken up as it is.</summary>
    public const bool LogNotAlignedWithSnapshot =
#if KNOWN_BUG_51
        true;
#else
        false;
#endif

    /// <summary>The node's own applied index overwrites that of a snapshot it received.</summary>
    public const bool OwnAppliedIndexInForeignSnapshot =
#if KNOWN_BUG_55
        true;
#else
        false;
#endif

    /// <summary>A snapshot begins while another is being written.</summary>
    public const bool SnapshotsOverlap =
#if KNOWN_BUG_57
        true;
#else
        false;
#endif

    /// <summary>Whether a transaction may read an old revision depends on how much history this node still holds.</summary>
    public const bool TxnReadsWhatIsStillHeld =
#if KNOWN_BUG_59
        true;
#else
        false;
#endif

    /// <summary>A transaction that fails after its first put leaves that put behind.</summary>
    public const bool TxnAppliedInPart =
#if KNOWN_BUG_60
        true;
#else
        false;
#endif

    /// <summary>A deleted key stays in the count of its range.</summary>
    public const bool DeletedKeyStaysCounted =
#if KNOWN_BUG_61
        true;
#else
        false;
#endif

    /// <summary>A state older than where the log begins is accepted.</summary>
    public const bool StateBehindTheMarkAccepted =
#if KNOWN_BUG_64
        true;
#else
        false;
#endif

    /// <summary>Whoever led goes on letting leases run out, and hands their revocation to whoever leads now.</summary>
    public const bool DeposedLeaderRevokes =
#if KNOWN_BUG_76
        true;
#else
        false;
#endif

    /// <summary>A watch from a revision to come is told of what happens before it.</summary>
    public const bool FutureWatchToldOfThePast =
#if KNOWN_BUG_69
        true;
#else
        false;
#endif

    /// <summary>A lease whose revocation is in the log already is renewed all the same.</summary>
    public const bool RenewedWhileRevoked =
#if KNOWN_BUG_77
        true;
#else
        false;
#endif

    /// <summary>What was removed at the compacted revision itself leaves nothing behind: a watch from there misses it.</summary>
    public const bool DeletionAtCompactedRevisionForgotten =
#if KNOWN_BUG_58 || KNOWN_BUG_71
        true;
#else
        false;
#endif

    /// <summary>A new leader renews leases before it has applied what was granted before it, and before it knows that it leads.</summary>
    public const bool LessorBeforeApply =
#if KNOWN_BUG_78
        true;
#else
        false;
#endif

    /// <summary>Word of the progress of a watch comes before the events that it vouches for.</summary>
    public const bool ProgressOvertakesEvents =
#if KNOWN_BUG_72
        true;
#else
        false;
#endif

    /// <summary>Each new leader begins every lease with all of its time to live, whatever the checkpoints say.</summary>
    public const bool LeaseBegunAnewByEachLeader =
#if KNOWN_BUG_79
        true;
#else
        false;
#endif

    /// <summary>A client takes its watch up again at the last revision that it was told of, not behind it.</summary>
    public const bool WatchResumedAtTheLastRevision =
#if KNOWN_BUG_73
        true;
#else
        false;
#endif

    /// <summary>Whether a log segment may go is asked of one group only.</summary>
    public const bool SegmentsReleasedForOneGroup =
#if KNOWN_BUG_85
        true;
#else
        false;
#endif

    /// <summary>The client repeats writes that may have been applied.</summary>
    public const bool UncertainWriteRepeated =
#if KNOWN_BUG_87
        true;
#else
        false;
#endif

    /// <summary>The comparison of states holds hashes of different indexes against each other.</summary>
    public const bool StatesOfOtherIndexesCompared =
#if KNOWN_BUG_88
        true;
#else
        false;
#endif

    /// <summary>A witness is sent entries that no disk with data has yet: where the leader loses them, nobody can be elected.</summary>
    public const bool WitnessAheadOfAllDisks =
#if KNOWN_BUG_90
        true;
#else
        false;
#endif

    /// <summary>A witness stands for election like any voter.</summary>
    public const bool WitnessStands =
#if KNOWN_BUG_91
        true;
#else
        false;
#endif

    /// <summary>A member whose log was mended votes before it has caught up with what it had acknowledged.</summary>
    public const bool MendedMemberVotesAtOnce =
#if KNOWN_BUG_92
        true;
#else
        false;
#endif

    /// <summary>Term and vote are in the log alone: whoever loses that votes twice.</summary>
    public const bool VoteNotCopied =
#if KNOWN_BUG_93
        true;
#else
        false;
#endif

    /// <summary>A renewal leaves what the log says of the lease's remainder as it is: the next leader ends it too early.</summary>
    public const bool RenewalLeavesCheckpoint =
#if KNOWN_BUG_94
        true;
#else
        false;
#endif

    /// <summary>A follower that promised its leader to elect nobody else forgets it with any message of a higher term.</summary>
    public const bool HigherTermEndsThePromise =
#if KNOWN_BUG_95
        true;
#else
        false;
#endif

    /// <summary>A leader that removed itself has a lease from those who are left, of which a single one waits for nobody.</summary>
    public const bool RemovedLeaderHasLease =
#if KNOWN_BUG_96
        true;
#else
        false;
#endif

    /// <summary>Any membership that is committed where a change was proposed passes for that change.</summary>
    public const bool AnyMembershipIsTheChange =
#if KNOWN_BUG_97
        true;
#else
        false;
#endif

    /// <summary>A leader counts on its followers for as long as it would keep silence itself.</summary>
    public const bool LeaderTakesOthersForItself =
#if KNOWN_BUG_98
        true;
#else
        false;
#endif

    /// <summary>A member that restarts with a shorter election timeout keeps no longer what it promised with the longer one.</summary>
    public const bool RestartShortensThePromise =
#if KNOWN_BUG_99
        true;
#else
        false;
#endif

    /// <summary>A change of the members that changes nothing, as far as this leader knows, is answered without asking anybody.</summary>
    public const bool ChangeOfNothingIsDoneAtOnce =
#if KNOWN_BUG_100
        true;
#else
        false;
#endif

    /// <summary>A learner that is ready waits until the one before it has been promoted, which may wait for it.</summary>
    public const bool ReadyLearnerWaitsForTheFirst =
#if KNOWN_BUG_101
        true;
#else
        false;
#endif

    /// <summary>A follower that falls asleep and is woken within one turn goes by the leader's silence of an earlier sleep.</summary>
    public const bool SilenceOfAnEarlierSleep =
#if KNOWN_BUG_102
        true;
#else
        false;
#endif

    /// <summary>A learner is promoted before it is known on which data directory it runs.</summary>
    public const bool LearnerPromotedBeforeItIsNamed =
#if KNOWN_BUG_103
        true;
#else
        false;
#endif

    /// <summary>A voter that is replaced is forgotten while its vote still counts, by the joint membership that takes its place away.</summary>
    public const bool LeavingMemberForgotten =
#if KNOWN_BUG_104
        true;
#else
        false;
#endif

    /// <summary>A member that is asked to have itself replaced takes its removal, which another may have asked for, for the whole of it.</summary>
    public const bool RemovalPassesForReplacement =
#if KNOWN_BUG_105
        true;
#else
        false;
#endif

    /// <summary>A leader refuses a change of the members by a membership that may be taken back, or by one that another leader has changed.</summary>
    public const bool RefusedByWhatIsNotCommitted =
#if KNOWN_BUG_106
        true;
#else
        false;
#endif

    /// <summary>A request about the members that comes twice is carried out twice: the second time it is refused for what the first has done.</summary>
    public const bool DoubledChangeIsMadeTwice =
#if KNOWN_BUG_107
        true;
#else
        false;
#endif

    /// <summary>How old a state is, is told by the node's own clock, which may run slow.</summary>
    public const bool AgeByASlowClock =
#if KNOWN_BUG_108
        true;
#else
        false;
#endif

    /// <summary>A leader asks once which state the members are in, and whoever gets the question with a snapshot never answers.</summary>
    public const bool StatesAskedForOnce =
#if KNOWN_BUG_109
        true;
#else
        false;
#endif
}
