using System.Security.Cryptography;

namespace MetaStore.Net;

/// <summary>Pauses between tries: doubling from the shortest to the longest, each drawn from its upper half. Thread safe.</summary>
internal sealed class Backoff(TimeSpan shortest, TimeSpan longest, int? seed)
{
    private readonly Lock _gate = new();
    private readonly Random _random = new(seed ?? RandomNumberGenerator.GetInt32(int.MaxValue));

    /// <summary>The pause after so many failures in a row before this one (0 for the first).</summary>
    public TimeSpan Next(int failures)
    {
        double factor = Math.Pow(2, Math.Min(failures, 30));
        double ticks = Math.Min(shortest.Ticks * factor, longest.Ticks);
        lock (_gate)
        {
            return TimeSpan.FromTicks((long)(ticks * (0.5 + (_random.NextDouble() / 2))));
        }
    }
}
