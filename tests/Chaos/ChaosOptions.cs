namespace MetaStore.Chaos;

/// <summary>Which way the clients of the workload ask.</summary>
internal enum ChaosFront
{
    /// <summary>By the binary protocol, with the client of this store.</summary>
    Binary,

    /// <summary>By gRPC, as clients of etcd do.</summary>
    Grpc,
}

/// <summary>
/// What a run does. The seed decides which faults come, in which order, on whom, and what the clients ask; not how the processes interleave,
/// so that a seed repeats the plan and not the run.
/// </summary>
internal sealed record ChaosOptions
{
    public required ulong Seed { get; init; }

    /// <summary>Which way the clients ask.</summary>
    public ChaosFront Front { get; init; }

    /// <summary>After each round everything heals and all that happened in it is checked; the next has keys of its own, on the same stores.</summary>
    public required int Rounds { get; init; }

    /// <summary>kill -9, in each round.</summary>
    public required int Kills { get; init; }

    /// <summary>SIGSTOP and SIGCONT, in each round.</summary>
    public required int Pauses { get; init; }

    public required int Partitions { get; init; }

    public required int HeartbeatMilliseconds { get; init; }

    public required int ElectionMilliseconds { get; init; }

    /// <summary>Entries between two snapshots: few, so that a node which was away needs one now and then.</summary>
    public required int SnapshotCount { get; init; }

    /// <summary>How long one request of a client may take.</summary>
    public required TimeSpan RequestTimeout { get; init; }

    /// <summary>The longest that a fault lasts.</summary>
    public required TimeSpan FaultMax { get; init; }

    /// <summary>The longest pause between two faults.</summary>
    public required TimeSpan GapMax { get; init; }

    /// <summary>The longest pause of a client between two requests: load enough to be hit, and a history that can be searched.</summary>
    public required TimeSpan ThinkMax { get; init; }

    /// <summary>About half a minute: one round, and quick elections to fit into it.</summary>
    public static ChaosOptions Short(ulong seed) => new()
    {
        Seed = seed,
        Rounds = 1,
        Kills = 6,
        Pauses = 4,
        Partitions = 4,
        HeartbeatMilliseconds = 50,
        ElectionMilliseconds = 500,
        SnapshotCount = 300,
        RequestTimeout = TimeSpan.FromSeconds(1),
        FaultMax = TimeSpan.FromSeconds(2.5),
        GapMax = TimeSpan.FromSeconds(0.8),
        ThinkMax = TimeSpan.FromMilliseconds(20),
    };

    /// <summary>With the server's own timing; an hour is 300 kills, 150 pauses and 100 partitions.</summary>
    public static ChaosOptions Long(ulong seed, int minutes) => new()
    {
        Seed = seed,
        Rounds = Math.Max(1, minutes * 5 / 6),
        Kills = 6,
        Pauses = 3,
        Partitions = 2,
        HeartbeatMilliseconds = 100,
        ElectionMilliseconds = 1000,
        SnapshotCount = 1000,
        RequestTimeout = TimeSpan.FromSeconds(2),
        FaultMax = TimeSpan.FromSeconds(12),
        GapMax = TimeSpan.FromSeconds(5),
        ThinkMax = TimeSpan.FromMilliseconds(30),
    };
}
