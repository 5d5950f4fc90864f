using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Net.Client;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MetaStore.Net;

/// <summary>
/// The store of a remote cluster, over the binary protocol. Connects when first used, follows the leader, and tries again where that is
/// safe: reads always, writes only when they have certainly not been applied. A write that may have been applied fails with
/// <see cref="Outcome.Unknown"/>. One instance serves a whole program; all members may be called from any thread.
/// </summary>
public sealed class MetaStoreClient : IMetaStore, IMetaStoreCluster, IMetaStoreSessions, IMetaStoreSnapshots
{
    private readonly MetaStoreClientOptions _options;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff;
    private readonly ClientRouter _router;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ITimer _sweeper;

    private MetaStoreClient(MetaStoreClientOptions options, ILogger logger)
    {
        _options = options;
        _time = options.TimeProvider;
        _backoff = new Backoff(options.BackoffMin, options.BackoffMax, options.JitterSeed);
        _router = new ClientRouter(options, _backoff, logger, _stopping.Token);
        var period = TimeSpan.FromMilliseconds(Math.Clamp(options.RequestTimeout.TotalMilliseconds / 20, 5, 250));
        _sweeper = _time.CreateTimer(static state => ((MetaStoreClient)state!).Sweep(), this, period, period);
    }

    /// <summary>The leader, as far as the nodes have told; None before the first handshake.</summary>
    public NodeId LeaderId => _router.Leader;

    /// <summary>Pooled handles that are out: 0 when nobody waits for an answer.</summary>
    internal long OutstandingHandles => _router.Connections().Sum(connection => connection.OutstandingHandles);

    /// <summary>Whether a connection is up, as far as the client has noticed.</summary>
    internal bool IsConnected => _router.Connections().Any(connection => connection.IsUsable);

