using System.Buffers;
using MetaStore.Engine;
using MetaStore.Net.Wire;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Server;

/// <summary>
/// Takes a request frame apart, asks the store, and sees to it that exactly one answer comes of it. One per server; knows no socket.
/// </summary>
internal sealed class RequestDispatcher(IMetaStore store, DeadlineClock deadlines, int operationsMax, ILogger logger)
{
    private readonly StoreFailures _failures = new(logger);
    private readonly SnapshotPlaces _snapshotPlaces = new();
    private readonly PendingAnswer<PutResponse>.Pool _puts = new(new StoreFailures(logger));
    private readonly PendingAnswer<RangeResponse>.Pool _ranges = new(new StoreFailures(logger));
    private readonly PendingAnswer<DeleteRangeResponse>.Pool _deletes = new(new StoreFailures(logger));
    private readonly PendingAnswer<TxnResponse>.Pool _txns = new(new StoreFailures(logger));
    private readonly PendingAnswer<CompactResponse>.Pool _compacts = new(new StoreFailures(logger));
    private readonly PendingAnswer<StatusResponse>.Pool _statuses = new(new StoreFailures(logger));
    private readonly PendingAnswer<HashResponse>.Pool _hashes = new(new StoreFailures(logger));
    private readonly PendingAnswer<MembersResponse>.Pool _members = new(new StoreFailures(logger));
    private readonly PendingAnswer<SessionResponse>.Pool _sessions = new(new StoreFailures(logger));
    private readonly PendingAnswer<OpenSessionResponse>.Pool _opened = new(new StoreFailures(logger));
    private readonly PendingAnswer<CloseSessionResponse>.Pool _closed = new(new StoreFailures(logger));
    private readonly PendingAnswer<LeaseGrantResponse>.Pool _granted = new(new StoreFailures(logger));
    private readonly PendingAnswer<LeaseRevokeResponse>.Pool _revoked = new(new StoreFailures(logger));
    private readonly PendingAnswer<LeaseKeepAliveResponse>.Pool _renewed = new(new StoreFailures(logger));
    private readonly PendingAnswer<LeaseTimeToLiveResponse>.Pool _timesToLive = new(new StoreFailures(logger));
    private readonly PendingAnswer<LeasesResponse>.Pool _leases = new(new StoreFailures(logger));

    /// <summary>Pooled handles that are out.</summary>
    public long Outstanding =>
        _puts.Outstanding + _ranges.Outstanding + _deletes.Outstanding + _txns.Outstanding
        + _compacts.Outstanding + _statuses.Outstanding + _hashes.Outstanding + _members.Outstanding
        + _sessions.Outstanding + _opened.Outstanding + _closed.Outstanding
        + _granted.Outstanding + _revoked.Outstanding + _renewed.Outstanding + _timesToLive.Outstanding + _leases.Outstanding;

    /// <summary>The watches of a connection.</summary>
    public ServerWatches WatchesOf(BinaryServerOptions options, long answerBytesMax, Action<Answer> send) => new(
        store, new ServerSnapshots(store as IMetaStoreSnapshots, _snapshotPlaces, options, answerBytesMax), options, _failures, answerBytesMax, send);

    /// <summary>
    /// Handles one request. True: <paramref name="answer"/> is there already. False: it goes to <paramref name="target"/>, later or
    /// from another thread. Never throws.
    /// </summary>
    public bool TryAnswer(in FrameHeader header, in ReadOnlySequence<byte> body, IAnswerTarget target, out Answer answer)
    {
        answer = new Answer(header.Correlation, header.Kind, null, (int)header.BodyLength);
        object? request = null;
        try
        {
            // The one copy: keys and values are slices of it, and live as long as the store keeps them.
            byte[] owned = GC.AllocateUninitializedArray<byte>((int)body.Length);
            body.CopyTo(owned);
            request = RequestCodec.Read(header.Kind, owned, operationsMax, out uint deadline);
            return TryAsk(request, deadlines.TokenFor(deadline), target, ref answer);
        }
        catch (WireFormatException e)
        {
            answer = answer with { Content = new MetaStoreException(e.Error, e.Message) };
        }
        catch (Exception e)
        {
            answer = answer with { Content = _failures.ToAnswer(e, request) };
        }

        return true;
    }

    private bool TryAsk(object? request, CancellationToken deadline, IAnswerTarget target, ref Answer answer) => request switch
    {
        PutRequest put => TryTake(store.PutAsync(put, deadline), _puts, request, target, ref answer),
        RangeRequest range => TryTake(store.RangeAsync(range, deadline), _ranges, request, target, ref answer),
        TxnRequest txn => TryTake(store.TxnAsync(txn, deadline), _txns, request, target, ref answer),
        DeleteRangeRequest delete => TryTake(store.DeleteRangeAsync(delete, deadline), _deletes, request, target, ref answer),
        CompactRequest compact => TryTake(store.CompactAsync(compact, deadline), _compacts, request, target, ref answer),
        HashRequest hash => TryTake(store.HashAsync(hash, deadline), _hashes, request, target, ref answer),
        SessionRequest session => TryTake(Sessions.ExecuteAsync(session, deadline), _sessions, request, target, ref answer),
        SessionEnd end => TryTake(Sessions.CloseSessionAsync(end.SessionId, deadline), _closed, request, target, ref answer),
        _ when answer.Kind == FrameKind.OpenSession => TryTake(Sessions.OpenSessionAsync(deadline), _opened, request, target, ref answer),
        LeaseGrantRequest grant => TryTake(store.GrantLeaseAsync(grant, deadline), _granted, request, target, ref answer),
        LeaseRevokeRequest revoke => TryTake(store.RevokeLeaseAsync(revoke, deadline), _revoked, request, target, ref answer),
        LeaseRenewal renewal => TryTake(store.KeepLeaseAliveAsync(renewal.LeaseId, deadline), _renewed, request, target, ref answer),
        LeaseTimeToLiveRequest question => TryTake(store.LeaseTimeToLiveAsync(question, deadline), _timesToLive, request, target, ref answer),
        _ when answer.Kind == FrameKind.Leases => TryTake(store.LeasesAsync(deadline), _leases, request, target, ref answer),
        ClusterCall call => TryTake(Ask(call, deadline), _members, request, target, ref answer),
        _ when answer.Kind == FrameKind.Status => TryTake(store.StatusAsync(deadline), _statuses, request, target, ref answer),
        _ => true, // a ping: its kind says all
    };

    private IMetaStoreSessions Sessions => store as IMetaStoreSessions
        ?? throw new MetaStoreException(MetaStoreError.InvalidArgument, "This store has no sessions.");

    private ValueTask<MembersResponse> Ask(ClusterCall call, CancellationToken deadline)
    {
        if (store is not IMetaStoreCluster cluster)
        {
            throw new MetaStoreException(MetaStoreError.InvalidArgument, "This store has no members to ask about.");
        }

        if (call.Change is not null)
        {
            return cluster.ChangeMembersAsync(call.Change, deadline);
        }

        return call.MoveLeaderTo != 0 ? cluster.MoveLeaderAsync(call.MoveLeaderTo, deadline) : cluster.MembersAsync(call.Linearizable, deadline);
    }

    private static bool TryTake<T>(
        ValueTask<T> task, PendingAnswer<T>.Pool pool, object? request, IAnswerTarget target, ref Answer answer)
        where T : StoreResponse
    {
        if (task.IsCompletedSuccessfully)
        {
            answer = answer with { Content = task.Result };
            return true;
        }

        pool.Await(task, answer, request, target);
        return false;
    }
}
