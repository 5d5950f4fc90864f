namespace MetaStore.Simulation;

/// <summary>The run's randomness. Parts that draw independently get a branch of their own, so that one more draw here moves nothing there.</summary>
internal sealed class SimulationRandom(ulong seed) : Random
{
    private ulong _state = seed;

    public ulong NextUInt64()
    {
        ulong z = _state += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }

    public SimulationRandom Branch() => new(NextUInt64());

    public bool Chance(double probability) => NextDouble() < probability;

    /// <summary>A time between the two, most often short: the logarithm is uniform.</summary>
    public long Between(long shortest, long longest) =>
        (long)(shortest * Math.Pow((double)longest / shortest, NextDouble()));

    public override int Next() => Next(int.MaxValue);

    public override int Next(int maxValue) => maxValue <= 1 ? 0 : (int)(NextUInt64() % (ulong)maxValue);

    public override int Next(int minValue, int maxValue) => minValue + Next(maxValue - minValue);

    public override long NextInt64() => (long)(NextUInt64() >> 1);

    public override long NextInt64(long maxValue) => maxValue <= 1 ? 0 : (long)(NextUInt64() % (ulong)maxValue);

    public override double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    protected override double Sample() => NextDouble();

    public override void NextBytes(byte[] buffer) => NextBytes(buffer.AsSpan());

    public override void NextBytes(Span<byte> buffer)
    {
        for (int i = 0; i < buffer.Length; i++)
        {
            buffer[i] = (byte)NextUInt64();
        }
    }
}
