using System.Collections.Concurrent;
using BenchmarkDotNet.Attributes;
using MetaStore.Engine;
using MetaStore.Engine.Transactions;

namespace MetaStore.Micro;

/// <summary>
/// Reads from a published view, request to response. The references keep no history, and of them only the dictionary may be read while
/// somebody writes: they say what the plainest answer to the same question costs.
/// </summary>
[MemoryDiagnoser]
public class ReadBenchmarks
{
    private const int RangeKeys = 10;

    private readonly ConcurrentDictionary<ReadOnlyMemory<byte>, byte[]> _hashed = new(ByteKeyComparer.Instance);
    private readonly SortedDictionary<byte[], byte[]> _sorted = new(new KeyOrder());
    private readonly SortedSet<byte[]> _ordered = new(new KeyOrder());
    private FilledStore _store = null!;
    private Random _random = null!;

    /// <summary>Keys in the store.</summary>
    [Params(100_000)]
    public int Keys { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        _store = new FilledStore(Keys);
        _random = new Random(2);
        foreach (byte[] key in _store.Keys)
        {
            _hashed[key] = _store.Value;
            _sorted[key] = _store.Value;
            _ordered.Add(key);
        }
    }

    [Benchmark]
    public RangeResponse Get() => _store.Reader.Range(new RangeRequest { Key = AnyKey() }, TimeSpan.Zero);

    [Benchmark]
    public byte[] GetConcurrentDictionary() => _hashed[AnyKey()];

    [Benchmark]
    public byte[] GetSortedDictionary() => _sorted[AnyKey()];

    [Benchmark]
    public RangeResponse RangeOfTen()
    {
        int first = _random.Next(Keys - RangeKeys);
        return _store.Reader.Range(new RangeRequest { Key = _store.Keys[first], RangeEnd = _store.Keys[first + RangeKeys], Limit = RangeKeys }, TimeSpan.Zero);
    }

    [Benchmark]
    public List<byte[]> RangeOfTenSortedSet()
    {
        int first = _random.Next(Keys - RangeKeys);
        return [.. _ordered.GetViewBetween(_store.Keys[first], _store.Keys[first + RangeKeys - 1])];
    }

    /// <summary>Half of all keys are counted, not visited.</summary>
    [Benchmark]
    public RangeResponse CountHalf() =>
        _store.Reader.Range(new RangeRequest { Key = _store.Keys[Keys / 4], RangeEnd = _store.Keys[Keys / 4 * 3], CountOnly = true }, TimeSpan.Zero);

    [Benchmark]
    public int CountHalfSortedSet() => _ordered.GetViewBetween(_store.Keys[Keys / 4], _store.Keys[(Keys / 4 * 3) - 1]).Count;

    private byte[] AnyKey() => _store.Keys[_random.Next(Keys)];
}
