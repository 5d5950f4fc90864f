using System.Collections.Frozen;
using MetaStore.Server.CommandLine;

namespace MetaStore.Server.Etcd;

/// <summary>What becomes of a flag of etcd here.</summary>
internal enum EtcdFlagUse
{
    /// <summary>It means what it means there.</summary>
    Taken,

    /// <summary>It may be given, and changes nothing; the start says so.</summary>
    Ignored,

    /// <summary>The same, but switched off it is as here: that is not worth a word.</summary>
    IgnoredWhereOn,

    /// <summary>Without it the server would not be what was asked for: it is refused.</summary>
    Refused,
}

/// <summary>A flag that etcd has, from 3.4 to 3.6, and what becomes of it.</summary>
/// <param name="Name">Without its dashes.</param>
/// <param name="Use">What becomes of it.</param>
/// <param name="Why">Why it is ignored or refused; empty where it is taken.</param>
internal sealed record EtcdFlag(string Name, EtcdFlagUse Use, string Why = "")
{
    private const string Experimental = "experimental-";

    private const string NoTls = "this version has no TLS";
    private const string NoQuota = "this version has no quota";
    private const string OwnStore = "there is no such backend here";
    private const string OwnLog = "the log and the snapshots remove by themselves what they need no more";
    private const string NoDiscovery = "this version has no discovery; list the members in --initial-cluster";
    private const string NoV2 = "there is no v2 API";
    private const string OneLog = "logs go to standard error";
    private const string AlwaysOn = "this is always so here";

    /// <summary>Its name here: what etcd has tried out for long enough loses that word of its name there, and never had it here.</summary>
    public string TakenAs => Name.StartsWith(Experimental, StringComparison.Ordinal) ? Name[Experimental.Length..] : Name;

    /// <summary>etcd's configuration file has this time as a whole number of nanoseconds.</summary>
    public bool IsNanosecondsInFile => TakenAs is "grpc-keepalive-interval" or "grpc-keepalive-timeout" or "watch-progress-notify-interval";

    /// <summary>The most that can be had here where etcd takes any number; null where there is no such bound.</summary>
    public ulong? Most => Name == "max-request-bytes" ? ServeCommand.RequestBytesMost : null;

    /// <summary>All of them, by name.</summary>
    public static FrozenDictionary<string, EtcdFlag> All { get; } = Make().ToFrozenDictionary(flag => flag.Name, StringComparer.Ordinal);

