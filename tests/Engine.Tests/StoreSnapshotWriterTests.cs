using System.Globalization;
using System.Text;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Snapshots;

namespace MetaStore.Engine.Tests;

/// <summary>A snapshot is of the state at which it began, in whatever pieces it is written and whatever becomes of the store meanwhile.</summary>
public class StoreSnapshotWriterTests
{
    /// <summary>More versions of one key than are counted in one slice.</summary>
    private const int HotPuts = 150_000;

    [Theory]
    [InlineData(100, 1000)]
    [InlineData(100_000, HotPuts)]
    public void ThePieces_MakeUpTheWhole_WhateverIsWrittenAndCompactedMeanwhile(int sliceBytes, int hotPuts)
    {
        var store = new MvccStore();
        for (int i = 0; i < hotPuts; i++)
        {
            Put(store, "hot");
            if (i % (hotPuts / 100) == 0)
            {
                Put(store, i.ToString(CultureInfo.InvariantCulture));
            }
        }

        store.Publish(1, 1);
        store.Compact(store.Revision / 10);
        store.Publish(2, 1);
        byte[] whole = Write(store, int.MaxValue, () => { });

        int slices = 0;
        byte[] pieces = Write(store, sliceBytes, () =>
        {
            slices++;
            Put(store, "hot");
            if (slices % 7 == 0)
            {
                store.Delete(store.Revision + 1, store.Unpublished.Find("hot"u8));
                store.CommitRevision(store.Revision + 1);
                store.Compact(store.Revision);
            }

            store.Publish(store.View.AppliedIndex + 1, 1);
            store.Cutter.RunSlice(1000);
        });

        Assert.True(slices > 20, $"it was written in {slices} slices");
        Assert.Equal(whole, pieces);
        while (store.Cutter.RunSlice(10_000))
        {
        }

        IndexShape.Check(store);
    }

    private static void Put(MvccStore store, string key)
    {
        long revision = store.Revision + 1;
        store.Put(revision, Encoding.ASCII.GetBytes(key), BitConverter.GetBytes(revision), 0);
        store.CommitRevision(revision);
    }

    private static byte[] Write(MvccStore store, int sliceBytes, Action between)
    {
        using var output = new MemoryStream();
        using var writer = new StoreSnapshotWriter(store, bytes => output.Write(bytes));
        while (writer.WriteSlice(sliceBytes))
        {
            between();
        }

        return output.ToArray();
    }
}
