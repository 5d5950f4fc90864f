using MetaStore.Engine;

namespace MetaStore.Etcd.Tests.Programs;

/// <summary>The store's own interface: embedded, or over the binary protocol.</summary>
internal sealed class StoreWay(IMetaStore store) : IWay
{
    public async Task<long> PutAsync(string key, string value, long lease = 0) =>
        (await store.PutAsync(new PutRequest { Key = ByteText.ToBytes(key), Value = ByteText.ToBytes(value), LeaseId = lease })).Header.Revision.Value;

    public async Task<long> DeleteAsync(string key) => (await store.DeleteRangeAsync(new DeleteRangeRequest { Key = ByteText.ToBytes(key) })).Header.Revision.Value;

    public async Task<bool> CreateAsync(string key, string value)
    {
        TxnResponse response = await store.TxnAsync(new TxnRequest
        {
            Compare = [new Compare { Key = ByteText.ToBytes(key), Target = CompareTarget.Version, Relation = CompareRelation.Equal }],
            Success = [new PutRequest { Key = ByteText.ToBytes(key), Value = ByteText.ToBytes(value) }],
        });
        return response.Succeeded;
    }

    public async Task GrantAsync(long lease, long seconds) => await store.GrantLeaseAsync(new LeaseGrantRequest(seconds, lease));

    public async Task RevokeAsync(long lease) => await store.RevokeLeaseAsync(new LeaseRevokeRequest(lease));

    public async Task<IReadOnlyList<Item>> ReadAsync(string prefix)
    {
        RangeResponse response = await store.RangeAsync(new RangeRequest { Key = ByteText.ToBytes(prefix), RangeEnd = ByteText.EndOf(prefix) });
        return [.. response.Items.Select(ToItem)];
    }

    public async Task<IWayWatch> WatchAsync(string prefix)
    {
        var watch = new Watch(store.WatchAsync(new WatchRequest { Key = ByteText.ToBytes(prefix), RangeEnd = ByteText.EndOf(prefix) }));
        await watch.BeginAsync();
        return watch;
    }

    public ValueTask DisposeAsync() => store is IAsyncDisposable disposable and not Engine.Hosting.MetaStoreNode ? disposable.DisposeAsync() : ValueTask.CompletedTask;

    private static Item ToItem(KeyValue kv) =>
        new(ByteText.Of(kv.Key.Span), ByteText.Of(kv.Value.Span), kv.CreateRevision.Value, kv.ModRevision.Value, kv.Version, kv.LeaseId);

    private sealed class Watch(IAsyncEnumerable<WatchResponse> responses) : IWayWatch
    {
        private readonly IAsyncEnumerator<WatchResponse> _responses = responses.GetAsyncEnumerator();
        private readonly Queue<Change> _changes = new();

        /// <summary>The first response says that the watch is there.</summary>
        public async Task BeginAsync() => Assert.True(await _responses.MoveNextAsync().AsTask().WaitAsync(Support.Patience));

        public async Task<Change> NextAsync()
        {
            while (_changes.Count == 0)
            {
                Assert.True(await _responses.MoveNextAsync().AsTask().WaitAsync(Support.Patience), "the watch has ended");
                foreach (WatchEvent e in _responses.Current.Events)
                {
                    _changes.Enqueue(new Change(e.Type == WatchEventType.Delete, ToItem(e.KeyValue)));
                }
            }

            return _changes.Dequeue();
        }

        public ValueTask DisposeAsync() => _responses.DisposeAsync();
    }
}
