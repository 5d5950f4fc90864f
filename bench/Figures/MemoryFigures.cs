using System.Diagnostics;

namespace MetaStore.Figures;

/// <summary>What a store of many keys takes, all in.</summary>
internal static class MemoryFigures
{
    private const long BytesPerKeyMax = 400;
    private const long ManagedBytesMax = 64 << 20;

    public static IEnumerable<Figure> Run(IEnumerable<int> sizes) => sizes.SelectMany(Run);

    private static IEnumerable<Figure> Run(int keys)
    {
        string name = $"{keys / 1_000_000}m";
        GC.Collect();
        long before = Environment.WorkingSet;
        var store = new TestStore();
        for (int i = 0; i < keys; i++)
        {
            // In an order of no order, without a list of all keys in memory.
            store.Put(TestStore.Key((int)((long)i * 7_368_787 % keys)));
            if (i % 100 == 99)
            {
                store.Publish();
            }
        }

        store.Publish();
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        using var self = Process.GetCurrentProcess();
        yield return new Figure($"memory_per_key_{name}", (double)(self.WorkingSet64 - before) / keys, "B", BytesPerKeyMax);
        yield return new Figure($"arena_per_key_{name}", (double)store.Store.Memory.ReservedBytes / keys, "B", double.NaN);
        yield return new Figure($"managed_heap_{name}", GC.GetTotalMemory(forceFullCollection: true) / 1048576.0, "MiB", ManagedBytesMax / 1048576.0);
        if (store.Store.View.Index.LiveCount != keys)
        {
            throw new InvalidOperationException($"{store.Store.View.Index.LiveCount} keys of {keys}: the order repeats some");
        }

        store.Store.Memory.Dispose();
    }
}
