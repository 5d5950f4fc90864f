using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Etcd;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Server.Serving;

/// <summary>What --initial-cluster-state says of the data directory.</summary>
internal enum ClusterState
{
    /// <summary>If it is empty, this is the first start of a member of a new cluster.</summary>
    New,

    /// <summary>The member has run before, or was added to a cluster that runs.</summary>
    Existing,
}

/// <summary>What --profile asks for.</summary>
internal enum BatchProfile
{
    /// <summary>Small batches.</summary>
    LowLatency,

    /// <summary>Large batches.</summary>
    HighThroughput,
}

/// <summary>What --auto-compaction-mode asks for.</summary>
internal enum CompactionMode
{
    /// <summary>By age.</summary>
    Periodic,

    /// <summary>By number of revisions.</summary>
    Revision,
}

/// <summary>What --metrics asks for.</summary>
internal enum MetricsScope
{
    /// <summary>What costs nothing to tell.</summary>
    Basic,

    /// <summary>Also how long calls take.</summary>
    Extensive,
}

/// <summary>The values of the flags of "serve"; null where a flag was not given and its default follows from others.</summary>
internal sealed record ServeFlagValues
{
    public string Name { get; init; } = "default";

    public string? DataDirectory { get; init; }

    public string ListenClientUrls { get; init; } = "http://127.0.0.1:2379";

    public string? ListenMetricsUrls { get; init; }

    public string? AdvertiseClientUrls { get; init; }

    public string? ListenPeerUrls { get; init; }

    public string? AdvertisePeerUrls { get; init; }

    public string? InitialCluster { get; init; }

    public ClusterState ClusterState { get; init; }

    public string Token { get; init; } = "metastore-cluster";

    public long SnapshotCount { get; init; } = 10_000;

    public int SnapshotCatchUpEntries { get; init; } = 5_000;

    public long SnapshotBytesPerSecond { get; init; } = 64 << 20;

    public int TxnOperationsMax { get; init; } = 128;

    public int RequestBytesMax { get; init; } = 3 << 19;

    public int StreamsPerConnectionMax { get; init; } = 1 << 13;

    public TimeSpan PingInterval { get; init; } = TimeSpan.FromHours(2);

    public TimeSpan PingTimeout { get; init; } = TimeSpan.FromSeconds(20);

    public TimeSpan ProgressInterval { get; init; } = TimeSpan.FromMinutes(10);

    public int LearnersMax { get; init; } = 1;

    public MetricsScope Metrics { get; init; }

    public int HeartbeatMilliseconds { get; init; } = 100;

    public int ElectionMilliseconds { get; init; } = 1000;

    public int ClockDriftPercent { get; init; } = 10;

    public BatchProfile Profile { get; init; }

    public CompactionMode CompactionMode { get; init; }

    public string CompactionRetention { get; init; } = "0";

    public ulong? Seed { get; init; }

    public LogLevel LogLevel { get; init; } = LogLevel.Information;
}

/// <summary>What "serve" is to do: the flags, checked, with all that follows from them.</summary>
internal sealed record ServeOptions
{
    private const string PeerUrlDefault = "http://127.0.0.1:2380";

    public required NodeSettings Node { get; init; }

    public required EtcdServerOptions Etcd { get; init; }

    public required IReadOnlyList<MemberAddress> Members { get; init; }

    public required IReadOnlyList<HttpUrl> ListenClientUrls { get; init; }

    public required IReadOnlyList<HttpUrl> AdvertiseClientUrls { get; init; }

    /// <summary>Where figures and health are told, beside the client ports, and nothing else is.</summary>
    public required IReadOnlyList<HttpUrl> ListenMetricsUrls { get; init; }

    public required HttpUrl ListenPeerUrl { get; init; }

    /// <summary>Where the other members reach this one.</summary>
    public required HttpUrl AdvertisePeerUrl { get; init; }

    public required ClusterState ClusterState { get; init; }

    public required LogLevel LogLevel { get; init; }

    /// <exception cref="RefusalException">A flag is wrong; the message names it and what would be right.</exception>
    public static ServeOptions From(ServeFlagValues flags)
    {
        if (flags.Name.Length == 0 || flags.Name.AsSpan().IndexOfAny(",=/") >= 0)
        {
            throw new RefusalException(ExitCode.Usage, $"--name is \"{flags.Name}\"; it must not be empty nor hold a comma, an equals sign or a slash.");
        }

        if (flags.DataDirectory is not null && string.IsNullOrWhiteSpace(flags.DataDirectory))
        {
            throw new RefusalException(ExitCode.Usage, "--data-dir is empty; it must name a directory, or be left out.");
        }

        HttpUrl? advertised = flags.AdvertisePeerUrls is null ? null : One("--initial-advertise-peer-urls", flags.AdvertisePeerUrls);
        IReadOnlyList<MemberAddress> members = InitialCluster.Parse(flags.InitialCluster ?? $"{flags.Name}={advertised?.ToString() ?? PeerUrlDefault}");
        MemberAddress self = FindSelf(flags.Name, members, advertised);
        IReadOnlyList<HttpUrl> clients = HttpUrl.ParseList("--listen-client-urls", flags.ListenClientUrls);
        foreach (HttpUrl url in clients)
        {
            _ = url.ToListenEndPoint("--listen-client-urls");
        }

        IReadOnlyList<HttpUrl> metrics = flags.ListenMetricsUrls is null or "" ? [] : HttpUrl.ParseList("--listen-metrics-urls", flags.ListenMetricsUrls);
        foreach (HttpUrl url in metrics)
        {
            _ = url.ToListenEndPoint("--listen-metrics-urls");
        }

        IReadOnlyList<HttpUrl> advertisedClients = flags.AdvertiseClientUrls is null ? clients : HttpUrl.ParseList("--advertise-client-urls", flags.AdvertiseClientUrls);
        HttpUrl peer = One("--listen-peer-urls", flags.ListenPeerUrls ?? PeerUrlDefault);
        _ = peer.ToListenEndPoint("--listen-peer-urls");
        return new ServeOptions
        {
            Node = MakeNode(flags, members, self, advertisedClients),
            Etcd = MakeEtcd(flags),
            Members = members,
            ListenClientUrls = clients,
            AdvertiseClientUrls = advertisedClients,
            ListenMetricsUrls = metrics,
            ListenPeerUrl = peer,
            AdvertisePeerUrl = self.PeerUrl,
            ClusterState = flags.ClusterState,
            LogLevel = flags.LogLevel,
        };
    }

