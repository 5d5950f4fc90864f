using MetaStore.Engine.Sessions;

namespace MetaStore.Engine;

/// <summary>How a session repeats what got no answer.</summary>
public sealed record MetaStoreSessionOptions
{
    /// <summary>How long one operation is repeated at most, from its first try.</summary>
    public TimeSpan RepeatFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The pause before the second try; it doubles with each further one.</summary>
    public TimeSpan PauseMin { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>The longest pause.</summary>
    public TimeSpan PauseMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Writes of the session that are under way at most; the next one waits. From 1 to <see cref="SessionRequest.UnacknowledgedMax"/>. Whatever it is, a
    /// write also waits while the oldest unanswered one is <see cref="SessionRequest.UnacknowledgedMax"/> writes back.
    /// </summary>
    public int WritesMax { get; init; } = 256;

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Whether a write that waited for another goes on elsewhere than on the thread that ended the other. The simulator has one thread.</summary>
    internal bool RunContinuationsAsynchronously { get; init; } = true;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (WritesMax is < 1 or > SessionRequest.UnacknowledgedMax)
        {
            throw new ArgumentException($"WritesMax is {WritesMax}; it must be from 1 to {SessionRequest.UnacknowledgedMax}.");
        }

        if (RepeatFor < TimeSpan.Zero || PauseMin <= TimeSpan.Zero || PauseMax < PauseMin)
        {
            throw new ArgumentException($"RepeatFor ({RepeatFor}) must not be negative, PauseMin ({PauseMin}) be above zero and PauseMax ({PauseMax}) not below PauseMin.");
        }
    }
}

/// <summary>
/// A store whose writes are applied exactly once, however often they must be sent (see <see cref="IMetaStoreSessions"/>): a write whose answer was lost
/// is sent again under its number until it is answered. Around the embedded node or the remote client, which stay the caller's. A failed write has
/// <see cref="Outcome.Unknown"/> only where a try went without answer and none of those after it told what came of it: no answer for
/// <see cref="MetaStoreSessionOptions.RepeatFor"/>, an answer too large to be kept, or a session lost meanwhile. A session that others outnumber is
/// forgotten (<see cref="MetaStoreError.SessionNotFound"/>), and a new one must be opened. All members may be called from any thread.
/// </summary>
public sealed class MetaStoreSession : IMetaStore
{
    private readonly IMetaStore _store;
    private readonly IMetaStoreSessions _sessions;
    private readonly MetaStoreSessionOptions _options;
    private readonly SessionWindow _window;

    private MetaStoreSession(IMetaStore store, IMetaStoreSessions sessions, ulong id, MetaStoreSessionOptions options)
    {
        _store = store;
        _sessions = sessions;
        _options = options;
        _window = new SessionWindow(options.WritesMax, options.RunContinuationsAsynchronously);
        Id = id;
    }

    /// <summary>The session's id.</summary>
    public ulong Id { get; }

    /// <summary>Opens a session on a store.</summary>
    /// <param name="store">The embedded node or the remote client.</param>
    /// <param name="options">How to repeat.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public static async ValueTask<MetaStoreSession> OpenAsync<TStore>(
        TStore store, MetaStoreSessionOptions? options = null, CancellationToken cancellationToken = default)
        where TStore : IMetaStore, IMetaStoreSessions
    {
        options ??= new MetaStoreSessionOptions();
        options.Validate();
        OpenSessionResponse opened = await RepeatAsync(options, () => store.OpenSessionAsync(cancellationToken), cancellationToken).ConfigureAwait(false);
        return new MetaStoreSession(store, store, opened.SessionId, options);
    }

    /// <inheritdoc/>
    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<PutResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<DeleteRangeResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<TxnResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<CompactResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<LeaseGrantResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) =>
        WriteAsync<LeaseRevokeResponse>(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) =>
        _store.KeepLeaseAliveAsync(leaseId, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) =>
        _store.LeaseTimeToLiveAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => _store.LeasesAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => _store.RangeAsync(request, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => _store.StatusAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => _store.HashAsync(request, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => _store.WatchAsync(request, cancellationToken);

    /// <summary>Ends the session, if the store can be reached now; where not, the store forgets it in time. The store itself stays open.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_window.TryClose())
        {
            return;
        }

        try
        {
            await _sessions.CloseSessionAsync(Id, CancellationToken.None).ConfigureAwait(false);
        }
        catch (MetaStoreException)
        {
            // It will be forgotten when others need its place.
        }
    }

    private async ValueTask<T> WriteAsync<T>(StoreRequest request, CancellationToken cancellationToken)
        where T : StoreResponse
    {
        ArgumentNullException.ThrowIfNull(request);
        ulong sequence = await _window.BeginAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            SessionResponse response = await RepeatAsync(_options, () => _sessions.ExecuteAsync(Number(request, sequence), cancellationToken), cancellationToken)
                .ConfigureAwait(false);
            return (T)response.Answer;
        }
        finally
        {
            _window.End(sequence);
        }
    }

    private SessionRequest Number(StoreRequest request, ulong sequence) =>
        new() { SessionId = Id, Sequence = sequence, AcknowledgedBelow = _window.Oldest, Request = request };

    private static async ValueTask<T> RepeatAsync<T>(MetaStoreSessionOptions options, Func<ValueTask<T>> attempt, CancellationToken cancellationToken)
    {
        long start = options.TimeProvider.GetTimestamp();
        TimeSpan pause = options.PauseMin;
        bool isUncertain = false;
        while (true)
        {
            try
            {
                return await attempt().ConfigureAwait(false);
            }
            catch (MetaStoreException failure)
            {
                isUncertain |= failure.Outcome == Outcome.Unknown;

                // A full session has room again once older writes are acknowledged, which the next try does.
                bool mayMend = failure.IsTransient || failure.Error == MetaStoreError.SessionFull;
                bool mayRepeat = mayMend && options.TimeProvider.GetElapsedTime(start) + pause < options.RepeatFor;
                if (!mayRepeat && isUncertain && failure.Outcome == Outcome.NotApplied && !failure.IsKept)
                {
                    // The last try did nothing; one before it may have, or may yet.
                    throw new MetaStoreException(failure.Error, failure.Message, Outcome.Unknown, failure);
                }

                if (!mayRepeat)
                {
                    throw;
                }
            }

            await Task.Delay(pause, options.TimeProvider, cancellationToken).ConfigureAwait(false);
            pause = pause * 2 < options.PauseMax ? pause * 2 : options.PauseMax;
        }
    }
}
