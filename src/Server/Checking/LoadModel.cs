namespace MetaStore.Server.Checking;

/// <summary>How much a check asks for: etcdctl's models, so that results compare.</summary>
/// <param name="WritesPerSecond">Of "check perf".</param>
/// <param name="Pairs">Of "check datascale".</param>
/// <param name="Clients">Who write at a time.</param>
internal sealed record LoadModel(int WritesPerSecond, int Pairs, int Clients)
{
    private static readonly LoadModel s_small = new(150, 10_000, 50);
    private static readonly LoadModel s_medium = new(1000, 100_000, 200);
    private static readonly LoadModel s_large = new(8000, 1_000_000, 500);
    private static readonly LoadModel s_extraLarge = new(15_000, 3_000_000, 1000);

    /// <summary>By the words that name them.</summary>
    public static (string Word, LoadModel Value)[] All { get; } =
    [
        ("s", s_small), ("small", s_small), ("m", s_medium), ("medium", s_medium), ("l", s_large), ("large", s_large), ("xl", s_extraLarge), ("xLarge", s_extraLarge),
    ];
}