    private static IEnumerable<EtcdFlag> Make() =>
    [
        .. Of(
            EtcdFlagUse.Taken,
            string.Empty,
            "name data-dir snapshot-count heartbeat-interval election-timeout listen-peer-urls listen-client-urls initial-advertise-peer-urls initial-cluster initial-cluster-state "
            + "initial-cluster-token advertise-client-urls listen-metrics-urls auto-compaction-retention auto-compaction-mode log-level snapshot-catchup-entries experimental-snapshot-catchup-entries max-txn-ops "
            + "max-request-bytes max-concurrent-streams grpc-keepalive-interval grpc-keepalive-timeout watch-progress-notify-interval experimental-watch-progress-notify-interval "
            + "max-learners experimental-max-learners metrics"),
        .. Of(EtcdFlagUse.Ignored, OwnLog, "max-snapshots max-wals"),
        .. Of(EtcdFlagUse.Ignored, NoQuota, "quota-backend-bytes"),
        .. Of(EtcdFlagUse.Ignored, OwnStore, "backend-batch-interval backend-batch-limit experimental-backend-bbolt-freelist-type backend-bbolt-freelist-type experimental-compaction-batch-limit compaction-batch-limit "
            + "compaction-sleep-interval experimental-compaction-sleep-interval bootstrap-defrag-threshold-megabytes experimental-bootstrap-defrag-threshold-megabytes "
            + "experimental-txn-mode-write-with-shared-buffer experimental-stop-grpc-service-on-defrag experimental-memory-mlock memory-mlock"),
        .. Of(EtcdFlagUse.Ignored, AlwaysOn, "strict-reconfig-check pre-vote initial-election-tick-advance experimental-initial-corrupt-check experimental-corrupt-check-time experimental-enable-lease-checkpoint "
            + "experimental-enable-lease-checkpoint-persist corrupt-check-time experimental-compact-hash-check-enabled experimental-compact-hash-check-time compact-hash-check-time enable-grpc-gateway"),
        .. Of(EtcdFlagUse.Ignored, NoV2, "enable-v2 experimental-enable-v2v3 v2-deprecation"),
        .. Of(EtcdFlagUse.Ignored, OneLog, "logger log-outputs log-package-levels log-output log-format debug enable-log-rotation log-rotation-config-json"),
        .. Of(EtcdFlagUse.Ignored, "clients may ask as often as they like", "grpc-keepalive-min-time"),
        .. Of(EtcdFlagUse.Ignored, "browsers are answered as others are", "cors host-whitelist"),
        .. Of(EtcdFlagUse.Ignored, "this version has no users", "auth-token bcrypt-cost auth-token-ttl"),
        .. Of(EtcdFlagUse.Ignored, "profiles come from the runtime's own tools", "enable-pprof"),
        .. Of(EtcdFlagUse.Ignored, "these are fixed in this version", "experimental-warning-apply-duration warning-apply-duration "
            + "experimental-warning-unary-request-duration warning-unary-request-duration experimental-peer-skip-client-san-verification peer-skip-client-san-verification skip-client-san-verification "
            + "experimental-downgrade-check-time downgrade-check-time experimental-wait-cluster-ready-timeout raft-read-timeout raft-write-timeout"),
        .. Of(EtcdFlagUse.Ignored, "every write is synced here", "unsafe-no-fsync"),
        .. Of(EtcdFlagUse.IgnoredWhereOn, "the operating system chooses the address that other members see", "set-member-localaddr experimental-set-member-localaddr"),
        .. Of(
            EtcdFlagUse.Ignored,
            "etcd passes over it, too",
            "cluster-active-size cluster-remove-delay cluster-sync-interval config force max-result-buffer max-retry-attempts peer-heartbeat-interval peer-election-timeout retry-interval snapshot"),
        .. Of(EtcdFlagUse.Ignored, "a port is one process's alone here", "socket-reuse-port socket-reuse-address"),
        .. Of(EtcdFlagUse.Ignored, "there are no such features to be switched here", "feature-gates"),
        .. Of(
            EtcdFlagUse.Ignored,
            "this version sends no traces",
            "experimental-enable-distributed-tracing experimental-distributed-tracing-address experimental-distributed-tracing-service-name experimental-distributed-tracing-instance-id "
            + "experimental-distributed-tracing-sampling-rate enable-distributed-tracing distributed-tracing-address distributed-tracing-service-name distributed-tracing-instance-id "
            + "distributed-tracing-sampling-rate"),
        .. Of(EtcdFlagUse.Refused, "the log lies in --data-dir", "wal-dir"),
        .. Of(EtcdFlagUse.Refused, "HTTP is served on the client port", "listen-client-http-urls"),
        .. Of(EtcdFlagUse.Refused, "members are added and removed by \"metastore member\", and a damaged one is repaired by \"metastore repair\"", "force-new-cluster"),
        .. Of(EtcdFlagUse.Refused, NoDiscovery, "discovery discovery-srv discovery-config discovery-token discovery-endpoints"),
        .. Of(
            EtcdFlagUse.Refused,
            NoTls,
            "cert-file key-file client-cert-auth client-crl-file client-cert-allowed-cn client-cert-allowed-hostname trusted-ca-file auto-tls peer-cert-file peer-key-file peer-client-cert-auth peer-trusted-ca-file "
            + "peer-cert-allowed-cn peer-cert-allowed-hostname peer-auto-tls peer-crl-file client-cert-file client-key-file peer-client-cert-file peer-client-key-file"),
        .. Of(EtcdFlagUse.Ignored, NoTls, "cipher-suites self-signed-cert-validity tls-min-version tls-max-version"),
        .. Of( // They only say how it is done: a file may spell out their defaults.
            EtcdFlagUse.Ignored,
            NoDiscovery,
            "discovery-fallback discovery-proxy discovery-srv-name discovery-dial-timeout discovery-request-timeout discovery-keepalive-time discovery-keepalive-timeout "
            + "discovery-insecure-transport discovery-insecure-skip-tls-verify discovery-cert discovery-key discovery-cacert discovery-user discovery-password"),
        .. Of(EtcdFlagUse.Refused, "this version is no proxy", "proxy"),
        .. Of(EtcdFlagUse.Ignored, "this version is no proxy", "proxy-failure-wait proxy-refresh-interval proxy-dial-timeout proxy-write-timeout proxy-read-timeout"),
    ];

    private static IEnumerable<EtcdFlag> Of(EtcdFlagUse use, string why, string names) => names.Split(' ').Select(name => new EtcdFlag(name, use, why));
}
