using System.CommandLine;
using MetaStore.Server.Serving;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace MetaStore.Server.CommandLine;

/// <summary>"metastore serve": the flags, under etcd's names, and the run.</summary>
internal sealed class ServeCommand
{
    /// <summary>The most of --max-request-bytes. Beyond it etcd itself warns.</summary>
    public const int RequestBytesMost = 10 << 20;

    private const string PingRight = "0s, or a number with s, m or h behind it, from 1s to 240h, such as 2h";

    private static readonly TimeSpan s_pingMost = TimeSpan.FromHours(240);

    private readonly Option<string> _name = Flags.Text("--name", "this member's name", "default");
    private readonly Option<string?> _dataDir = Flags.Text("--data-dir", "where it keeps its files [default: NAME.metastore]");
    private readonly Option<string> _clientUrls = Flags.Text("--listen-client-urls", "where clients connect; port 0 takes a free one", "http://127.0.0.1:2379");
    private readonly Option<string?> _advertiseClientUrls = Flags.Text("--advertise-client-urls", "where clients reach it, if elsewhere; told at the start");
    private readonly Option<string?> _metricsUrls = Flags.Text("--listen-metrics-urls", "where /metrics and the health pages are served as well, and nothing else");
    private readonly Option<string?> _peerUrls = Flags.Text("--listen-peer-urls", "where the other members connect [default: http://127.0.0.1:2380]");
    private readonly Option<string?> _advertisePeerUrls = Flags.Text("--initial-advertise-peer-urls", "where the other members reach it [default: as --initial-cluster says, else http://127.0.0.1:2380]");
    private readonly Option<string?> _cluster = Flags.Text("--initial-cluster", "all members, the same on each: n1=http://host:2380,n2=… [default: this one alone]");
    private readonly DefaultedOption<ClusterState> _state = Flags.Choice(
        "--initial-cluster-state",
        "new: of a new cluster; existing: was added to a running cluster (metastore member add), or has run before",
        ("new", ClusterState.New),
        ("existing", ClusterState.Existing));

    private readonly Option<string> _token = Flags.Text("--initial-cluster-token", "tells clusters with equal members apart, the same on each member", "metastore-cluster");
    private readonly Option<long> _snapshotCount = Flags.Number("--snapshot-count", "entries between two snapshots, at least", 10_000, 1, int.MaxValue);
    private readonly Option<long> _catchUpEntries = Flags.Number(
        "--snapshot-catchup-entries", "entries kept behind a snapshot, for members that are a little behind", 5_000, 0, int.MaxValue);
    private readonly Option<long> _snapshotRate = Flags.Number(
        "--snapshot-bytes-per-second", "bytes of snapshots sent to members that are far behind, in a second, to all of them together; 0: no limit", 64 << 20, 0, long.MaxValue);
    private readonly Option<long> _txnOperations = Flags.Number("--max-txn-ops", "operations in one transaction, counted through nesting", 128, 1, int.MaxValue);
    private readonly Option<long> _requestBytes = Flags.Number("--max-request-bytes", "bytes of one request, keys and values together; the same on each member", 3 << 19, 1 << 10, RequestBytesMost);
    private readonly Option<long> _streams = Flags.Number("--max-concurrent-streams", "calls under way on one connection of gRPC, watches too", 1 << 13, 1, int.MaxValue);
    private readonly DefaultedOption<TimeSpan> _pingInterval = Flags.Time(
        "--grpc-keepalive-interval", "a connection of gRPC that was silent for so long is asked whether it is there; 0s: never", TimeSpan.FromHours(2), TimeSpan.Zero, s_pingMost, PingRight);

    private readonly DefaultedOption<TimeSpan> _pingTimeout = Flags.Time(
        "--grpc-keepalive-timeout", "how long that answer may take; 0s: as long as it likes", TimeSpan.FromSeconds(20), TimeSpan.Zero, s_pingMost, PingRight);

    private readonly DefaultedOption<TimeSpan> _progress = Flags.Time(
        "--watch-progress-notify-interval",
        "how often a quiet watch that asked for it is told how far it is",
        TimeSpan.FromMinutes(10),
        TimeSpan.FromMilliseconds(100),
        TimeSpan.FromDays(1),
        "a number with ms, s, m or h behind it, from 100ms to 24h, such as 10m");

    private readonly Option<long> _learners = Flags.Number("--max-learners", "members without a vote that the cluster takes at a time", 1, 1, 1000);
    private readonly DefaultedOption<MetricsScope> _metrics = Flags.Choice(
        "--metrics", "what /metrics tells; extensive: also how long the calls of each method take", ("basic", MetricsScope.Basic), ("extensive", MetricsScope.Extensive));

    private readonly Option<long> _heartbeat = Flags.Number("--heartbeat-interval", "milliseconds between two heartbeats of the leader", 100, 1, 60_000);
    private readonly Option<long> _election = Flags.Number("--election-timeout", "milliseconds without a leader before an election; at least 5 heartbeats", 1000, 5, 600_000);
    private readonly Option<long> _clockDrift = Flags.Number(
        "--clock-drift-max", "percent by which this member's clock may run fast or slow; 100: no linearizable read rests on a clock, each asks a majority", 10, 0, 100);

