using System.Text;
using MetaStore.Engine.Index;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;

namespace MetaStore.Engine.Tests;

public class KeyIndexTests
{
    [Theory]
    [InlineData(1, 2000, KeyIndexBuilder.LevelsMax)]
    [InlineData(2, 2000, 1)]
    [InlineData(3, 20_000, 2)]
    [InlineData(4, 20_000, 1)]
    public void Agrees_with_a_sorted_list_under_random_changes(int seed, int keySpace, int levels)
    {
        var random = new Random(seed);
        MvccStore store = Store(levels);
        var model = new SortedDictionary<string, bool>(StringComparer.Ordinal);
        for (int i = 0; i < 20_000; i++)
        {
            string key = $"k{random.Next(keySpace)}";
            if (random.Next(3) > 0)
            {
                store.Put(store.Revision + 1, Encoding.ASCII.GetBytes(key), [1], 0);
                store.CommitRevision(store.Revision + 1);
                model[key] = true;
            }
            else if (model.GetValueOrDefault(key))
            {
                store.Delete(store.Revision + 1, store.Unpublished.Find(Encoding.ASCII.GetBytes(key)));
                store.CommitRevision(store.Revision + 1);
                model[key] = false;
            }

            if (i % 1000 == 999)
            {
                store.Publish((ulong)i + 1, 1);
                Compare(store.View, model, random, keySpace);
                IndexShape.Check(store);
            }
        }
    }

    [Fact]
    public void A_view_stays_as_it_was_while_the_writer_goes_on()
    {
        var store = new MvccStore();
        Fill(store, 0, 500);
        store.Publish(1, 1);
        using ReadSection section = store.Memory.Enter();
        StoreView old = store.View;
        Fill(store, 500, 5000);
        foreach (string key in Enumerable.Range(0, 250).Select(Key))
        {
            store.Delete(store.Revision + 1, store.Unpublished.Find(Encoding.ASCII.GetBytes(key)));
            store.CommitRevision(store.Revision + 1);
        }

        Assert.Equal(500, RangeReader.Count(old.Index, All, old.Revision, old.Revision));
        store.Publish(2, 1);
        Assert.Equal(500, RangeReader.Count(old.Index, All, old.Revision, old.Revision));
        Assert.Equal(4750, RangeReader.Count(store.View.Index, All, store.View.Revision, store.View.Revision));
        Assert.Equal(500, RangeReader.Count(store.View.Index, All, store.View.Revision, old.Revision));
    }

    [Fact]
    public void Compaction_forgets_what_no_readable_revision_sees_and_nothing_else()
    {
        var store = new MvccStore();
        Fill(store, 0, 3000);
        long full = store.Revision;
        for (int i = 0; i < 3000; i += 2)
        {
            store.Delete(store.Revision + 1, store.Unpublished.Find(Encoding.ASCII.GetBytes(Key(i))));
            store.CommitRevision(store.Revision + 1);
        }

        store.Compact(full + 10);
        store.Publish(1, 1);
        uint before = StoreHash.Compute(store, store.View.Revision, full + 10);
        while (store.Cutter.RunSlice(100))
        {
        }

        Assert.Equal(before, StoreHash.Compute(store, store.View.Revision, full + 10));
        Assert.Equal(2990, RangeReader.Count(store.View.Index, All, store.View.Revision, full + 10));
        Assert.True(store.View.Index.Find(Encoding.ASCII.GetBytes(Key(0))).IsNull);
        Assert.False(store.View.Index.Find(Encoding.ASCII.GetBytes(Key(2998))).IsNull);
        IndexShape.Check(store);
    }

    [Fact]
    public void A_pinned_view_holds_history_back_until_it_is_let_go()
    {
        var store = new MvccStore();
        byte[] key = "k"u8.ToArray();
        Put(store, key, 1);
        store.Publish(1, 1);
        long first = store.Revision;
        ViewPins.PinnedView pin = store.Pins.Pin(store);
        Put(store, key, 2);
        store.Compact(store.Revision);
        store.Publish(2, 1);
        Assert.False(store.Cutter.RunSlice(10));
        Assert.Equal(1, store.View.Index.Find(key).ReadAt(first).Value[0]);
        pin.Dispose();
        Assert.True(store.Cutter.RunSlice(10));
        Assert.True(store.View.Index.Find(key).ReadAt(first).IsNull);
    }

