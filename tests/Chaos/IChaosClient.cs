using MetaStore.Engine;

namespace MetaStore.Chaos;

/// <summary>A client of the workload, whichever way it asks.</summary>
internal interface IChaosClient : IAsyncDisposable
{
    /// <exception cref="MetaStoreException">No answer came; its outcome says whether the operation can have taken effect.</exception>
    Task<StoreResponse> SendAsync(StoreRequest request);
}

/// <summary>Asks by the binary protocol, or a node directly.</summary>
internal sealed class StoreChaosClient(IMetaStore store) : IChaosClient
{
    public async Task<StoreResponse> SendAsync(StoreRequest request) => request switch
    {
        PutRequest put => await store.PutAsync(put),
        RangeRequest range => await store.RangeAsync(range),
        DeleteRangeRequest delete => await store.DeleteRangeAsync(delete),
        TxnRequest txn => await store.TxnAsync(txn),
        _ => throw new ArgumentException($"{request.GetType().Name} is not part of the workload", nameof(request)),
    };

    public ValueTask DisposeAsync() => store.DisposeAsync();
}