    private static HttpUrl One(string flag, string text)
    {
        IReadOnlyList<HttpUrl> urls = HttpUrl.ParseList(flag, text);
        return urls.Count == 1 ? urls[0] : throw new RefusalException(ExitCode.Usage, $"{flag} has {urls.Count} addresses; one is supported.");
    }

    private static MemberAddress FindSelf(string name, IReadOnlyList<MemberAddress> members, HttpUrl? advertised)
    {
        MemberAddress self = members.FirstOrDefault(member => member.Name == name) ?? throw new RefusalException(
            ExitCode.Usage,
            $"--initial-cluster ({string.Join(", ", members.Select(member => member.Name))}) does not include this node; add {name}=http://… to it, or set --name to one of its members.");
        if (advertised is not null && advertised != self.PeerUrl)
        {
            throw new RefusalException(
                ExitCode.Usage, $"--initial-advertise-peer-urls is {advertised}, but --initial-cluster gives {name} the url {self.PeerUrl}; they must be the same.");
        }

        return self;
    }

    private static EtcdServerOptions MakeEtcd(ServeFlagValues flags) => new()
    {
        StreamsPerConnectionMax = flags.StreamsPerConnectionMax,
        PingInterval = PingTime("--grpc-keepalive-interval", flags.PingInterval),
        PingTimeout = PingTime("--grpc-keepalive-timeout", flags.PingTimeout),
        MeasuresCalls = flags.Metrics == MetricsScope.Extensive,
    };

    /// <summary>As etcd has it, 0 switches it off.</summary>
    private static TimeSpan PingTime(string flag, TimeSpan given)
    {
        if (given > TimeSpan.Zero && given < TimeSpan.FromSeconds(1))
        {
            throw new RefusalException(ExitCode.Usage, $"{flag} is {given.TotalMilliseconds}ms; it must be 1s or more, or 0s.");
        }

        return given == TimeSpan.Zero ? TimeSpan.MaxValue : given;
    }

    private static NodeSettings MakeNode(ServeFlagValues flags, IReadOnlyList<MemberAddress> members, MemberAddress self, IReadOnlyList<HttpUrl> clients)
    {
        NodeId nodeId = ClusterIds.OfNode(flags.Token, self);
        var settings = new NodeSettings
        {
            Name = flags.Name,
            ClusterId = ClusterIds.OfCluster(flags.Token, members),
            NodeId = nodeId,
            Members = [.. members.Select(member => new Member(ClusterIds.OfNode(flags.Token, member).Value, member.Name, [member.PeerUrl.ToString()], []))],
            ClientUrls = [.. clients.Select(url => url.ToString())],
            DataDirectory = flags.DataDirectory ?? $"{flags.Name}.metastore",
            HeartbeatInterval = TimeSpan.FromMilliseconds(flags.HeartbeatMilliseconds),
            ElectionTimeout = TimeSpan.FromMilliseconds(flags.ElectionMilliseconds),
            ClockDriftMax = flags.ClockDriftPercent / 100.0,
            Limits = new StoreLimits { TxnOperationsMax = flags.TxnOperationsMax, RequestBytesMax = flags.RequestBytesMax },
            Watches = new WatchOptions { ProgressInterval = flags.ProgressInterval },
            LearnersMax = flags.LearnersMax,
            Proposer = flags.Profile == BatchProfile.HighThroughput ? ProposerOptions.HighThroughput : ProposerOptions.LowLatency,
            Snapshots = new SnapshotOptions
            {
                EntriesMin = flags.SnapshotCount,
                EntriesKept = flags.SnapshotCatchUpEntries,
                BytesPerSecondMax = flags.SnapshotBytesPerSecond,
            },
            AutoCompaction = CompactionRetention.Parse(flags.CompactionMode, flags.CompactionRetention),
            Seed = flags.Seed ?? MetaStoreNode.DrawSeed(),
        };
        if (flags.ElectionMilliseconds < 5 * flags.HeartbeatMilliseconds)
        {
            throw new RefusalException(
                ExitCode.Usage,
                $"--election-timeout is {flags.ElectionMilliseconds} ms; it must be at least 5 times --heartbeat-interval, {5 * flags.HeartbeatMilliseconds} ms.");
        }

        if (settings.Members.Select(member => member.Id).Distinct().Count() != members.Count)
        {
            throw new RefusalException(ExitCode.Usage, "two members come out with the same node id; give one of them another --name.");
        }

        return settings;
    }
}