    private readonly DefaultedOption<BatchProfile> _profile = Flags.Choice(
        "--profile", "how writes are batched", ("low-latency", BatchProfile.LowLatency), ("high-throughput", BatchProfile.HighThroughput));
    private readonly DefaultedOption<CompactionMode> _compactionMode = Flags.Choice(
        "--auto-compaction-mode",
        "what --auto-compaction-retention counts; the same on each member",
        ("periodic", CompactionMode.Periodic),
        ("revision", CompactionMode.Revision));
    private readonly Option<string> _compactionRetention = Flags.Text(
        "--auto-compaction-retention", "what history is kept, older is compacted: hours, or a time such as 30m, or with the mode revision a number of revisions; 0: all of it", "0");
    private readonly Option<ulong?> _seed = Flags.Seed("--seed", "the node's randomness, to repeat a run; drawn if not given, and told at the start");
    private readonly DefaultedOption<LogLevel> _logLevel = Flags.Choice(
        "--log-level",
        "what is logged, to standard error",
        ("info", LogLevel.Information),
        ("trace", LogLevel.Trace),
        ("debug", LogLevel.Debug),
        ("warn", LogLevel.Warning),
        ("error", LogLevel.Error),
        ("dpanic", LogLevel.Critical),
        ("panic", LogLevel.Critical),
        ("fatal", LogLevel.None));

    private ServeCommand()
    {
    }

    /// <param name="io">Where it says what it has to say.</param>
    /// <param name="notes">What was given and has no effect, to be told at the start.</param>
    public static Command Create(ProgramIo io, IReadOnlyList<string> notes)
    {
        var flags = new ServeCommand();
        var command = new Command("serve", "run a node of the store. Without flags: a single node on 127.0.0.1:2379 with its data in ./default.metastore")
        {
            flags._name, flags._dataDir, flags._clientUrls, flags._advertiseClientUrls, flags._metricsUrls, flags._peerUrls, flags._advertisePeerUrls, flags._cluster,
            flags._state, flags._token, flags._snapshotCount, flags._catchUpEntries, flags._snapshotRate, flags._txnOperations, flags._requestBytes, flags._streams, flags._pingInterval,
            flags._pingTimeout, flags._progress, flags._learners, flags._metrics, flags._heartbeat, flags._election, flags._clockDrift, flags._profile, flags._compactionMode, flags._compactionRetention, flags._seed,
            flags._logLevel,
        };
        command.SetAction((result, _) => RunAsync(ServeOptions.From(flags.Read(result)), io, notes));
        return command;
    }

    private static async Task<int> RunAsync(ServeOptions options, ProgramIo io, IReadOnlyList<string> notes)
    {
        using var interruption = new Interruption();
        using ILoggerFactory loggers = LoggerFactory.Create(builder =>
        {
            builder.SetMinimumLevel(options.LogLevel);
            // The HTTP server tells of each stream that a client leaves; that is nobody's trouble.
            builder.AddFilter("Microsoft.AspNetCore", options.LogLevel > LogLevel.Warning ? options.LogLevel : LogLevel.Warning);
            builder.AddConsole(console =>
            {
                console.FormatterName = LineConsoleFormatter.FormatName;
                console.LogToStandardErrorThreshold = LogLevel.Trace;
            });
            builder.Services.AddSingleton<ConsoleFormatter>(new LineConsoleFormatter(TimeProvider.System));
        });
        ILogger logger = loggers.CreateLogger("settings");
        foreach (string note in notes)
        {
            logger.LogWarning("{Note}", note);
        }

        await using var output = new StreamWriter(io.Output, leaveOpen: true);
        return await new ServerHost(options, loggers, output, new ServiceManager(io.Environment(ServiceManager.Variable))).RunAsync(interruption.Came);
    }

    private ServeFlagValues Read(ParseResult result) => new()
    {
        Name = result.GetValue(_name)!,
        DataDirectory = result.GetValue(_dataDir),
        ListenClientUrls = result.GetValue(_clientUrls)!,
        AdvertiseClientUrls = result.GetValue(_advertiseClientUrls),
        ListenMetricsUrls = result.GetValue(_metricsUrls),
        ListenPeerUrls = result.GetValue(_peerUrls),
        AdvertisePeerUrls = result.GetValue(_advertisePeerUrls),
        InitialCluster = result.GetValue(_cluster),
        ClusterState = _state.Read(result),
        Token = result.GetValue(_token)!,
        SnapshotCount = result.GetValue(_snapshotCount),
        SnapshotCatchUpEntries = (int)result.GetValue(_catchUpEntries),
        SnapshotBytesPerSecond = result.GetValue(_snapshotRate),
        TxnOperationsMax = (int)result.GetValue(_txnOperations),
        RequestBytesMax = (int)result.GetValue(_requestBytes),
        StreamsPerConnectionMax = (int)result.GetValue(_streams),
        PingInterval = _pingInterval.Read(result),
        PingTimeout = _pingTimeout.Read(result),
        ProgressInterval = _progress.Read(result),
        LearnersMax = (int)result.GetValue(_learners),
        Metrics = _metrics.Read(result),
        HeartbeatMilliseconds = (int)result.GetValue(_heartbeat),
        ElectionMilliseconds = (int)result.GetValue(_election),
        ClockDriftPercent = (int)result.GetValue(_clockDrift),
        Profile = _profile.Read(result),
        CompactionMode = _compactionMode.Read(result),
        CompactionRetention = result.GetValue(_compactionRetention)!,
        Seed = result.GetValue(_seed),
        LogLevel = _logLevel.Read(result),
    };
}
