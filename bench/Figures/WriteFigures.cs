using System.Diagnostics;
using MetaStore.Engine;

namespace MetaStore.Figures;

/// <summary>Puts by the apply loop's classes, without log and Raft.</summary>
internal static class WriteFigures
{
    private const int Keys = 1_000_000;
    private const int Puts = 1_000_000;

    public static IEnumerable<Figure> Run()
    {
        byte[][] keys = TestStore.MakeKeys(Keys);
        var store = new TestStore();
        store.Fill(keys);
        foreach (int size in new[] { 1, 10, 100, 10_000 })
        {
            (double one, double many) = Measure.InTurn(Puts, store.Compact, () => Apply(store, keys, 1), () => Apply(store, keys, size));
            yield return new Figure($"put_existing_batch_{size}_over_single", many, "ns", one);
        }

        double best = Measure.Nanoseconds(Puts, store.Compact, () => Apply(store, keys, 100));
        yield return new Figure("put_existing_key", 1e9 / best, "op/s", 4_000_000);
        foreach (Figure figure in BesideAWriter(store, keys))
        {
            yield return figure;
        }
    }

    /// <summary>A batch of distinct keys into an empty store.</summary>
    public static IEnumerable<Figure> Batch()
    {
        const int batch = 10_000;
        byte[][] fresh = TestStore.MakeKeys(batch);
        var empty = new TestStore();
        double insert = Measure.Nanoseconds(batch, () => empty = new TestStore(), () => Apply(empty, fresh, batch));
        yield return new Figure("batch_10000_new_keys", 1e9 / insert, "op/s", 3_000_000);
    }

    /// <summary>Reads of one thread, alone and while another one writes as fast as it can.</summary>
    private static IEnumerable<Figure> BesideAWriter(TestStore store, byte[][] keys)
    {
        store.Compact();
        double alone = CountReads(store, keys);
        using var stop = new CancellationTokenSource();
        var writer = new Thread(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                store.Put(keys[i % keys.Length]);
                if (i % 100 == 99)
                {
                    store.Publish();
                }

                if (i % 1_000_000 == 999_999)
                {
                    store.Compact();
                }
            }
        });
        writer.Start();
        double beside = CountReads(store, keys);
        stop.Cancel();
        writer.Join();
        yield return new Figure("reads_beside_a_writer", beside, "op/s", alone);
    }

    private static double CountReads(TestStore store, byte[][] keys)
    {
        var random = new Random(5);
        var visitor = default(Nothing);
        long reads = 0;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(3))
        {
            for (int i = 0; i < 1000; i++, reads++)
            {
                store.Reader.Visit(Engine.Index.KeyRange.From(keys[random.Next(keys.Length)], default), 0, ref visitor);
            }
        }

        return reads / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static void Apply(TestStore store, byte[][] keys, int batch)
    {
        for (int i = 0; i < keys.Length; i += batch)
        {
            store.PutBatch(keys.AsSpan(i, batch));
        }
    }

    private struct Nothing : IKeyValueVisitor
    {
        public long Seen;

        public bool Visit(in KeyValueView item)
        {
            Seen += item.Version;
            return true;
        }
    }
}
