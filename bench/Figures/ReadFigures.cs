using System.Collections.Concurrent;
using MetaStore.Engine;
using MetaStore.Engine.Index;
using MetaStore.Engine.Transactions;

namespace MetaStore.Figures;

/// <summary>Reads of one key, of ten, and counts, on stores of several sizes.</summary>
internal sealed class ReadFigures
{
    private const int Reads = 500_000;
    private const int Counts = 100_000;
    private const int RangeKeys = 10;

    private readonly int[] _order = new int[Reads];
    private long _sum;

    public IEnumerable<Figure> Run(IEnumerable<int> sizes)
    {
        double rangeOfTheSmallest = double.NaN;
        foreach (int size in sizes)
        {
            byte[][] keys = TestStore.MakeKeys(size);
            var store = new TestStore();
            store.Fill(keys);
            keys = TestStore.InOrder(keys);
            var random = new Random(3);
            for (int i = 0; i < _order.Length; i++)
            {
                _order[i] = random.Next(size - RangeKeys);
            }

            string name = size >= 1_000_000 ? $"{size / 1_000_000}m" : $"{size / 1000}k";
            double get = Measure.Nanoseconds(Reads, () => Get(store, keys));
            double dictionary = MeasureDictionary(keys, store.Value);
            yield return new Figure($"point_get_{name}", get, "ns", dictionary);
            yield return new Figure($"point_get_{name}_allocated", Measure.AllocatedBytes(Reads, () => Get(store, keys)), "B", double.NaN);
            double range = Measure.Nanoseconds(Reads, () => Range(store, keys));
            rangeOfTheSmallest = double.IsNaN(rangeOfTheSmallest) ? range : rangeOfTheSmallest;
            yield return new Figure($"range_10_{name}_over_point_get", range, "ns", get);
            yield return new Figure($"range_10_{name}_over_smallest", range, "ns", rangeOfTheSmallest);
            yield return new Figure($"range_10_{name}_allocated", Measure.AllocatedBytes(Reads, () => Range(store, keys)), "B", double.NaN);
            yield return new Figure($"count_half_{name}", Measure.Nanoseconds(Counts, () => Count(store, keys)), "ns", 2000);
            store.Store.Memory.Dispose();
        }

        GC.KeepAlive(_sum);
    }

    private double MeasureDictionary(byte[][] keys, byte[] value)
    {
        var dictionary = new ConcurrentDictionary<ReadOnlyMemory<byte>, byte[]>(Environment.ProcessorCount, keys.Length, ByteKeyComparer.Instance);
        foreach (byte[] key in keys)
        {
            dictionary[key] = value.AsSpan().ToArray();
        }

        return Measure.Nanoseconds(Reads, () =>
        {
            for (int i = 0; i < Reads; i++)
            {
                _sum += dictionary[keys[_order[i]]][0];
            }
        });
    }

    private void Get(TestStore store, byte[][] keys)
    {
        var visitor = default(Adder);
        for (int i = 0; i < Reads; i++)
        {
            store.Reader.Visit(KeyRange.From(keys[_order[i]], default), 0, ref visitor);
        }

        _sum += visitor.Sum;
    }

    private void Range(TestStore store, byte[][] keys)
    {
        var visitor = default(Adder);
        for (int i = 0; i < Reads; i++)
        {
            int first = _order[i];
            store.Reader.Visit(KeyRange.From(keys[first], keys[first + RangeKeys]), 0, ref visitor);
        }

        _sum += visitor.Sum;
    }

    private void Count(TestStore store, byte[][] keys)
    {
        using Engine.Memory.ReadSection section = store.Store.Memory.Enter();
        int half = keys.Length / 2;
        for (int i = 0; i < Counts; i++)
        {
            int first = _order[i] % half;
            _sum += store.Store.View.Index.CountLive(KeyRange.From(keys[first], keys[first + half - 1]), store.Store.Revision);
        }
    }

    private struct Adder : IKeyValueVisitor
    {
        public long Sum;

        public bool Visit(in KeyValueView item)
        {
            Sum += item.Value[0];
            return true;
        }
    }
}
