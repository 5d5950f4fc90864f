using System.Collections.Concurrent;
using MetaStore.Engine;
using MetaStore.Raft;

namespace MetaStore.Net.Tests;

/// <summary>
/// A store of one dictionary, and the node that goes with it. <see cref="Intercept"/> sees each request first: what it returns is awaited
/// before the request is carried out, so a test can hold answers back or let them fail.
/// </summary>
internal sealed class FakeNode : IMetaStore, IMetaStoreSessions, IMetaStoreSnapshots, INodeInfo
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, KeyValue> _items = new(StringComparer.Ordinal);
    private long _revision = 1;
    private ulong _leader;
    private int _calls;

    public FakeNode(ulong nodeId = 1, ulong clusterId = 0xc1)
    {
        ClusterId = clusterId;
        NodeId = new NodeId(nodeId);
        _leader = nodeId;
    }

    public event Action? LeaderChanged;

    public ulong ClusterId { get; }

    public NodeId NodeId { get; }

    public NodeId LeaderId => new(Volatile.Read(ref _leader));

    /// <summary>Calls that reached the store.</summary>
    public int Calls => Volatile.Read(ref _calls);

    public ConcurrentQueue<CancellationToken> Tokens { get; } = [];

    public Func<object, CancellationToken, Task?>? Intercept { get; set; }

    public void SetLeader(ulong leader)
    {
        Volatile.Write(ref _leader, leader);
        LeaderChanged?.Invoke();
    }

    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => Put(request));

    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => Range(request));

    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => Delete(request));

    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => Txn(request));

    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new CompactResponse { Header = Header });

    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new LeaseGrantResponse { Header = Header, Id = request.Id, Ttl = request.Ttl });

    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new LeaseRevokeResponse { Header = Header });

    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) =>
        Do(leaseId, cancellationToken, () => new LeaseKeepAliveResponse { Header = Header, Id = leaseId, Ttl = 7 });

    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new LeaseTimeToLiveResponse { Header = Header, Id = request.Id, Ttl = 5, GrantedTtl = 7, Keys = request.WithKeys ? [new byte[] { 1 }] : [] });

    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) =>
        Do("leases", cancellationToken, () => new LeasesResponse { Header = Header, Ids = [1, 2] });

    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) =>
        Do("status", cancellationToken, () => new StatusResponse { Header = Header, Version = "1", Name = $"n{NodeId.Value}", LeaderId = _leader, KeyCount = _items.Count });

    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new HashResponse { Header = Header, Hash = 7, HashRevision = new Revision(_revision) });

    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) =>
        Do("open", cancellationToken, () => new OpenSessionResponse { Header = Header, SessionId = 1 });

    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) =>
        Do("close", cancellationToken, () => new CloseSessionResponse { Header = Header });

    /// <summary>Remembers nothing: whatever comes is carried out.</summary>
    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default) =>
        Do(request, cancellationToken, () => new SessionResponse { Header = Header, Answer = Put((PutRequest)request.Request) });

    /// <summary>What watches are told; without it there are none.</summary>
    public Func<WatchRequest, CancellationToken, IAsyncEnumerable<WatchResponse>>? Watch { get; set; }

    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) =>
        Watch?.Invoke(request, cancellationToken) ?? throw new MetaStoreException(MetaStoreError.InvalidArgument, "this node has no watches");

    /// <summary>The pieces of a snapshot; without it there is none.</summary>
    public Func<CancellationToken, IAsyncEnumerable<ReadOnlyMemory<byte>>>? Snapshot { get; set; }

    public IAsyncEnumerable<ReadOnlyMemory<byte>> SnapshotAsync(CancellationToken cancellationToken = default) =>
        Snapshot?.Invoke(cancellationToken) ?? throw new MetaStoreException(MetaStoreError.InvalidArgument, "this node has no snapshots");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ResponseHeader Header => new(ClusterId, NodeId.Value, new Revision(_revision), 1);

    private static string Text(ReadOnlyMemory<byte> key) => Convert.ToHexString(key.Span);

    private ValueTask<T> Do<T>(object request, CancellationToken token, Func<T> act)
    {
        Interlocked.Increment(ref _calls);
        Task? wait = Intercept?.Invoke(request, token);
        return wait is null or { IsCompletedSuccessfully: true } ? ValueTask.FromResult(Locked(act)) : new ValueTask<T>(Later());

        async Task<T> Later()
        {
            await wait;
            return Locked(act);
        }
    }

    private T Locked<T>(Func<T> act)
    {
        lock (_gate)
        {
            return act();
        }
    }

    private PutResponse Put(PutRequest put)
    {
        _items.TryGetValue(Text(put.Key), out KeyValue old);
        var revision = new Revision(++_revision);
        Revision created = old.Version == 0 ? revision : old.CreateRevision;
        _items[Text(put.Key)] = new KeyValue(put.Key, put.Value, created, revision, old.Version + 1, put.LeaseId);
        return new PutResponse { Header = Header, Previous = put.ReturnPrevious && old.Version > 0 ? old : null };
    }

    private RangeResponse Range(RangeRequest range)
    {
        KeyValue[] found = Find(range.Key, range.RangeEnd);
        long limit = range.Limit == 0 ? long.MaxValue : range.Limit;
        return new RangeResponse { Header = Header, Count = found.Length, More = found.Length > limit, Items = [.. found.Take((int)Math.Min(limit, int.MaxValue))] };
    }

    private DeleteRangeResponse Delete(DeleteRangeRequest delete)
    {
        KeyValue[] found = Find(delete.Key, delete.RangeEnd);
        foreach (KeyValue item in found)
        {
            _items.Remove(Text(item.Key));
        }

        _revision += found.Length > 0 ? 1 : 0;
        return new DeleteRangeResponse { Header = Header, Deleted = found.Length, Previous = delete.ReturnPrevious ? found : [] };
    }

    private TxnResponse Txn(TxnRequest txn)
    {
        bool holds = txn.Compare.All(compare => Find(compare.Key, default).Length > 0);
        IReadOnlyList<StoreRequest> operations = holds ? txn.Success : txn.Failure;
        return new TxnResponse { Header = Header, Succeeded = holds, Responses = [.. operations.Select(Run)] };
    }

    private StoreResponse Run(StoreRequest operation) => operation switch
    {
        PutRequest put => Put(put) with { Header = new ResponseHeader(0, 0, new Revision(_revision), 0) },
        RangeRequest range => Range(range) with { Header = new ResponseHeader(0, 0, new Revision(_revision), 0) },
        DeleteRangeRequest delete => Delete(delete) with { Header = new ResponseHeader(0, 0, new Revision(_revision), 0) },
        TxnRequest txn => Txn(txn) with { Header = new ResponseHeader(0, 0, new Revision(_revision), 0) },
        _ => throw new InvalidOperationException(),
    };

    private KeyValue[] Find(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> end)
    {
        string from = Text(key);
        if (end.IsEmpty)
        {
            return _items.TryGetValue(from, out KeyValue one) ? [one] : [];
        }

        string to = end is { Length: 1 } && end.Span[0] == 0 ? "~" : Text(end);
        return [.. _items.Where(item => string.CompareOrdinal(item.Key, from) >= 0 && string.CompareOrdinal(item.Key, to) < 0).Select(item => item.Value)];
    }
}
