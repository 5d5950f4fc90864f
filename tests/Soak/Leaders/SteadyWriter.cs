using System.Diagnostics;
using System.Globalization;
using System.Text;
using MetaStore.Engine;

namespace MetaStore.Soak;

/// <summary>One write after the other at a fixed pace, each repeated until it is acknowledged. The numbers that it writes rise, so a write that was done twice does no harm.</summary>
internal sealed class SteadyWriter(IMetaStore store, int rate)
{
    private const int Keys = 1000;

    private readonly long[] _written = new long[Keys];
    private long _writes;
    private long _begun;
    private long _slowest;

    /// <summary>Writes that were acknowledged. Read from any thread.</summary>
    public long Writes => Volatile.Read(ref _writes);

    /// <summary>How long the write that is under way has taken so far; zero between two. Any thread.</summary>
    public TimeSpan UnderWay => Volatile.Read(ref _begun) is var begun && begun == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(begun);

    /// <summary>What the slowest write took, all its tries together. Any thread.</summary>
    public TimeSpan Slowest => TimeSpan.FromTicks(Volatile.Read(ref _slowest));

    public async Task RunAsync(CancellationToken stop)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / rate));
        for (long number = 1; !stop.IsCancellationRequested; number++)
        {
            await pace.WaitForNextTickAsync(CancellationToken.None);
            long begun = Stopwatch.GetTimestamp();
            Volatile.Write(ref _begun, begun);
            while (!await TryWriteAsync(number) && !stop.IsCancellationRequested)
            {
            }

            Volatile.Write(ref _begun, 0);
            Volatile.Write(ref _slowest, Math.Max(_slowest, Stopwatch.GetElapsedTime(begun).Ticks));
        }
    }

    /// <summary>How many keys do not have the last value that was acknowledged, or one that was still under way.</summary>
    public async Task<int> CountWrongAsync()
    {
        RangeResponse all = await store.RangeAsync(new RangeRequest { Key = Key(0), RangeEnd = Key(Keys) });
        Dictionary<string, long> found = all.Items.ToDictionary(
            item => Encoding.ASCII.GetString(item.Key.Span), item => long.Parse(item.Value.Span, NumberStyles.None, CultureInfo.InvariantCulture), StringComparer.Ordinal);
        return Enumerable.Range(0, Keys).Count(i => found.GetValueOrDefault(Encoding.ASCII.GetString(Key(i))) < _written[i]);
    }

    private async Task<bool> TryWriteAsync(long number)
    {
        try
        {
            await store.PutAsync(new PutRequest { Key = Key((int)(number % Keys)), Value = Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)) });
        }
        catch (MetaStoreException)
        {
            return false; // Nobody leads, or nobody knows what came of it.
        }

        _written[number % Keys] = number;
        Volatile.Write(ref _writes, _writes + 1);
        return true;
    }

    private static byte[] Key(int i) => Encoding.ASCII.GetBytes($"soak/{i:D4}");
}
