using System.Text;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>Ranges with limits that nobody foresaw, and pages.</summary>
public sealed class RangeReaderTests
{
    private const int Keys = 2000;

    /// <summary>Clients say "all of it" by the largest number there is. A bound that such a limit made wrap sorted all that there was after each key.</summary>
    [Theory]
    [InlineData(SortTarget.ModRevision, long.MaxValue)]
    [InlineData(SortTarget.ModRevision, (1L << 62) + 1)]
    [InlineData(SortTarget.ModRevision, int.MaxValue)]
    [InlineData(SortTarget.ModRevision, Keys)]
    [InlineData(SortTarget.CreateRevision, long.MaxValue)]
    [InlineData(SortTarget.Version, long.MaxValue)]
    [InlineData(SortTarget.Value, long.MaxValue)]
    [InlineData(SortTarget.Key, long.MaxValue)]
    public void ALimitBeyondAll_CostsNoMoreThanNone(SortTarget target, long limit)
    {
        MvccStore store = Filled();
        var all = new RangeRequest { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 }, SortTarget = target, SortOrder = SortOrder.Descending };
        Read(store, all);
        (RangeResponse expected, long without) = Read(store, all);

        (RangeResponse answer, long with) = Read(store, all with { Limit = limit });

        Assert.Equal(Keys, expected.Items.Count);
        Assert.Equal(expected.Items.Select(Key), answer.Items.Select(Key));
        Assert.Equal((Keys, false), (answer.Count, answer.More));
        Assert.InRange(with, 0, without + (without / 10)); // Each sort allocates; there is to be one.
    }

    [Fact]
    public void APage_IsNotCounted_ForWhatLiesBehindItMayBeAll()
    {
        MvccStore store = Filled();
        long revision = store.Revision;
        store.Put(revision + 1, "k0000"u8, "new"u8, 0);
        store.CommitRevision(revision + 1);
        store.Publish((ulong)revision, 1);
        StoreView view = store.View;
        var all = new RangeRequest { Key = new byte[] { 0 }, RangeEnd = new byte[] { 0 } };

        RangeResponse counted = RangeReader.Read(view.Index, view.Revision, revision, all, bytesMax: 10_000);
        RangeResponse page = RangeReader.Read(view.Index, view.Revision, revision, all, bytesMax: 10_000, counts: false);
        RangeResponse last = RangeReader.Read(view.Index, view.Revision, revision, all, counts: false);

        Assert.Equal((Keys, true), (counted.Count, counted.More));
        Assert.Equal((0, true, counted.Items.Count), (page.Count, page.More, page.Items.Count));
        Assert.Equal((Keys, false), (last.Count, last.More));
    }

    private static string Key(KeyValue item) => Encoding.ASCII.GetString(item.Key.Span);

    private static (RangeResponse Answer, long Allocated) Read(MvccStore store, RangeRequest request)
    {
        StoreView view = store.View;
        long before = GC.GetAllocatedBytesForCurrentThread();
        RangeResponse answer = RangeReader.Read(view.Index, view.Revision, view.Revision, request);
        return (answer, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static MvccStore Filled()
    {
        var store = new MvccStore();
        for (int i = 0; i < Keys; i++)
        {
            store.Put(store.Revision + 1, Encoding.ASCII.GetBytes($"k{i:D4}"), Encoding.ASCII.GetBytes($"v{(i * 7919) % Keys}"), 0);
            store.CommitRevision(store.Revision + 1);
        }

        store.Publish(Keys, 1);
        return store;
    }
}
