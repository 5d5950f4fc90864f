namespace MetaStore.Engine;

/// <summary>Why an operation failed. Part of the wire format: never renumber.</summary>
public enum MetaStoreError : ushort
{
    /// <summary>An argument is wrong; the message says which and what would be right.</summary>
    InvalidArgument = 1,

    /// <summary>The key is empty.</summary>
    EmptyKey = 2,

    /// <summary>IgnoreValue or IgnoreLease on a key that does not exist.</summary>
    KeyNotFound = 3,

    /// <summary>A value was given together with IgnoreValue.</summary>
    ValueProvided = 4,

    /// <summary>A lease was given together with IgnoreLease.</summary>
    LeaseProvided = 5,

    /// <summary>No such lease.</summary>
    LeaseNotFound = 6,

    /// <summary>The revision is compacted.</summary>
    Compacted = 7,

    /// <summary>The revision is in the future.</summary>
    FutureRevision = 8,

    /// <summary>A transaction has too many operations, or is nested too deep.</summary>
    TooManyOperations = 9,

    /// <summary>A transaction writes a key twice.</summary>
    DuplicateKey = 10,

    /// <summary>The sort target or order is unknown.</summary>
    InvalidSortOption = 11,

    /// <summary>The request is larger than the store takes.</summary>
    RequestTooLarge = 12,

    /// <summary>Too much is under way; nothing was done. Try later.</summary>
    Busy = 13,

    /// <summary>Nobody leads the cluster.</summary>
    NoLeader = 14,

    /// <summary>No answer in time.</summary>
    Timeout = 15,

    /// <summary>The node is stopping or has stopped.</summary>
    Stopped = 16,

    /// <summary>The connection broke, or none could be made.</summary>
    ConnectionLost = 17,

    /// <summary>The other side belongs to another cluster.</summary>
    ClusterMismatch = 18,

    /// <summary>The other side broke the protocol, or speaks a version that this side does not.</summary>
    Protocol = 19,

    /// <summary>The node failed for good (storage, broken invariant) and serves nothing any more.</summary>
    NodeFailed = 20,

    /// <summary>The answer is larger than the protocol carries, or than an answer may be; ask for less at a time. A write may have been applied: see the outcome.</summary>
    ResponseTooLarge = 21,

    /// <summary>No such member.</summary>
    MemberNotFound = 22,

    /// <summary>Another member has one of the peer addresses.</summary>
    PeerUrlsExist = 23,

    /// <summary>Only a learner can be promoted.</summary>
    MemberNotLearner = 24,

    /// <summary>The learner has not caught up with the leader yet.</summary>
    LearnerNotReady = 25,

    /// <summary>The change would leave the cluster without a majority of members that are up.</summary>
    UnhealthyCluster = 26,

    /// <summary>The cluster has as many learners as it may have.</summary>
    TooManyLearners = 27,

    /// <summary>Too few members have ever started, or none would be left.</summary>
    NotEnoughStarted = 28,

    /// <summary>Leadership cannot be handed to that member, or the hand-over failed.</summary>
    BadTransferee = 29,

    /// <summary>The session has ended, was forgotten because others were used since, or never was.</summary>
    SessionNotFound = 30,

    /// <summary>The session has acknowledged a request with a higher number: this one is not applied (any more).</summary>
    SessionSequenceTooOld = 31,

    /// <summary>The request's number is too far above what the session has acknowledged. This copy of it was not applied; another may have been.</summary>
    SessionFull = 32,

    /// <summary>The request was applied before, once; its answer was too large to be kept, or its session kept too much.</summary>
    AnswerNotKept = 33,

    /// <summary>The member is a witness: it holds no data. Ask another.</summary>
    WitnessMember = 34,

    /// <summary>The voters would have more witnesses than members with data.</summary>
    TooManyWitnesses = 35,

    /// <summary>There is a lease of that id.</summary>
    LeaseExists = 36,

    /// <summary>The time to live is larger than <see cref="LeaseGrantRequest.TtlMax"/>.</summary>
    LeaseTtlTooLarge = 37,
}

/// <summary>Whether a failed operation can have taken effect.</summary>
public enum Outcome : byte
{
    /// <summary>It has not and will not.</summary>
    NotApplied = 0,

    /// <summary>It may have, or may yet.</summary>
    Unknown = 1,
}

/// <summary>An operation on the store failed.</summary>
public class MetaStoreException(MetaStoreError error, string message, Outcome outcome = Outcome.NotApplied, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>Why.</summary>
    public MetaStoreError Error { get; } = error;

    /// <summary>Whether time or another node may mend it, so that asking again makes sense where it is safe.</summary>
    public bool IsTransient => Error is MetaStoreError.ConnectionLost or MetaStoreError.NoLeader or MetaStoreError.Busy or MetaStoreError.Stopped
        or MetaStoreError.Timeout or MetaStoreError.NodeFailed;

    /// <summary>
    /// Whether it is the store's own answer to a write, decided when the write was applied. A session keeps such an error and gives it again, so it tells what
    /// came of all copies of the write; any other error of a write speaks of the one copy that met it.
    /// </summary>
    public bool IsKept => Error is MetaStoreError.KeyNotFound or MetaStoreError.Compacted or MetaStoreError.FutureRevision
        or MetaStoreError.LeaseNotFound or MetaStoreError.LeaseExists;

    /// <summary>Whether it can have taken effect; only after <see cref="Outcome.NotApplied"/> is a write safe to repeat.</summary>
    public Outcome Outcome { get; } = outcome;
}

/// <summary>A watch cannot go on, or cannot begin: revisions that it has not been told of were compacted. Read the keys anew, and watch from there.</summary>
/// <param name="message">What was asked for, and what there is.</param>
/// <param name="compactRevision">The oldest revision that can still be watched from.</param>
public sealed class CompactedException(string message, Revision compactRevision) : MetaStoreException(MetaStoreError.Compacted, message)
{
    /// <summary>The oldest revision that can still be watched from.</summary>
    public Revision CompactRevision { get; } = compactRevision;
}
