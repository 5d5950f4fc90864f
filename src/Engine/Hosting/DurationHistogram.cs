namespace MetaStore.Engine.Hosting;

/// <summary>How long something took, time and again, sorted into buckets. Counted by any thread, read by any thread; the figures never go back.</summary>
public sealed class DurationHistogram
{
    private const double FirstBoundSeconds = 0.001;
    private const int BoundCount = 14;

    private readonly long[] _counts = new long[BoundCount + 1];
    private long _ticks;

    /// <summary>The upper bounds of the buckets, in seconds, each twice the one before; etcd's. What takes longer than the last has a bucket of its own.</summary>
    public static IReadOnlyList<double> BoundsSeconds { get; } = [.. Enumerable.Range(0, BoundCount).Select(i => FirstBoundSeconds * (1 << i))];

    /// <summary>All of them together, in seconds.</summary>
    public double SumSeconds => new TimeSpan(Interlocked.Read(ref _ticks)).TotalSeconds;

    /// <summary>How many fell into each bucket, in the order of the bounds, and last those beyond.</summary>
    public IReadOnlyList<long> Counts => [.. Enumerable.Range(0, _counts.Length).Select(i => Interlocked.Read(ref _counts[i]))];

    /// <summary>Counts one.</summary>
    public void Add(TimeSpan duration)
    {
        int bucket = 0;
        double seconds = duration.TotalSeconds;
        while (bucket < BoundCount && seconds > BoundsSeconds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _counts[bucket]);
        Interlocked.Add(ref _ticks, duration.Ticks);
    }
}
