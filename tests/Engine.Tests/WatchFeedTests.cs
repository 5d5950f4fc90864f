using System.Text;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

/// <summary>Watches that are taken from, and up to where all of them have been told; and ranges in pages of bytes.</summary>
public sealed class WatchFeedTests
{
    [Fact]
    public void TheListener_IsCalledOnce_AfterNothingWasLeft()
    {
        using var node = new SteppedNode();
        int calls = 0;
        using WatchFeed feed = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => calls++);
        Assert.Equal("created 1", Take(feed));
        node.Run(Put("k"));
        Assert.Equal(0, calls);
        Assert.Equal("events 2", Take(feed));
        Assert.Equal("nothing", Take(feed));
        node.Run(Put("k"));
        node.Run(Put("k"));
        Assert.Equal(1, calls);
        Assert.Equal(["events 3", "events 4", "nothing"], [Take(feed), Take(feed), Take(feed)]);
        feed.Dispose();
        node.Run(Put("k"));
        Assert.Equal((1, 0, 0), (calls, node.Core.Groups[0].Watch.Count, node.Core.Groups[0].Watch.QueuedBytes));
        Assert.Equal("nothing", Take(feed));
    }

    /// <summary>Whatever a listener does, and however long, holds no memory back.</summary>
    [Fact]
    public void TheListener_IsCalledOutsideOfTheEpoch()
    {
        using var node = new SteppedNode();
        var stores = new List<int>();
        MvccStore store = node.Core.Groups[0].Store;
        int Held()
        {
            store.Memory.Retire(store.Memory.Allocate(16), 16);
            store.Memory.Published();
            return store.Memory.Retired;
        }

        using WatchFeed feed = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => stores.Add(Held()));
        Assert.Equal(["created 1", "nothing"], [Take(feed), Take(feed)]);
        node.Run(Put("k"));
        Assert.Equal(["events 2", "nothing"], [Take(feed), Take(feed)]);
        node.Core.AskProgress([feed], _ => stores.Add(Held()));
        node.Settle();
        Assert.Equal(2, stores.Count);
        node.Core.Groups[0].Watch.EndAll(new MetaStoreException(MetaStoreError.Stopped, "stopped"));
        Assert.Equal([0, 0, 0], stores);
    }

    /// <summary>Word of something to take comes before word of how far all have been told: else who passes both on would tell of an event behind the progress that covers it.</summary>
    [Fact]
    public void TheListener_IsCalledBeforeTheAnswer()
    {
        using var node = new SteppedNode();
        var calls = new List<string>();
        using WatchFeed feed = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => calls.Add("listener"));
        Assert.Equal(["created 1", "nothing"], [Take(feed), Take(feed)]);
        ValueTask<PutResponse> put = node.Core.PutAsync(Put("k"));
        node.Settle(except: "watch");
        Assert.True(put.IsCompletedSuccessfully);
        node.Core.AskProgress([feed], upTo => calls.Add($"answer {upTo}"));
        node.Settle();
        Assert.Equal(["listener", "answer 2"], calls);
    }

    [Fact]
    public void WhatEndsAWatch_ComesBehindWhatWasToldBefore()
    {
        using var node = new SteppedNode();
        int calls = 0;
        node.Run(Put("k"));
        node.Run(Put("k"));
        node.Run(new CompactRequest(new Revision(3)));
        using WatchFeed late = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k"), StartRevision = new Revision(2) }, () => calls++);
        using WatchFeed current = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => calls++);
        Assert.Equal("created 3", Take(late));
        Assert.Equal("nothing", Take(late));
        node.Settle();
        Assert.Equal(1, calls);
        Assert.Equal(new Revision(3), Assert.Throws<CompactedException>(() => Take(late)).CompactRevision);
        node.Run(Put("k"));
        node.Core.Groups[0].Watch.EndAll(new MetaStoreException(MetaStoreError.Stopped, "stopped"));
        Assert.Equal(["created 3", "events 4"], [Take(current), Take(current)]);
        Assert.Equal(MetaStoreError.Stopped, Assert.Throws<MetaStoreException>(() => Take(current)).Error);
    }

    [Fact]
    public void OneThatIsSlow_IsToldTheRestFromTheLog()
    {
        using var node = new SteppedNode(watches: new WatchOptions { QueueBytesMax = 600 });
        using WatchFeed feed = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => { });
        for (int i = 0; i < 20; i++)
        {
            node.Run(Put("k"));
        }

        Assert.Equal("created 1", Take(feed));
        long next = 2;
        while (next <= 21)
        {
            if (!feed.TryTake(out WatchResponse? response))
            {
                node.Settle();
                continue;
            }

            foreach (WatchEvent e in response.Events)
            {
                Assert.Equal(next++, e.KeyValue.ModRevision.Value);
            }
        }
    }

    /// <summary>
    /// Many begin in the past, or see much happen at once, and take nothing: they wait, so each is given something, and all of them together no more than a little each. Then they take, and miss
    /// nothing.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ThoseThatWaitForMuchAndTakeNothing_KeepToTheirMemory(bool fromThePast)
    {
        const int Watches = 200;
        const int Puts = 1500;
        const int BytesMax = 1 << 20;
        const int EventBytes = 500;
        using var node = new SteppedNode(watches: new WatchOptions { TotalBytesMax = BytesMax });
        void PutAll()
        {
            Task[] puts = [.. Enumerable.Range(0, Puts).Select(_ => ((IMetaStore)node.Core).PutAsync(Put("k", 300)).AsTask())];
            node.Settle();
            Assert.All(puts, put => Assert.True(put.IsCompletedSuccessfully));
        }

        if (fromThePast)
        {
            PutAll();
        }

        WatchFeed[] feeds = [.. Enumerable.Range(0, Watches).Select(_ => node.Core.OpenWatch(new WatchRequest { Key = Bytes("k"), StartRevision = new Revision(2) }, () => { }))];
        foreach (WatchFeed feed in feeds)
        {
            Assert.StartsWith("created", Take(feed), StringComparison.Ordinal);
            Assert.Equal("nothing", Take(feed));
        }

        node.Settle();
        if (!fromThePast)
        {
            PutAll();
        }

        int[] told = new int[Watches];
        var waiting = new HashSet<WatchEvent>(ReferenceEqualityComparer.Instance);
        for (int i = 0; i < Watches; i++)
        {
            Assert.True(feeds[i].TryTake(out WatchResponse? response), "one that waited was given nothing");
            told[i] = response.Events.Count;
            waiting.UnionWith(response.Events);
        }

        // What just happened is there once for all; what each catches up with is its own, and little.
        long most = fromThePast ? BytesMax + (Watches * (node.Core.Groups[0].Watch.ShareBytes + EventBytes)) : Puts * EventBytes;
        Assert.InRange(waiting.Sum(e => (long)e.KeyValue.Value.Length), 300, most);
        Assert.InRange(most, 1, 3 * BytesMax);
        while (told.Any(count => count < Puts))
        {
            for (int i = 0; i < Watches; i++)
            {
                while (feeds[i].TryTake(out WatchResponse? response))
                {
                    Assert.Equal(2 + told[i], response.Events[0].KeyValue.ModRevision.Value);
                    told[i] += response.Events.Count;
                }
            }

            node.Settle();
        }

        Assert.Equal(0, node.Core.Groups[0].Watch.QueuedBytes);
        Array.ForEach(feeds, feed => feed.Dispose());
    }

    [Fact]
    public void Progress_IsAnsweredOnceNobodyIsBehind()
    {
        using var node = new SteppedNode(watches: new WatchOptions { QueueBytesMax = 600 });
        using WatchFeed quick = node.Core.OpenWatch(new WatchRequest { Key = Bytes("other") }, () => { });
        using WatchFeed slow = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => { });
        var answers = new List<Revision?>();
        node.Core.AskProgress([quick, slow], answers.Add);
        node.Settle();
        Assert.Equal([new Revision(1)], answers);
        for (int i = 0; i < 20; i++)
        {
            node.Run(Put("k"));
        }

        node.Core.AskProgress([quick], answers.Add);
        node.Core.AskProgress([quick, slow], answers.Add);
        node.Settle();
        Assert.Equal([new Revision(1), new Revision(21)], answers);
        while (answers.Count == 2)
        {
            while (slow.TryTake(out _))
            {
                // Room for the rest.
            }

            node.Settle();
        }

        Assert.Equal(new Revision(21), answers[2]);
    }

    [Fact]
    public void Progress_IsAnsweredForTheFutureToo_AndWhatHasEndedDoesNotCount()
    {
        using var node = new SteppedNode();
        using WatchFeed future = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k"), StartRevision = new Revision(9) }, () => { });
        WatchFeed left = node.Core.OpenWatch(new WatchRequest { Key = Bytes("k") }, () => { });
        var answers = new List<Revision?>();
        node.Settle();
        node.Core.AskProgress([future], answers.Add);
        left.Dispose();
        node.Core.AskProgress([left], answers.Add);
        node.Core.AskProgress([left, future], answers.Add);
        node.Settle();
        Assert.Equal([new Revision(1), null, new Revision(1)], answers);
    }

    [Fact]
    public void ARange_EndsBeforeItExceedsItsBytes_AndCountsAllTheSame()
    {
        using var node = new SteppedNode();
        for (int i = 0; i < 10; i++)
        {
            node.Run(new PutRequest { Key = Bytes($"k{i}"), Value = new byte[10] });
        }

        var all = new RangeRequest { Key = Bytes("k"), RangeEnd = Bytes("l") };
        const int Item = RangeReader.ItemBytes;
        Assert.Equal("k0 k1 more 10", Read(all, 35 + (2 * Item)));
        Assert.Equal("k0 more 10", Read(all, 1));
        Assert.Equal("k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 10", Read(all, 120 + (10 * Item)));
        Assert.Equal("k9 k8 more 10", Read(all with { SortOrder = SortOrder.Descending }, 35 + (2 * Item)));
        Assert.Equal("k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 10", Read(all with { KeysOnly = true }, 20 + (10 * Item)));
        Assert.Equal("k5 k6 more 10", Read(all with { MinModRevision = new Revision(7) }, 35 + (2 * Item)));
        Assert.Equal("k8 k9 10", Read(all with { MinModRevision = new Revision(10) }, 35 + (2 * Item)));
        RangeRequest sorted = all with { SortTarget = SortTarget.ModRevision, SortOrder = SortOrder.Descending };
        Assert.Equal("k9 k8 more 10", Read(sorted with { Limit = 2 }, 35 + (2 * Item)));
        Assert.Equal(MetaStoreError.ResponseTooLarge, Assert.Throws<MetaStoreException>(() => Read(sorted with { Limit = 3 }, 35 + (2 * Item))).Error);
        Assert.Equal(MetaStoreError.ResponseTooLarge, Assert.Throws<MetaStoreException>(() => Read(sorted, 119 + (10 * Item))).Error);
        Assert.Equal("k9 k8 k7 k6 k5 k4 k3 k2 k1 k0 10", Read(sorted, 120 + (10 * Item)));

        string Read(RangeRequest request, long bytesMax)
        {
            RangeResponse response = node.Wait(node.Core.RangeAsync(request, bytesMax, counts: true, default));
            return $"{string.Join(' ', response.Items.Select(item => Encoding.ASCII.GetString(item.Key.Span)))}{(response.More ? " more" : string.Empty)} {response.Count}";
        }
    }

    [Fact]
    public void TheBestOfManyItems_AreFoundWithoutHoldingAll()
    {
        using var node = new SteppedNode();
        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
        {
            node.Run(new PutRequest { Key = Bytes($"k{random.Next(1000):d3}"), Value = Bytes($"{random.Next(5)}") });
        }

        var all = new RangeRequest { Key = Bytes("k"), RangeEnd = Bytes("l"), SortTarget = SortTarget.Value };
        foreach (SortOrder order in Enum.GetValues<SortOrder>())
        {
            RangeResponse whole = node.Wait(node.Core.RangeAsync(all with { SortOrder = order }));
            foreach (int limit in (int[])[1, 2, 300, 700, 5000])
            {
                RangeResponse cut = node.Wait(node.Core.RangeAsync(all with { SortOrder = order, Limit = limit }));
                Assert.Equal(whole.Items.Take(limit).Select(Text), cut.Items.Select(Text));
                Assert.Equal((whole.Count, limit < whole.Items.Count), (cut.Count, cut.More));
            }
        }

        static string Text(KeyValue item) => $"{Encoding.ASCII.GetString(item.Key.Span)}={Encoding.ASCII.GetString(item.Value.Span)}";
    }

    private static PutRequest Put(string key) => new() { Key = Bytes(key), Value = Bytes("v") };

    private static PutRequest Put(string key, int valueBytes) => new() { Key = Bytes(key), Value = new byte[valueBytes] };

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);

    private static string Take(WatchFeed feed) =>
        feed.TryTake(out WatchResponse? response) ? $"{(response.IsCreated ? "created" : "events")} {response.Header.Revision}" : "nothing";
}