    /// <summary>Makes a client. It connects with its first request.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="logger">For connections that break.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public static MetaStoreClient Connect(MetaStoreClientOptions options, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        return new MetaStoreClient(options, logger ?? NullLogger.Instance);
    }

    /// <inheritdoc/>
    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<PutResponse>(FrameKind.Put, request, isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<RangeResponse>(FrameKind.Range, request, isReadOnly: true, preferLeader: !request.Serializable && request.StalenessMax == TimeSpan.Zero, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<DeleteRangeResponse>(FrameKind.DeleteRange, request, isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<TxnResponse>(FrameKind.Txn, request, RequestCodec.IsReadOnly(request), preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<CompactResponse>(FrameKind.Compact, request, isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<LeaseGrantResponse>(FrameKind.GrantLease, request, isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<LeaseRevokeResponse>(FrameKind.RevokeLease, request, isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) =>
        ExecuteAsync<LeaseKeepAliveResponse>(FrameKind.KeepLeaseAlive, new LeaseRenewal(leaseId), isReadOnly: false, preferLeader: true, cancellationToken, isRepeatable: true);

    /// <inheritdoc/>
    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<LeaseTimeToLiveResponse>(FrameKind.LeaseTimeToLive, request, isReadOnly: true, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) =>
        ExecuteAsync<LeasesResponse>(FrameKind.Leases, request: null, isReadOnly: true, preferLeader: true, cancellationToken);

    /// <summary>How one of the nodes, any, sees itself and its cluster. To ask a certain one, make a client with its endpoint alone.</summary>
    /// <inheritdoc/>
    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) =>
        ExecuteAsync<StatusResponse>(FrameKind.Status, request: null, isReadOnly: true, preferLeader: false, cancellationToken);

    /// <summary>The hash of one of the nodes, any. To ask a certain one, make a client with its endpoint alone.</summary>
    /// <inheritdoc/>
    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<HashResponse>(FrameKind.Hash, request, isReadOnly: true, preferLeader: false, cancellationToken);
    }

    /// <summary>
    /// A watch at one of the nodes, any, and at another one when that fails: then it goes on behind what it has told, for as long as it takes. Only where no node takes
    /// it up at all does it fail, after the request timeout.
    /// </summary>
    /// <inheritdoc/>
    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new RemoteWatch(_router, _backoff, _options, request, _stopping.Token).RunAsync(cancellationToken);
    }

    /// <summary>A snapshot of one of the nodes, any. To ask a certain one, make a client with its endpoint alone.</summary>
    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> SnapshotAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ThrowIfClosed();
        ClientConnection connection = await _router.AcquireAsync(preferLeader: false, avoid: null, _options.RequestTimeout, cancellationToken).ConfigureAwait(false);
        ClientStream<SnapshotPart> parts = connection.OpenSnapshot();
        try
        {
            SnapshotPart part;
            do
            {
                part = await parts.NextAsync(cancellationToken).ConfigureAwait(false);
                if (!part.Bytes.IsEmpty)
                {
                    yield return part.Bytes;
                }
            }
            while (!part.IsLast);
        }
        finally
        {
            parts.Leave();
        }
    }

    /// <inheritdoc/>
    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) =>
        ExecuteAsync<OpenSessionResponse>(FrameKind.OpenSession, request: null, isReadOnly: false, preferLeader: true, cancellationToken, isRepeatable: true);

    /// <inheritdoc/>
    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) =>
        ExecuteAsync<CloseSessionResponse>(FrameKind.CloseSession, new SessionEnd(sessionId), isReadOnly: false, preferLeader: true, cancellationToken, isRepeatable: true);

    /// <inheritdoc/>
    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        return ExecuteAsync<SessionResponse>(FrameKind.Session, request, isReadOnly: false, preferLeader: true, cancellationToken, isRepeatable: true);
    }

    /// <inheritdoc/>
    public ValueTask<MembersResponse> MembersAsync(bool linearizable = true, CancellationToken cancellationToken = default) =>
        ExecuteAsync<MembersResponse>(FrameKind.Members, new ClusterCall(null, 0, linearizable), isReadOnly: true, preferLeader: linearizable, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<MembersResponse> ChangeMembersAsync(MemberChange change, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(change);
        return ExecuteAsync<MembersResponse>(FrameKind.Members, new ClusterCall(change, 0, false), isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<MembersResponse> MoveLeaderAsync(ulong target, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(target);
        return ExecuteAsync<MembersResponse>(FrameKind.Members, new ClusterCall(null, target, false), isReadOnly: false, preferLeader: true, cancellationToken);
    }

    /// <summary>Asks one of the nodes, any, for a sign of life; the store is not involved.</summary>
    /// <exception cref="MetaStoreException">None gave one within the request timeout.</exception>
    public async ValueTask PingAsync(CancellationToken cancellationToken = default) =>
        await ExecuteAsync<object>(FrameKind.Ping, request: null, isReadOnly: true, preferLeader: false, cancellationToken).ConfigureAwait(false);

    /// <summary>Closes all connections. Calls under way fail with Stopped and their outcome.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _sweeper.DisposeAsync().ConfigureAwait(false);
        foreach (ClientConnection connection in _router.Connections())
        {
            connection.Fail(new MetaStoreException(MetaStoreError.Stopped, "The client is closed."));
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<T> ExecuteAsync<T>(
        FrameKind kind, object? request, bool isReadOnly, bool preferLeader, CancellationToken cancellationToken, bool isRepeatable = false)
        where T : class
    {
        int bodyLength = RequestCodec.GetLength(kind, request);
        long start = _time.GetTimestamp();
        long deadline = start + (long)(_options.RequestTimeout.TotalSeconds * _time.TimestampFrequency);
        string? avoid = null;
        Outcome outcome = Outcome.NotApplied;
        for (int tries = 1; ; tries++)
        {
            MetaStoreException failure;
            ClientConnection? connection = null;
            try
            {
                ThrowIfClosed();
                TimeSpan patience = _options.RequestTimeout - _time.GetElapsedTime(start);
                connection = await _router.AcquireAsync(preferLeader, avoid, patience > TimeSpan.Zero ? patience : TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
                var content = new RequestContent(kind, request, bodyLength, isReadOnly, _time.GetTimestamp(), deadline);
                return (T)(await connection.SendAsync(content, cancellationToken).ConfigureAwait(false))!;
            }
            catch (MetaStoreException e) when (RetryPolicy.MayRetry(e, isReadOnly || isRepeatable, _options.Endpoints.Count) && !_stopping.IsCancellationRequested)
            {
                failure = e;
                outcome = e.Outcome == Outcome.Unknown ? Outcome.Unknown : outcome;
            }
            catch (MetaStoreException e) when (isRepeatable && e.Outcome == Outcome.NotApplied && outcome == Outcome.Unknown && !e.IsKept)
            {
                // This try did nothing; one before it may have, or may yet.
                throw new MetaStoreException(e.Error, e.Message, outcome, e);
            }

            avoid = RetryPolicy.IsOfOneNode(failure) ? connection?.Endpoint : null;
            bool isImmediate = tries == 1 && avoid is not null;
            TimeSpan pause = isImmediate ? TimeSpan.Zero : _backoff.Next(tries - 1);
            if (_time.GetElapsedTime(start) + pause >= _options.RequestTimeout)
            {
                throw RetryPolicy.GiveUp(failure, tries, _options.RequestTimeout, outcome);
            }

            if (!isImmediate)
            {
                await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void ThrowIfClosed()
    {
        if (_stopping.IsCancellationRequested)
        {
            throw new MetaStoreException(MetaStoreError.Stopped, "The client is closed.");
        }
    }

    private void Sweep()
    {
        long now = _time.GetTimestamp();
        foreach (ClientConnection connection in _router.Connections())
        {
            connection.Sweep(now);
            if (connection.IsQuiet(now, _options.RequestTimeout / 2))
            {
                _ = PingAsync(connection, now); // it lets no exception out
            }
        }
    }

    /// <summary>A node that does not answer is given up, with all that waits for it, watches included.</summary>
    private async Task PingAsync(ClientConnection connection, long now)
    {
        try
        {
            long deadline = now + (long)(_options.RequestTimeout.TotalSeconds * _time.TimestampFrequency);
            var ping = new RequestContent(FrameKind.Ping, null, RequestCodec.GetLength(FrameKind.Ping, null), IsReadOnly: true, now, deadline);
            await connection.SendAsync(ping, CancellationToken.None).ConfigureAwait(false);
        }
        catch (MetaStoreException)
        {
            // The connection has failed; whoever waits for anything of it has been told.
        }
    }
}