    /// <summary>Keys that have everything in common but a byte, are each other's beginnings, or hold zeros where others end.</summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, KeyIndexBuilder.LevelsMax)]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(4, 2)]
    public void Keys_that_are_hard_to_tell_apart_are_told_apart(int seed, int levels)
    {
        var random = new Random(seed);
        MvccStore store = Store(levels);
        var model = new SortedDictionary<byte[], bool>(Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        for (int i = 0; i < 30_000; i++)
        {
            byte[] key = HardKey(random, seed);
            KeyRecord record = store.Unpublished.Find(key);
            Assert.Equal(model.ContainsKey(key), !record.IsNull);
            if (random.Next(100) < (i / 10_000 == 1 ? 20 : 60))
            {
                Put(store, key, 1);
                model[key] = true;
            }
            else if (model.GetValueOrDefault(key))
            {
                store.Delete(store.Revision + 1, record);
                store.CommitRevision(store.Revision + 1);
                model[key] = false;
            }

            if (i % 3000 == 2999)
            {
                store.Compact(store.Revision);
                store.Publish((ulong)i + 1, 1);
                while (store.Cutter.RunSlice(100))
                {
                }

                // Removals at the compacted revision itself are kept.
                Put(store, "z"u8.ToArray(), 1);
                model["z"u8.ToArray()] = true;
                store.Compact(store.Revision);
                store.Publish((ulong)i + 2, 1);
                while (store.Cutter.RunSlice(100))
                {
                }

                foreach (byte[] gone in model.Where(p => !p.Value).Select(p => p.Key).ToArray())
                {
                    model.Remove(gone);
                }

                CompareHard(store, model, random, seed);
            }
        }
    }

    [Theory]
    [InlineData(KeyIndexBuilder.LevelsMax)]
    [InlineData(1)]
    public void Whatever_comes_goes_again_and_leaves_no_memory_behind(int levels)
    {
        MvccStore store = Store(levels);
        for (int round = 0; round < 3; round++)
        {
            Fill(store, 0, 10_000);
            store.Publish((ulong)store.Revision, 1);
            IndexShape.Check(store);
            Assert.InRange(store.View.Index.Shards.Count, levels == 1 ? 10_000 / IndexNode.Capacity : 1, levels == 1 ? 10_000 : 1);
            foreach (int number in Enumerable.Range(0, 10_000).OrderBy(n => n * 7919 % 10_007))
            {
                store.Delete(store.Revision + 1, store.Unpublished.Find(Encoding.ASCII.GetBytes(Key(number))));
                store.CommitRevision(store.Revision + 1);
            }

            Put(store, "last"u8.ToArray(), 1);
            store.Compact(store.Revision);
            store.Publish((ulong)store.Revision, 1);
            while (store.Cutter.RunSlice(1000))
            {
            }

            IndexShape.Check(store);
            Assert.Equal((1, 1), (store.View.Index.LiveCount, store.View.Index.Shards.Count));
            Assert.InRange(store.Memory.LiveBlocks, 4, 10);
        }
    }

    /// <summary>A store whose shards are split beyond so many levels: the fewer, the more shards there are.</summary>
    private static MvccStore Store(int levels)
    {
        var memory = new StoreMemory();
        return new MvccStore(memory, new KeyIndexBuilder(memory, levels), new EventLog(memory), StoreView.Empty);
    }

    private static byte[] HardKey(Random random, int seed)
    {
        byte[] alphabet = seed switch
        {
            1 => [0, 1],
            2 => [0, 255],
            3 => "ab"u8.ToArray(),
            _ => [.. Enumerable.Range(0, 256).Select(i => (byte)i)],
        };
        int shared = random.Next(4) * 9;
        byte[] key = new byte[1 + shared + random.Next(12)];
        Array.Fill(key, alphabet[0]);
        for (int i = Math.Max(0, key.Length - 1 - random.Next(10)); i < key.Length; i++)
        {
            key[i] = alphabet[random.Next(alphabet.Length)];
        }

        return key;
    }

    private static void CompareHard(MvccStore store, SortedDictionary<byte[], bool> model, Random random, int seed)
    {
        IndexShape.Check(store);
        StoreView view = store.View;
        byte[][] live = [.. model.Keys];
        Assert.Equal(live.Length, view.Index.LiveCount);
        for (int i = 0; i < 50; i++)
        {
            byte[] start = HardKey(random, seed);
            byte[] end = [.. HardKey(random, seed), 0]; // One zero alone would mean "without an end".
            byte[][] expected = [.. live.Where(key => key.AsSpan().SequenceCompareTo(start) >= 0 && key.AsSpan().SequenceCompareTo(end) < 0)];
            var request = new RangeRequest { Key = start, RangeEnd = end };
            Assert.Equal(expected, RangeReader.Read(view.Index, view.Revision, view.Revision, request).Items.Select(item => item.Key.ToArray()));
            Assert.Equal(expected.Length, RangeReader.Read(view.Index, view.Revision, view.Revision, request with { CountOnly = true }).Count);
            RangeResponse last = RangeReader.Read(view.Index, view.Revision, view.Revision, request with { SortOrder = SortOrder.Descending, Limit = 7 });
            Assert.Equal(expected.Reverse().Take(7), last.Items.Select(item => item.Key.ToArray()));
            Assert.Equal((expected.Length, expected.Length > 7), ((int)last.Count, last.More));
        }
    }

    private static KeyRange All => KeyRange.From(new byte[] { 0 }, new byte[] { 0 });

    private static string Key(int number) => $"key{number:D6}";

    private static void Fill(MvccStore store, int from, int to)
    {
        foreach (int number in Enumerable.Range(from, to - from))
        {
            Put(store, Encoding.ASCII.GetBytes(Key(number)), 1);
        }
    }

    private static void Put(MvccStore store, byte[] key, byte value)
    {
        store.Put(store.Revision + 1, key, [value], 0);
        store.CommitRevision(store.Revision + 1);
    }

    private static void Compare(StoreView view, SortedDictionary<string, bool> model, Random random, int keySpace)
    {
        string[] live = [.. model.Where(p => p.Value).Select(p => p.Key)];
        Assert.Equal(live.Length, view.Index.LiveCount);
        RangeResponse all = RangeReader.Read(view.Index, view.Revision, view.Revision, Request("k", "l"));
        Assert.Equal(live, all.Items.Select(i => Encoding.ASCII.GetString(i.Key.Span)));
        for (int i = 0; i < 20; i++)
        {
            string start = $"k{random.Next(keySpace)}";
            string end = $"k{random.Next(keySpace)}";
            int expected = live.Count(k => string.CompareOrdinal(k, start) >= 0 && string.CompareOrdinal(k, end) < 0);
            Assert.Equal(expected, RangeReader.Read(view.Index, view.Revision, view.Revision, Request(start, end) with { CountOnly = true }).Count);
        }
    }

    private static RangeRequest Request(string start, string end) =>
        new() { Key = Encoding.ASCII.GetBytes(start), RangeEnd = Encoding.ASCII.GetBytes(end) };
}
