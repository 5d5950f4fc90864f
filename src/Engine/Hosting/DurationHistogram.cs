namespace MetaStore.Engine.Hosting;

/// <summary>How long something took, time and again, sorted into buckets. Counted by any thread, read by any thread; the figures never go back.</summary>
public sealed class DurationHistogram
{
    private static readonly double[] s_ofDisks = Doubling(0.001, 14);
    private static readonly double[] s_ofHashes = Doubling(0.01, 15);
    private static readonly double[] s_ofNetworks = Doubling(0.0001, 16);
    private static readonly double[] s_ofCalls = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly double[] _bounds;
    private readonly long[] _counts;
    private long _ticks;

    private DurationHistogram(double[] bounds)
    {
        _bounds = bounds;
        _counts = new long[bounds.Length + 1];
    }

    /// <summary>With etcd's buckets for disks: from 1 ms, each twice the one before, to 8.192 s.</summary>
    public static DurationHistogram OfDisk() => new(s_ofDisks);

    /// <summary>With etcd's buckets for hashes of the store: from 10 ms, each twice the one before, to 163.84 s.</summary>
    public static DurationHistogram OfHashes() => new(s_ofHashes);

    /// <summary>With etcd's buckets for round trips between members: from 0.1 ms, each twice the one before, to 3.2768 s.</summary>
    public static DurationHistogram OfNetwork() => new(s_ofNetworks);

    /// <summary>With the buckets that servers of gRPC have for calls: from 5 ms to 10 s.</summary>
    public static DurationHistogram OfCalls() => new(s_ofCalls);

    /// <summary>The upper bounds of the buckets, in seconds. What takes longer than the last has a bucket of its own.</summary>
    public IReadOnlyList<double> BoundsSeconds => _bounds;

    /// <summary>All of them together, in seconds.</summary>
    public double SumSeconds => new TimeSpan(Interlocked.Read(ref _ticks)).TotalSeconds;

    /// <summary>How many fell into each bucket, in the order of the bounds, and last those beyond.</summary>
    public IReadOnlyList<long> Counts => [.. Enumerable.Range(0, _counts.Length).Select(i => Interlocked.Read(ref _counts[i]))];

    /// <summary>Counts one.</summary>
    public void Add(TimeSpan duration)
    {
        int bucket = 0;
        double seconds = duration.TotalSeconds;
        while (bucket < _bounds.Length && seconds > _bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _counts[bucket]);
        Interlocked.Add(ref _ticks, duration.Ticks);
    }

    private static double[] Doubling(double first, int count) => [.. Enumerable.Range(0, count).Select(i => first * (1 << i))];
}
