using MetaStore.Server.CommandLine;
using MetaStore.Server.Etcd;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>Starts as those of etcd: what command line comes of them.</summary>
public sealed class EtcdArgumentsTests
{
    private static readonly Dictionary<string, string> s_none = [];

    [Theory]
    [InlineData("--name n1 --data-dir /d", "serve --name n1 --data-dir /d")]
    [InlineData("-name n1 -data-dir=/d", "serve --name n1 --data-dir /d")]
    [InlineData("serve --name=n1 --seed 4", "serve --name n1 --seed 4")]
    [InlineData("--initial-cluster a=http://h:1,b=http://h:2 --initial-cluster-state=new", "serve --initial-cluster a=http://h:1,b=http://h:2 --initial-cluster-state new --data-dir default.etcd")]
    [InlineData("--max-txn-ops 10000", "serve --max-txn-ops 10000 --data-dir default.etcd")]
    [InlineData("--experimental-watch-progress-notify-interval=5s --max-learners 2 --metrics extensive", "serve --watch-progress-notify-interval 5s --max-learners 2 --metrics extensive --data-dir default.etcd")]
    [InlineData("--max-request-bytes=1 --max-concurrent-streams 2 --grpc-keepalive-interval 1h --grpc-keepalive-timeout 0s", "serve --max-request-bytes 1 --max-concurrent-streams 2 --grpc-keepalive-interval 1h --grpc-keepalive-timeout 0s --data-dir default.etcd")]
    [InlineData("serve", "serve")]
    [InlineData("put a b", "put a b")]
    [InlineData("get --prefix -- --name", "get --prefix -- --name")]
    [InlineData("--help", "--help")]
    [InlineData("--version", "--version")]
    [InlineData("", "serve --data-dir default.etcd")]
    [InlineData("serve --name n1", "serve --name n1")]
    [InlineData("--initial-cluster-state new --name n1", "serve --initial-cluster-state new --name n1 --data-dir n1.etcd")]
    public void The_command_line(string given, string expected)
    {
        EtcdArguments read = EtcdArguments.Read(Words(given), Io(s_none));

        Assert.Equal(expected, string.Join(' ', read.Arguments));
        Assert.Empty(read.Notes);
    }

    [Fact]
    public void Variables_count_where_the_command_line_says_nothing()
    {
        var variables = new Dictionary<string, string>
        {
            ["ETCD_NAME"] = "n2",
            ["ETCD_DATA_DIR"] = "/var/lib/etcd",
            ["ETCD_LISTEN_CLIENT_URLS"] = "",
            ["ETCD_UNSUPPORTED_ARCH"] = "arm64",
            ["ETCD_VERSION"] = "v3.6.14",
            ["ETCDCTL_API"] = "3",
        };

        Assert.Equal("serve --name n1 --data-dir /var/lib/etcd", string.Join(' ', EtcdArguments.Read(["--name", "n1"], Io(variables)).Arguments));
        Assert.Equal("serve --data-dir /var/lib/etcd --name n2", string.Join(' ', EtcdArguments.Read([], Io(variables)).Arguments));
        Assert.Equal("get a", string.Join(' ', EtcdArguments.Read(["get", "a"], Io(variables)).Arguments));
    }

    [Fact]
    public void What_has_no_effect_is_told()
    {
        EtcdArguments read = EtcdArguments.Read(Words("--enable-v2 --max-wals=5 --quota-backend-bytes 8589934592 --discovery-dial-timeout 2s --name n1"), Io(new() { ["ETCD_LOGGER"] = "zap" }));

        Assert.Equal("serve --name n1 --data-dir n1.etcd", string.Join(' ', read.Arguments));
        Assert.Equal(["--enable-v2", "--max-wals", "--quota-backend-bytes", "--discovery-dial-timeout", "ETCD_LOGGER"], read.Notes.Select(note => note.Split(' ')[0]));
        Assert.All(read.Notes, note => Assert.Contains(" is accepted and has no effect: ", note, StringComparison.Ordinal));
    }

    /// <summary>etcd takes any size of a request, with a warning above 10 MiB.</summary>
    [Fact]
    public void More_than_can_be_had_is_taken_as_the_most()
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.yml");
        File.WriteAllText(file, "max-request-bytes: 33554432");
        const string Most = "serve --max-request-bytes 10485760 --data-dir default.etcd";

