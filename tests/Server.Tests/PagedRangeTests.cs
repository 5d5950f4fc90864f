using System.Text;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Server.Client;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>Ranges that one answer cannot carry.</summary>
public sealed class PagedRangeTests
{
    private static readonly RangeRequest s_all = new() { Key = "k"u8.ToArray(), RangeEnd = "l"u8.ToArray() };

    [Theory]
    [InlineData(0, 100)]
    [InlineData(37, 37)]
    [InlineData(1000, 100)]
    public async Task Pages_are_one_answer_of_one_revision(long limit, int expected)
    {
        using var directory = new TestDirectory();
        await using var store = new NarrowStore(MetaStoreNode.OpenSingle(directory.Of("data")), itemsMax: 7);
        for (int i = 0; i < 100; i++)
        {
            await store.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes($"k{i:000}"), Value = Encoding.UTF8.GetBytes($"{i}") });
        }

        // Between any two pages somebody writes; nothing of it may show.
        store.BeforeRange = async () => await store.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes($"k050+{store.Ranges}"), Value = "new"u8.ToArray() });
        RangeResponse first = await store.RangeAsync(s_all with { Limit = 1 });
        RangeResponse answer = await PagedRange.ReadAsync(store, s_all with { Limit = limit, Revision = new Revision(first.Header.Revision.Value - 1) }, default);
        Assert.Equal(Enumerable.Range(0, expected).Select(i => $"{i}"), answer.Items.Select(item => Encoding.UTF8.GetString(item.Value.Span)));
        Assert.Equal((100L, expected < 100), (answer.Count, answer.More));

        RangeResponse now = await PagedRange.ReadAsync(store, s_all, default);
        Assert.Equal(now.Count, now.Items.Count);
        Assert.All(now.Items, item => Assert.True(item.ModRevision <= now.Header.Revision));
    }

    [Theory]
    [InlineData(SortTarget.Value, SortOrder.Ascending)]
    [InlineData(SortTarget.Key, SortOrder.Descending)]
    public async Task Another_order_is_refused_with_what_to_do(SortTarget target, SortOrder order)
    {
        using var directory = new TestDirectory();
        await using var store = new NarrowStore(MetaStoreNode.OpenSingle(directory.Of("data")), itemsMax: 1);
        await store.PutAsync(new PutRequest { Key = "k1"u8.ToArray() });
        await store.PutAsync(new PutRequest { Key = "k2"u8.ToArray() });
        MetaStoreException refusal = await Assert.ThrowsAsync<MetaStoreException>(() => PagedRange.ReadAsync(store, s_all with { SortTarget = target, SortOrder = order }, default));
        Assert.Equal(MetaStoreError.ResponseTooLarge, refusal.Error);
        Assert.Contains("--limit", refusal.Message);
    }

    [Fact]
    public async Task More_than_a_frame_carries_comes_through()
    {
        using var directory = new TestDirectory();
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        await using (Net.MetaStoreClient client = Net.MetaStoreClient.Connect(new Net.MetaStoreClientOptions { Endpoints = [server.Endpoint] }))
        {
            byte[] value = Encoding.UTF8.GetBytes(new string('v', 1 << 20));
            for (int i = 0; i < 18; i++)
            {
                await client.PutAsync(new PutRequest { Key = Encoding.UTF8.GetBytes($"k{i:00}"), Value = value });
            }
        }

        (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "get", "k", "--prefix", "--endpoints", server.Endpoint]);
        Assert.Equal((0, string.Empty), (exitCode, errors));
        Assert.Equal(18 * (4 + (1 << 20) + 1), output.Length);
    }

    /// <summary>A node whose answers carry few items.</summary>
    private sealed class NarrowStore(IMetaStore inner, int itemsMax) : IMetaStore
    {
        public Func<Task> BeforeRange { get; set; } = () => Task.CompletedTask;

        public int Ranges { get; private set; }

        public async ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default)
        {
            Ranges++;
            await BeforeRange();
            RangeResponse answer = await inner.RangeAsync(request, cancellationToken);
            return answer.Items.Count <= itemsMax ? answer : throw new MetaStoreException(MetaStoreError.ResponseTooLarge, "too large");
        }

        public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => inner.PutAsync(request, cancellationToken);

        public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) => inner.DeleteRangeAsync(request, cancellationToken);

        public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => inner.TxnAsync(request, cancellationToken);

        public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => inner.CompactAsync(request, cancellationToken);

        public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => inner.GrantLeaseAsync(request, cancellationToken);

        public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => inner.RevokeLeaseAsync(request, cancellationToken);

        public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => inner.KeepLeaseAliveAsync(leaseId, cancellationToken);

        public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) => inner.LeaseTimeToLiveAsync(request, cancellationToken);

        public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => inner.LeasesAsync(cancellationToken);

        public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => inner.StatusAsync(cancellationToken);

        public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => inner.HashAsync(request, cancellationToken);

        public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => inner.WatchAsync(request, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
