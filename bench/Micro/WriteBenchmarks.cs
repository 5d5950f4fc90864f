using System.Collections.Concurrent;
using BenchmarkDotNet.Attributes;
using MetaStore.Engine;
using MetaStore.Engine.Transactions;

namespace MetaStore.Micro;

/// <summary>
/// Puts on existing keys by the apply loop's classes: prepared one by one, published once for each batch. Every version stays until the
/// iteration ends, as it does in the store until a compaction; the references overwrite. Times and bytes are for one put.
/// </summary>
[MemoryDiagnoser]
[SimpleJob(invocationCount: 128)]
public class WriteBenchmarks
{
    private const int Keys = 100_000;
    private const int Puts = 1000;

    private readonly ConcurrentDictionary<ReadOnlyMemory<byte>, byte[]> _hashed = new(ByteKeyComparer.Instance);
    private readonly SortedDictionary<byte[], byte[]> _sorted = new(new KeyOrder());
    private FilledStore _store = null!;
    private Random _random = null!;

    /// <summary>Puts that become visible together.</summary>
    [Params(1, 10, 100)]
    public int Batch { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        _store = new FilledStore(Keys);
        _random = new Random(2);
        foreach (byte[] key in _store.Keys)
        {
            _hashed[key] = _store.Value;
            _sorted[key] = _store.Value;
        }
    }

    [IterationCleanup]
    public void ForgetHistory() => _store.Compact();

    [Benchmark(OperationsPerInvoke = Puts)]
    public void PutAndPublish()
    {
        for (int i = 0; i < Puts; i += Batch)
        {
            for (int j = 0; j < Batch; j++)
            {
                _store.Apply(new PutRequest { Key = AnyKey(), Value = _store.Value });
            }

            _store.Publish();
        }
    }

    /// <summary>With a copy of the value, which the store makes as well.</summary>
    [Benchmark(OperationsPerInvoke = Puts)]
    public void PutConcurrentDictionary()
    {
        for (int i = 0; i < Puts; i++)
        {
            _hashed[AnyKey()] = _store.Value.AsSpan().ToArray();
        }
    }

    [Benchmark(OperationsPerInvoke = Puts)]
    public void PutSortedDictionary()
    {
        for (int i = 0; i < Puts; i++)
        {
            _sorted[AnyKey()] = _store.Value.AsSpan().ToArray();
        }
    }

    private byte[] AnyKey() => _store.Keys[_random.Next(Keys)];
}
