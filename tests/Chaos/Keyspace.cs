using MetaStore.Engine;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>The keys of one round: a few, so that the clients meet on them, and new in each round, so that its history begins with nothing.</summary>
internal readonly record struct Keyspace(int Round)
{
    public const int Keys = 8;

    private const int Stride = 16;

    /// <summary>Written by who looks whether writes are answered again.</summary>
    public long Probe => First + Keys;

    public long First => (long)(Round + 1) * Stride;

    /// <summary>All keys of the round, the probe's too.</summary>
    public RangeRequest ReadAll(bool serializable) => new()
    {
        Key = RegisterProjection.KeyOf(First),
        RangeEnd = RegisterProjection.KeyOf(Probe + 1),
        Serializable = serializable,
    };
}
