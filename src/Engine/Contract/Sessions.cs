namespace MetaStore.Engine;

/// <summary>
/// Exactly-once writes (Raft thesis, 6.3): a session numbers its requests, the replicated state remembers what came of each, and a request that
/// comes again under its number is answered from there instead of being applied a second time. So a write whose answer was lost may be repeated, at any
/// node. <see cref="MetaStoreSession"/> does the numbering and the repeating; this is what it asks of the store. The embedded node and the remote
/// client both implement it.
/// </summary>
public interface IMetaStoreSessions
{
    /// <summary>Opens a session. Repeated without need it leaves a session behind that nobody uses, which does no harm.</summary>
    ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default);

    /// <summary>Ends a session and forgets its answers. One that is not there any more is no error.</summary>
    ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default);

    /// <summary>
    /// Carries out a request of a session, or answers what came of it when it was carried out before. Whatever the failure says about its
    /// outcome, the same request may be sent again. An error that the store itself gave (<see cref="MetaStoreError.KeyNotFound"/>, say)
    /// is an answer like others and is given again.
    /// </summary>
    ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default);
}

/// <summary>
/// A write with its number in a session. Numbers begin at 1, each is used for one request only, and requests may be under way side by side: those with the
/// <see cref="UnacknowledgedMax"/> numbers from <see cref="AcknowledgedBelow"/> on.
/// </summary>
public sealed record SessionRequest : StoreRequest
{
    /// <summary>
    /// Numbers of one session that are taken at most, from the lowest unacknowledged one on. The store refuses what lies beyond
    /// (<see cref="MetaStoreError.SessionFull"/>). The lowest itself is always taken.
    /// </summary>
    public const int UnacknowledgedMax = 1024;

    /// <summary>
    /// Bytes of an answer that is kept at most. What exceeds it, or what the session may keep of all its answers together
    /// (<see cref="Hosting.NodeSettings.SessionKeptBytesMax"/>), is applied once as well, but its answer cannot be given twice.
    /// </summary>
    public const int KeptAnswerBytesMax = 64 << 10;

    /// <summary>The session.</summary>
    public required ulong SessionId { get; init; }

    /// <summary>The request's number in the session, from 1.</summary>
    public required ulong Sequence { get; init; }

    /// <summary>
    /// All requests with lower numbers will not be sent again: their answers are forgotten, and should one of them still be on its way, it will not be
    /// applied. At most <see cref="Sequence"/>.
    /// </summary>
    public required ulong AcknowledgedBelow { get; init; }

    /// <summary>What to do: a put, a removal, a transaction, a compaction, a grant or a revocation of a lease.</summary>
    public required StoreRequest Request { get; init; }
}

/// <summary>Opens a session.</summary>
/// <param name="Limits">What the store keeps of sessions from here on. Written into the log, so that all members forget the same.</param>
internal sealed record OpenSessionRequest(SessionLimits Limits) : StoreRequest;

/// <summary>How much of sessions is kept; the session that was not used for longest goes where it would be more.</summary>
/// <param name="SessionsMax">Sessions.</param>
/// <param name="SessionKeptBytesMax">Bytes of answers of the session that is opened; answers beyond are not kept.</param>
/// <param name="TotalBytesMax">Bytes of all sessions, as <see cref="Sessions.SessionTable.Bytes"/> counts them; a single session may have more.</param>
internal readonly record struct SessionLimits(uint SessionsMax, uint SessionKeptBytesMax, ulong TotalBytesMax);

/// <summary>Ends a session.</summary>
/// <param name="SessionId">The session.</param>
internal sealed record CloseSessionRequest(ulong SessionId) : StoreRequest;

/// <summary>Answer to the opening of a session.</summary>
public sealed record OpenSessionResponse : StoreResponse
{
    /// <summary>The session's id; never given out again by this cluster.</summary>
    public required ulong SessionId { get; init; }
}

/// <summary>Answer to the end of a session.</summary>
public sealed record CloseSessionResponse : StoreResponse;

/// <summary>Answer to a request of a session.</summary>
public sealed record SessionResponse : StoreResponse
{
    /// <summary>What the request came to when it was applied. Its header names that revision; the node is the one that answers now.</summary>
    public required StoreResponse Answer { get; init; }

    /// <summary>The request had been applied before; this is the answer that was kept.</summary>
    public bool IsRepeated { get; init; }
}
