namespace MetaStore.Engine;

/// <summary>How a <see cref="LeaseKeeper"/> keeps its lease alive.</summary>
public sealed record LeaseKeeperOptions
{
    /// <summary>
    /// The share of the time to live, from the sending of the last renewal that was answered, after which the lease counts as lost. Below 1, for the keeper's own clock may run slow; the
    /// store's leader waits longer than the time to live, for its own may run fast. Above 1/3, and at most 1.
    /// </summary>
    public double LostAfter { get; init; } = 0.9;

    /// <summary>Whether disposing the keeper revokes the lease, and so removes its keys at once.</summary>
    public bool RevokeOnDispose { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the message says which and what would be right.</exception>
    public void Validate()
    {
        if (LostAfter is <= 1.0 / 3 or > 1)
        {
            throw new ArgumentException($"LostAfter is {LostAfter}; it must be above 1/3, where the renewals are, and at most 1.");
        }
    }
}

/// <summary>
/// Renews a lease at each third of its time to live, on the embedded node or the remote client alike, until it is disposed, and says when the lease can no longer
/// be relied on (<see cref="Lost"/>): it is gone, or nobody answered for so long that it may be. Whoever holds something by the lease must stop then. Even so what it last sent may
/// arrive later; a program that cannot bear that compares a revision (<see cref="Compare"/>) with its writes.
/// </summary>
public sealed class LeaseKeeper : IAsyncDisposable
{
    private readonly IMetaStore _store;
    private readonly LeaseKeeperOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly Task _keeping;
    private int _disposed;

    private LeaseKeeper(IMetaStore store, long leaseId, long ttl, long sentAt, LeaseKeeperOptions options)
    {
        _store = store;
        _options = options;
        LeaseId = leaseId;
        Lost = _lost.Token;
        _keeping = KeepAsync(ttl, sentAt);
    }

    /// <summary>The lease.</summary>
    public long LeaseId { get; }

    /// <summary>Cancelled when the lease is lost. Not by disposing.</summary>
    public CancellationToken Lost { get; }

    /// <summary>Grants a lease and keeps it.</summary>
    /// <param name="store">The embedded node, the remote client, or a session on one. Stays the caller's.</param>
    /// <param name="request">The lease.</param>
    /// <param name="options">How to keep it.</param>
    /// <param name="cancellationToken">Ends the wait for the grant.</param>
    public static async ValueTask<LeaseKeeper> GrantAsync(
        IMetaStore store, LeaseGrantRequest request, LeaseKeeperOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        options ??= new LeaseKeeperOptions();
        options.Validate();
        long sentAt = options.TimeProvider.GetTimestamp();
        LeaseGrantResponse granted = await store.GrantLeaseAsync(request, cancellationToken).ConfigureAwait(false);
        return new LeaseKeeper(store, granted.Id, granted.Ttl, sentAt, options);
    }

    /// <summary>Keeps a lease that is there: renews it at once.</summary>
    /// <inheritdoc cref="GrantAsync"/>
    /// <param name="leaseId">The lease.</param>
    /// <exception cref="MetaStoreException"><see cref="MetaStoreError.LeaseNotFound"/>: it is not there.</exception>
#pragma warning disable CS1573 // The others are those of GrantAsync.
    public static async ValueTask<LeaseKeeper> KeepAsync(
        IMetaStore store, long leaseId, LeaseKeeperOptions? options = null, CancellationToken cancellationToken = default)
#pragma warning restore CS1573
    {
        ArgumentNullException.ThrowIfNull(store);
        options ??= new LeaseKeeperOptions();
        options.Validate();
        long sentAt = options.TimeProvider.GetTimestamp();
        LeaseKeepAliveResponse renewed = await store.KeepLeaseAliveAsync(leaseId, cancellationToken).ConfigureAwait(false);
        return renewed.Ttl > 0
            ? new LeaseKeeper(store, leaseId, renewed.Ttl, sentAt, options)
            : throw new MetaStoreException(MetaStoreError.LeaseNotFound, "requested lease not found");
    }

    /// <summary>Renews no more. The lease runs out, unless it is to be revoked here.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _keeping.ConfigureAwait(false);
        if (_options.RevokeOnDispose && !_lost.IsCancellationRequested)
        {
            try
            {
                await _store.RevokeLeaseAsync(new LeaseRevokeRequest(LeaseId), CancellationToken.None).ConfigureAwait(false);
            }
            catch (MetaStoreException)
            {
                // It runs out by itself.
            }
        }

        _stop.Dispose();
        _lost.Dispose();
    }

    private async Task KeepAsync(long ttlSeconds, long sentAt)
    {
        TimeProvider time = _options.TimeProvider;
        TimeSpan ttl = TimeSpan.FromSeconds(ttlSeconds);
        TimeSpan pause = ttl / 3;
        while (true)
        {
            TimeSpan left = (ttl * _options.LostAfter) - time.GetElapsedTime(sentAt);
            if (left <= TimeSpan.Zero || ttl == TimeSpan.Zero)
            {
                await _lost.CancelAsync().ConfigureAwait(false);
                return;
            }

            try
            {
                TimeSpan next = pause - time.GetElapsedTime(sentAt);
                await Task.Delay(Clamp(next, left), time, _stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            long asked = time.GetTimestamp();
            TimeSpan patience = (ttl * _options.LostAfter) - time.GetElapsedTime(sentAt);
            long? renewed = patience > TimeSpan.Zero ? await TryRenewAsync(patience).ConfigureAwait(false) : null;
            if (renewed is long seconds)
            {
                (ttl, sentAt) = (TimeSpan.FromSeconds(seconds), asked);
                pause = ttl / 3;
            }
            else
            {
                // Soon again, until it is lost.
                pause = time.GetElapsedTime(sentAt) + (ttl / 20);
            }
        }
    }

    private static TimeSpan Clamp(TimeSpan pause, TimeSpan left)
    {
        TimeSpan longest = TimeSpan.FromDays(1); // What a timer takes; the loop comes by here again.
        pause = pause < left ? pause : left;
        pause = pause < longest ? pause : longest;
        return pause > TimeSpan.Zero ? pause : TimeSpan.Zero;
    }

    /// <summary>The time to live in seconds, 0 where the lease is gone; null where nobody answered.</summary>
    private async Task<long?> TryRenewAsync(TimeSpan patience)
    {
        using var impatient = new CancellationTokenSource(Clamp(patience, patience), _options.TimeProvider);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(impatient.Token, _stop.Token);
        try
        {
            LeaseKeepAliveResponse answer = await _store.KeepLeaseAliveAsync(LeaseId, both.Token).ConfigureAwait(false);
            return answer.Ttl;
        }
        catch (MetaStoreException)
        {
            return null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
