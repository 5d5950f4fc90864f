namespace MetaStore.Etcd.Services;

/// <summary>How the services of etcd are served. The defaults are etcd's, where it has the setting.</summary>
internal sealed record EtcdServicesOptions
{
    /// <summary>The release of etcd whose interface is served; clients decide by it what they may ask for.</summary>
    public string ServerVersion { get; init; } = "3.6.14";

    /// <summary>The version that all members of the cluster have in common.</summary>
    public string ClusterVersion { get; init; } = "3.6.0";

    /// <summary>Bytes of one answer that is not a stream, encoded; more is an error. 1 to 2 GiB, the default, which is what clients of gRPC take.</summary>
    public long AnswerBytesMax { get; init; } = int.MaxValue;

    /// <summary>Keys and values that are held for one answer, in bytes, with 192 more for each: what is more comes in parts. 1 or more.</summary>
    public long WholeAnswerBytesMax { get; init; } = 4 << 20;

    /// <summary>Keys and values of an answer that has to be held, since it is sorted by something else than the key, or tells a lease's keys, in bytes, with 192 more for each; more is an error. 1 or more.</summary>
    public long HeldAnswerBytesMax { get; init; } = 256 << 20;

    /// <summary>Keys and values in one message of a RangeStream, or in one part of an answer, in bytes, with 192 more for each; a single item may exceed it. 1 or more.</summary>
    public long StreamMessageBytes { get; init; } = 3 << 19;

    /// <summary>Watches of one stream at most; etcd has no such bound.</summary>
    public int WatchesPerStreamMax { get; init; } = 100_000;

    /// <summary>Answers to requests that may wait for a caller who does not read a watch stream; then its requests are not read either.</summary>
    public int WatchAnswersWaitingMax { get; init; } = 1024;

    /// <summary>Bytes of one message of a snapshot.</summary>
    public int SnapshotMessageBytes { get; init; } = 32 << 10;

    /// <summary>Snapshots that are sent at a time: each holds history back as long as it lasts. etcd has no such bound. 1 or more.</summary>
    public int SnapshotsMax { get; init; } = 4;

    /// <summary>A snapshot of which nothing was taken for so long is given up. More than 0.</summary>
    public TimeSpan SnapshotPatience { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The lease of a lock or a candidacy that comes without one, in seconds.</summary>
    public long SessionTtlSeconds { get; init; } = 60;

    /// <summary>Operations of a transaction, counted through nesting as etcd does.</summary>
    public int TxnOperationsMax { get; init; } = 128;

    /// <summary>Levels of nested transactions; etcd has no such bound.</summary>
    public int TxnDepthMax { get; init; } = 8;

    /// <summary>Where time comes from.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Who may do what.</summary>
    public IAuthority Authority { get; init; } = OpenAuthority.Instance;
}