        AssertTaken("--max-request-bytes", EtcdArguments.Read(Words("--max-request-bytes 33554432"), Io(s_none)));
        AssertTaken("--max-request-bytes", EtcdArguments.Read(Words("serve --max-request-bytes=33554432"), Io(s_none)));
        AssertTaken("ETCD_MAX_REQUEST_BYTES", EtcdArguments.Read([], Io(new() { ["ETCD_MAX_REQUEST_BYTES"] = "33554432" })));
        AssertTaken($"{file}: max-request-bytes", EtcdArguments.Read(["--config-file", file], Io(s_none)));
        Assert.Equal("serve --max-request-bytes 18446744073709551616 --data-dir default.etcd", string.Join(' ', EtcdArguments.Read(Words("--max-request-bytes 18446744073709551616"), Io(s_none)).Arguments));

        EtcdArguments exactly = EtcdArguments.Read(Words("--max-request-bytes 10485760"), Io(s_none));
        Assert.Equal(Most, string.Join(' ', exactly.Arguments));
        Assert.Empty(exactly.Notes);

        static void AssertTaken(string source, EtcdArguments read)
        {
            Assert.Equal(["serve", "--max-request-bytes", "10485760"], read.Arguments.Take(3));
            Assert.Equal([$"{source} is 33554432 and is taken as 10485760: there cannot be more here"], read.Notes);
        }
    }

    [Theory]
    [InlineData("--set-member-localaddr", true)]
    [InlineData("--set-member-localaddr=true", true)]
    [InlineData("--experimental-set-member-localaddr", true)]
    [InlineData("--set-member-localaddr=false", false)]
    [InlineData("--experimental-set-member-localaddr=false", false)]
    public void What_is_off_as_it_is_here_needs_no_word(string given, bool isTold)
    {
        EtcdArguments read = EtcdArguments.Read([given], Io(s_none));

        Assert.Equal("serve --data-dir default.etcd", string.Join(' ', read.Arguments));
        Assert.Equal(isTold ? [$"{given.Split('=')[0]} is accepted and has no effect: the operating system chooses the address that other members see"] : [], read.Notes);
    }

    /// <summary>All flags of etcd 3.4 to 3.6 are known, so that none is "no flag".</summary>
    [Theory]
    [InlineData(
        "auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention auto-tls backend-batch-interval backend-batch-limit bcrypt-cost cert-file cipher-suites client-cert-allowed-hostname "
        + "client-cert-auth client-crl-file cors data-dir debug discovery discovery-fallback discovery-proxy discovery-srv discovery-srv-name election-timeout enable-grpc-gateway enable-pprof enable-v2 "
        + "experimental-backend-bbolt-freelist-type experimental-compaction-batch-limit experimental-corrupt-check-time experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist "
        + "experimental-enable-v2v3 experimental-initial-corrupt-check experimental-peer-skip-client-san-verification experimental-warning-apply-duration experimental-watch-progress-notify-interval "
        + "force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state "
        + "initial-cluster-token initial-election-tick-advance key-file listen-client-urls listen-metrics-urls listen-peer-urls log-level log-output log-outputs log-package-levels logger "
        + "max-concurrent-streams max-request-bytes max-snapshots max-txn-ops max-wals metrics name peer-auto-tls peer-cert-allowed-cn peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth "
        + "peer-crl-file peer-key-file peer-trusted-ca-file pre-vote proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval proxy-write-timeout quota-backend-bytes "
        + "snapshot-count strict-reconfig-check trusted-ca-file unsafe-no-fsync wal-dir advertise-client-urls "
        + "cluster-active-size cluster-remove-delay cluster-sync-interval config force max-result-buffer max-retry-attempts peer-heartbeat-interval peer-election-timeout retry-interval snapshot")]
    [InlineData(
        "client-cert-file client-key-file enable-log-rotation experimental-bootstrap-defrag-threshold-megabytes experimental-compact-hash-check-enabled experimental-compact-hash-check-time "
        + "experimental-compaction-sleep-interval experimental-distributed-tracing-address experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate "
        + "experimental-distributed-tracing-service-name experimental-downgrade-check-time experimental-enable-distributed-tracing experimental-max-learners experimental-memory-mlock "
        + "experimental-set-member-localaddr experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer experimental-wait-cluster-ready-timeout "
        + "experimental-warning-unary-request-duration listen-client-http-urls log-format log-rotation-config-json peer-client-cert-file peer-client-key-file raft-read-timeout raft-write-timeout "
        + "self-signed-cert-validity socket-reuse-address socket-reuse-port tls-max-version tls-min-version v2-deprecation")]
    [InlineData(
        "backend-bbolt-freelist-type bootstrap-defrag-threshold-megabytes compact-hash-check-time compaction-batch-limit compaction-sleep-interval corrupt-check-time discovery-cacert discovery-cert "
        + "discovery-dial-timeout discovery-endpoints discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time discovery-keepalive-timeout discovery-key "
        + "discovery-password discovery-request-timeout discovery-token discovery-user distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate "
        + "distributed-tracing-service-name downgrade-check-time enable-distributed-tracing experimental-snapshot-catchup-entries feature-gates max-learners memory-mlock "
        + "peer-skip-client-san-verification set-member-localaddr snapshot-catchup-entries warning-apply-duration warning-unary-request-duration watch-progress-notify-interval")]
    public void Every_flag_of_etcd_is_known(string names) => Assert.Equal([], names.Split(' ').Where(name => !EtcdFlag.All.ContainsKey(name)));

    [Theory]
    [InlineData("--discovery-token t", "--discovery-token cannot be had: this version has no discovery; list the members in --initial-cluster")]
    [InlineData("--discovery-endpoints http://h:1", "--discovery-endpoints cannot be had: this version has no discovery")]
    [InlineData("--cert-file /c.pem", "--cert-file cannot be had: this version has no TLS")]
    [InlineData("--auto-tls", "--auto-tls cannot be had: this version has no TLS")]
    [InlineData("--wal-dir /w", "--wal-dir cannot be had: the log lies in --data-dir")]
    [InlineData("--force-new-cluster", "--force-new-cluster cannot be had")]
    public void What_must_not_be_passed_over_is_refused(string given, string expected)
    {
        RefusalException refused = Assert.Throws<RefusalException>(() => EtcdArguments.Read(Words(given), Io(s_none)));

        Assert.Equal(ExitCode.Usage, refused.ExitCode);
        Assert.StartsWith(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_switched_off_may_be_said() =>
        Assert.Equal("serve --data-dir default.etcd", string.Join(' ', EtcdArguments.Read(Words("--auto-tls=false --proxy off --client-cert-auth=false"), Io(s_none)).Arguments));

    [Fact]
    public void A_variable_that_is_none_names_the_nearest()
    {
        RefusalException refused = Assert.Throws<RefusalException>(() => EtcdArguments.Read([], Io(new() { ["ETCD_DATADIR"] = "/d" })));

        Assert.Equal("ETCD_DATADIR is no variable of a server. Did you mean ETCD_DATA_DIR?", refused.Message);
    }

    /// <summary>Kubernetes sets them in every pod beside a service of that name; etcd passes over them.</summary>
    [Theory]
    [InlineData("ETCD_SERVICE_HOST")]
    [InlineData("ETCD_SERVICE_PORT")]
    [InlineData("ETCD_SERVICE_PORT_CLIENT")]
    [InlineData("ETCD_PORT")]
    [InlineData("ETCD_PORT_2379_TCP")]
    [InlineData("ETCD_PORT_2379_TCP_ADDR")]
    [InlineData("ETCD_CLIENT_SERVICE_HOST")]
    [InlineData("ETCD_CLIENT_PORT_2379_TCP_PROTO")]
    public void Variables_that_tell_of_a_service_are_not_meant(string variable)
    {
        EtcdArguments read = EtcdArguments.Read(["--name", "n1"], Io(new() { [variable] = "tcp://10.0.0.1:2379" }));

        Assert.Equal("serve --name n1 --data-dir n1.etcd", string.Join(' ', read.Arguments));
        Assert.Equal("get a", string.Join(' ', EtcdArguments.Read(["get", "a"], Io(new() { [variable] = "x" })).Arguments));
        Assert.Equal(["serve", "--data-dir", "default.etcd"], EtcdArguments.Read([], Io(new() { [variable] = "x" })).Arguments);
    }

    [Fact]
    public void Beside_a_configuration_file_nothing_else_counts()
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.conf.yml");
        File.WriteAllText(file, """
            # as etcd ships it
            name: 'n3'
            data-dir: /var/lib/etcd
            wal-dir:
            snapshot-count: 5000
            listen-client-urls: http://127.0.0.1:2379
            initial-cluster: n3=http://127.0.0.1:2380
            enable-v2: true
            log-outputs: [stderr, other]
            client-transport-security:
              cert-file:
              client-cert-auth: false
            peer-transport-security:
              auto-tls: false
            """);

        EtcdArguments read = EtcdArguments.Read(["--config-file", file, "--name", "other", "--profile", "high-throughput"], Io(new() { ["ETCD_NAME"] = "another" }));

        Assert.Equal(
            "serve --name n3 --data-dir /var/lib/etcd --snapshot-count 5000 --listen-client-urls http://127.0.0.1:2379 --initial-cluster n3=http://127.0.0.1:2380 --profile high-throughput",
            string.Join(' ', read.Arguments));
        Assert.Equal(
            [$"--name has no effect beside the configuration file {file}", $"ETCD_NAME has no effect beside the configuration file {file}"],
            read.Notes.Skip(2));
        Assert.Equal(read.Arguments.SkipLast(2), EtcdArguments.Read([], Io(new() { ["ETCD_CONFIG_FILE"] = file })).Arguments);
    }

    /// <summary>The settings of the file that etcd ships, in its versions from 3.4 to 3.6; what only tunes what is off in it keeps nobody from starting.</summary>
    [Fact]
    public void The_file_that_etcd_ships_is_taken()
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.conf.yml");
        File.WriteAllText(file, """
            name: 'default'
            data-dir:
            wal-dir:
            snapshot-count: 10000
            heartbeat-interval: 100
            election-timeout: 1000
            quota-backend-bytes: 0
            listen-peer-urls: http://localhost:2380
            listen-client-urls: http://localhost:2379
            max-snapshots: 5
            max-wals: 5
            cors:
            initial-advertise-peer-urls: http://localhost:2380
            advertise-client-urls: http://localhost:2379
            discovery:
            discovery-fallback: 'proxy'
            discovery-proxy:
            discovery-srv:
            initial-cluster:
            initial-cluster-token: 'etcd-cluster'
            initial-cluster-state: 'new'
            strict-reconfig-check: false
            enable-v2: true
            enable-pprof: true
            proxy: 'off'
            proxy-failure-wait: 5000
            proxy-refresh-interval: 30000
            proxy-dial-timeout: 1000
            proxy-write-timeout: 5000
            proxy-read-timeout: 0
            client-transport-security:
              cert-file:
              key-file:
              client-cert-auth: false
              trusted-ca-file:
              auto-tls: false
            peer-transport-security:
              cert-file:
              key-file:
              client-cert-auth: false
              trusted-ca-file:
              auto-tls: false
            self-signed-cert-validity: 1
            log-level: debug
            logger: zap
            log-outputs: [stderr]
            force-new-cluster: false
            auto-compaction-mode: periodic
            auto-compaction-retention: "1"
            cipher-suites: [
              TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
              TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            ]
            tls-min-version: 'TLS1.2'
            tls-max-version: 'TLS1.3'
            """);

        EtcdArguments read = EtcdArguments.Read(["--config-file", file], Io(s_none));

        Assert.Equal(
            "serve --name default --snapshot-count 10000 --heartbeat-interval 100 --election-timeout 1000 --listen-peer-urls http://localhost:2380 --listen-client-urls http://localhost:2379 "
                + "--initial-advertise-peer-urls http://localhost:2380 --advertise-client-urls http://localhost:2379 --initial-cluster-token etcd-cluster --initial-cluster-state new "
                + "--log-level debug --auto-compaction-mode periodic --auto-compaction-retention 1 --data-dir default.etcd",
            string.Join(' ', read.Arguments));
        Assert.All(read.Notes, note => Assert.Contains(" is accepted and has no effect: ", note, StringComparison.Ordinal));
    }

    /// <summary>Go's times are nanoseconds there.</summary>
    [Theory]
    [InlineData("grpc-keepalive-interval: 7200000000000", "serve --grpc-keepalive-interval 7200000000000ns --data-dir default.etcd")]
    [InlineData("grpc-keepalive-timeout: 20000000000", "serve --grpc-keepalive-timeout 20000000000ns --data-dir default.etcd")]
    [InlineData("experimental-watch-progress-notify-interval: 5000000000", "serve --watch-progress-notify-interval 5000000000ns --data-dir default.etcd")]
    [InlineData("heartbeat-interval: 100", "serve --heartbeat-interval 100 --data-dir default.etcd")]
    public void Times_in_a_file_are_etcds(string content, string expected)
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.yml");
        File.WriteAllText(file, content);

        Assert.Equal(expected, string.Join(' ', EtcdArguments.Read([$"--config-file={file}"], Io(s_none)).Arguments));
    }

    [Theory]
    [InlineData("7200000000000ns", 7200.0)]
    [InlineData("2h0m0s", 7200.0)]
    [InlineData("1.5h", 5400.0)]
    [InlineData("500ms", 0.5)]
    [InlineData("1500us", 0.0015)]
    [InlineData("0", 0.0)]
    [InlineData("", null)]
    [InlineData("5", null)]
    [InlineData("h", null)]
    [InlineData("5x", null)]
    [InlineData("1h5", null)]
    [InlineData("241h", null)]
    public void Times_are_written_as_Go_writes_them(string text, double? seconds) =>
        Assert.Equal(seconds, Flags.ParseTime(text, TimeSpan.FromHours(240))?.TotalSeconds);

    [Theory]
    [InlineData("data-dri: /d", "\"data-dri\" is no setting of a server. Did you mean data-dir?")]
    [InlineData("peer-transport-security:\n  cert-file: /c.pem", "peer-cert-file cannot be had: this version has no TLS.")]
    [InlineData("peer-transport-security:\n  allowed-cn: a", "peer-cert-allowed-cn cannot be had: this version has no TLS.")]
    [InlineData("peer-transport-security:\n  allowed-hostname: [a, b]", "peer-cert-allowed-hostname cannot be had: this version has no TLS.")]
    [InlineData("client-transport-security:\n  allowed-cn: [a]", "client-cert-allowed-cn cannot be had: this version has no TLS.")]
    [InlineData("client-transport-security:\n  allowed-hostname: a", "client-cert-allowed-hostname cannot be had: this version has no TLS.")]
    [InlineData("allowed-cn: a", "\"allowed-cn\" is no setting of a server.")]
    [InlineData("discovery-config:\n  endpoints: [http://h:1]\n  secure:\n    insecure-transport: true", "discovery-config cannot be had: this version has no discovery")]
    [InlineData("- name", "line 1: there must be settings")]
    [InlineData("name: [", "line")]
    [InlineData("other:\n  name: n", "line 2: \"other\" is no group of settings; there are client-transport-security, peer-transport-security, socket-options.")]
    public void What_is_wrong_with_a_file_is_said_with_its_name(string content, string expected)
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.yml");
        File.WriteAllText(file, content);

        RefusalException refused = Assert.Throws<RefusalException>(() => EtcdArguments.Read([$"--config-file={file}"], Io(s_none)));

        Assert.StartsWith(file, refused.Message, StringComparison.Ordinal);
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Groups_of_a_file_are_flags()
    {
        using var directory = new TestDirectory();
        string file = directory.Of("etcd.yml");
        File.WriteAllText(file, """
            name: n4
            peer-transport-security:
              allowed-cn: []
              skip-client-san-verification: true
            client-transport-security:
              skip-client-san-verification: true
            socket-options:
              reuse-port: true
            """);

        EtcdArguments read = EtcdArguments.Read([$"--config-file={file}"], Io(s_none));

        Assert.Equal("serve --name n4 --data-dir n4.etcd", string.Join(' ', read.Arguments));
        Assert.Equal(
            [$"{file}: peer-skip-client-san-verification is", $"{file}: skip-client-san-verification is", $"{file}: socket-reuse-port is"],
            read.Notes.Select(note => note[..(note.IndexOf(" is ", StringComparison.Ordinal) + 3)]));
    }

    [Fact]
    public void A_directory_of_etcd_is_refused_and_left_alone()
    {
        using var directory = new TestDirectory();
        string member = Directory.CreateDirectory(Path.Combine(directory.Of("data"), "member", "wal")).FullName;

        RefusalException refused = Assert.Throws<RefusalException>(() => EtcdDirectory.Refuse(directory.Of("data")));

        Assert.Contains("holds etcd's data", refused.Message, StringComparison.Ordinal);
        Assert.Contains("make-mirror", refused.Message, StringComparison.Ordinal);
        Directory.Delete(member);
        EtcdDirectory.Refuse(directory.Of("data")); // Some other folder of that name.
        EtcdDirectory.Refuse(directory.Of("none"));
    }

    [Fact]
    public void A_file_that_is_not_there_is_named()
    {
        RefusalException refused = Assert.Throws<RefusalException>(() => EtcdArguments.Read(["--config-file", "/nowhere/etcd.yml"], Io(s_none)));

        Assert.Contains("/nowhere/etcd.yml", refused.Message, StringComparison.Ordinal);
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static ProgramIo Io(Dictionary<string, string> variables) =>
        new(Stream.Null, Stream.Null, TextWriter.Null, name => variables.GetValueOrDefault(name)) { VariableNames = variables.Keys };
}
