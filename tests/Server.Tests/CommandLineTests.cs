using System.CommandLine;
using System.CommandLine.Help;
using MetaStore.Engine;
using MetaStore.Server.CommandLine;
using MetaStore.Server.Serving;
using MetaStore.Testing.Processes;

namespace MetaStore.Server.Tests;

/// <summary>Command lines that are refused before anything is asked of a node.</summary>
public sealed class CommandLineTests
{
    [Theory]
    [InlineData("serve --data-dri x", "--data-dri is no flag of \"metastore serve\". Did you mean --data-dir?")]
    [InlineData("serve --heartbeat-interval often", "--heartbeat-interval is \"often\"; it must be a whole number from 1 to 60000.")]
    [InlineData("serve --heartbeat-interval 0", "--heartbeat-interval is \"0\"")]
    [InlineData("serve --initial-cluster-state old", "it must be one of new, existing")]
    [InlineData("serve --profile fast", "it must be one of low-latency, high-throughput")]
    [InlineData("serve --log-level loud", "it must be one of info, trace, debug, warn, error, dpanic, panic, fatal.")]
    [InlineData("serve --max-request-bytes 20000000b", "--max-request-bytes is \"20000000b\"; it must be a whole number from 1024 to 10485760.")]
    [InlineData("serve --max-request-bytes -1", "--max-request-bytes is \"-1\"")]
    [InlineData("serve --max-request-bytes 18446744073709551616", "--max-request-bytes is \"18446744073709551616\"")]
    [InlineData("serve --data-dir", "--data-dir")]
    [InlineData("serve extra", "\"extra\" is one argument too many")]
    [InlineData("server", "Did you mean serve?")]
    [InlineData("put", "'put'")]
    [InlineData("put k -5", "Write -- before keys and values")]
    [InlineData("get a --prefx", "Did you mean --prefix?")]
    [InlineData("get a b --prefix", "exclude each other")]
    [InlineData("get a -w yaml", "it must be one of simple, json, fields, table")]
    [InlineData("get a --endpoints ,", "--endpoints is empty")]
    [InlineData("get a --endpoints nonsense", "--endpoints: Endpoint \"nonsense\"")]
    [InlineData("get a --command-timeout 5", "--command-timeout is \"5\"")]
    [InlineData("put k v --lease xyz", "--lease is \"xyz\"")]
    [InlineData("compact soon", "REV is \"soon\"; it must be a whole number from 0")]
    [InlineData("member update 1 --priority 256", "--priority is \"256\"; it must be a whole number from 0 to 255")]
    [InlineData("member update 1", "needs --peer-urls or --priority")]
    [InlineData("load /nonexistent/file", "cannot read /nonexistent/file")]
    [InlineData("wal verify /nonexistent", "/nonexistent is not a data directory")]
    [InlineData("wal", "metastore wal --help")]
    [InlineData("lock", "'lock'")]
    [InlineData("lock l --ttl 0", "--ttl is \"0\"; it must be a whole number from 1")]
    [InlineData("lock l ls -la", "-la is no flag of \"metastore lock\"")]
    [InlineData("elect e", "needs a proposal, or --listen")]
    [InlineData("elect e v -l", "takes no proposal with --listen")]
    [InlineData("endpoint", "metastore endpoint --help")]
    [InlineData("endpoint healthy", "Did you mean health?")]
    [InlineData("endpoint hashkv --rev soon", "--rev is \"soon\"; it must be a whole number from 0")]
    [InlineData("snapshot save f --endpoints a:1,b:2", "--endpoints names 2 nodes (a:1, b:2)")]
    [InlineData("snapshot restore f --bump-revision 5", "--bump-revision and --mark-compacted belong together")]
    [InlineData("snapshot restore f --mark-compacted", "--bump-revision and --mark-compacted belong together")]
    [InlineData("snapshot restore f --initial-cluster n2=http://h:1", "does not include this node")]
    [InlineData("make-mirror h:1 --dest-prefix a --no-dest-prefix", "exclude each other")]
    [InlineData("make-mirror h:1 --max-txn-ops 129", "--max-txn-ops is \"129\"; it must be a whole number from 1 to 128")]
    [InlineData("make-mirror ,", "DESTINATION is empty")]
    [InlineData("check perf --load huge", "it must be one of s, small, m, medium, l, large, xl, xLarge")]
    [InlineData("compaction soon", "REV is \"soon\"; it must be a whole number from 0")]
    public async Task A_wrong_command_line_is_refused_in_words(string line, string expected)
    {
        (int exitCode, string output, string errors) = await RunAsync(line.Split(' '));
        Assert.Contains(expected, errors);
        Assert.DoesNotContain("   at ", errors);
        Assert.InRange(errors.Count(c => c == '\n'), 1, 2);
        Assert.Equal(string.Empty, output);
        Assert.Equal(ExitCode.Usage, exitCode);
    }

    /// <summary>Each flag of each command that takes anything but text.</summary>
    public static TheoryData<string, string> TypedFlags
    {
        get
        {
            var flags = new TheoryData<string, string>();
            foreach ((string path, Option option) in AllOptions().Where(found => found.Option.ValueType != typeof(string) && found.Option.ValueType != typeof(bool)))
            {
                flags.Add(path, option.Name);
            }

            return flags;
        }
    }

    [Theory]
    [MemberData(nameof(TypedFlags))]
    public async Task A_value_that_a_flag_cannot_have_is_refused_in_words(string command, string flag)
    {
        string[] needed = command is "member add" or "member update" ? ["1", "--peer-urls", "http://x"] : [];
        foreach (string value in new[] { "x", "-1", "1e99", "99999999999999999999", " " })
        {
            (int exitCode, _, string errors) = await RunAsync([.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), .. needed, flag, value]);
            Assert.Contains($"{flag} is \"{value}\"; it must be", errors);
            Assert.DoesNotContain("System.", errors);
            Assert.Equal(ExitCode.Usage, exitCode);
        }
    }

    /// <summary>A member that was added and has not started yet has no name that the line could give.</summary>
    [Fact]
    public void How_to_start_a_new_member_names_those_that_have_names()
    {
        var answer = new MembersResponse
        {
            MemberId = 3,
            Members = [new Member(1, "a", ["http://a:2380"], []), new Member(2, string.Empty, ["http://d:2380"], []), new Member(3, string.Empty, ["http://e:2380"], [])],
        };
        Assert.EndsWith("--initial-cluster a=http://a:2380,e=http://e:2380", MemberCommands.HowToStart("e", answer));
    }

    [Fact]
    public void The_help_says_defaults_in_words_that_a_command_line_may_have()
    {
        Option[] worded = [.. AllOptions().Select(found => found.Option).Where(option => option.ValueType.IsEnum || option.ValueType == typeof(TimeSpan))];
        Assert.NotEmpty(worded);
        Assert.DoesNotContain(worded, option => option.HasDefaultValue); // It would be printed as the type prints it.
        Assert.Contains("(default: low-latency)", worded.First(option => option.Name == "--profile").Description);
        Assert.Contains("(default: 5s)", worded.First(option => option.Name == "--command-timeout").Description);
    }

    [Fact]
    public async Task An_empty_data_directory_is_refused_by_its_flag()
    {
        (int exitCode, _, string errors) = await RunAsync("serve", "--data-dir", string.Empty);
        Assert.Equal(ExitCode.Usage, exitCode);
        Assert.Contains("--data-dir is empty", errors);
    }

    [Fact]
    public async Task No_node_is_an_error_of_one_line()
    {
        int port = FreePorts.Take(1)[0];
        (int exitCode, _, string errors) = await RunAsync("get", "a", "--endpoints", $"127.0.0.1:{port}", "--command-timeout", "100ms");
        Assert.Equal(ExitCode.Failed, exitCode);
        Assert.Contains($"127.0.0.1:{port}", errors);
        Assert.Single(errors.Trim().Split('\n'));
    }

    [Fact]
    public async Task Endpoints_come_from_the_environment_if_no_flag_is_given()
    {
        (_, _, string errors) = await RunAsync(name => name == "METASTORE_ENDPOINTS" ? "here nonsense" : null, "get", "a");
        Assert.Contains("\"here nonsense\"", errors);
    }

    [Theory]
    [InlineData("periodic", "0", 0, 0)]
    [InlineData("periodic", "2", 0, 7200)]
    [InlineData("periodic", "1.5h", 0, 5400)]
    [InlineData("periodic", "1h30m0s", 0, 5400)]
    [InlineData("periodic", "30m", 0, 1800)]
    [InlineData("periodic", "45s", 0, 45)]
    [InlineData("revision", "0", 0, 0)]
    [InlineData("revision", "10000", 10000, 0)]
    public void What_history_is_kept_is_said_as_etcd_says_it(string mode, string retention, long revisions, double seconds)
    {
        AutoCompactionOptions options = CompactionRetention.Parse(Enum.Parse<CompactionMode>(mode, ignoreCase: true), retention);
        Assert.Equal((revisions, TimeSpan.FromSeconds(seconds)), (options.RevisionsKept, options.AgeKept));
    }

    [Theory]
    [InlineData("periodic", "soon")]
    [InlineData("periodic", "-1h")]
    [InlineData("periodic", "")]
    [InlineData("revision", "1h")]
    [InlineData("revision", "-5")]
    public async Task A_retention_that_makes_no_sense_is_refused(string mode, string retention)
    {
        using var directory = new TestDirectory();
        (int exitCode, _, string errors) = await RunAsync(
            "serve", "--data-dir", directory.Of("d"), "--auto-compaction-mode", mode, "--auto-compaction-retention", retention);
        Assert.Equal(ExitCode.Usage, exitCode);
        Assert.Contains($"--auto-compaction-retention is \"{retention}\"; ", errors);
        Assert.False(Directory.Exists(directory.Of("d")));
    }

    [Fact]
    public async Task A_member_that_would_join_needs_somebody_to_ask()
    {
        using var directory = new TestDirectory();
        (int exitCode, _, string errors) = await RunAsync("serve", "--initial-cluster-state", "existing", "--data-dir", directory.Of("d"));
        Assert.Equal(ExitCode.UnusableData, exitCode);
        Assert.Contains("so one that runs must; none did: --initial-cluster names no other member", errors);
        Assert.False(Directory.Exists(directory.Of("d")));
    }

    [Theory]
    [InlineData("k\u00e4\ud83d\ude00", null)]
    [InlineData("k\uFFFD", "6b ff")]
    [InlineData("k\uFFFD", "6b fe")]
    [InlineData("k\uFFFD", "6b ef bf bd")]
    [InlineData("\uFFFDa\uFFFD\uFFFD", "e2 82 61 ff c0")]
    public void The_bytes_of_an_argument_come_through(string decoded, string? bytes)
    {
        byte[] expected = bytes is null ? System.Text.Encoding.UTF8.GetBytes(decoded) : Convert.FromHexString(bytes.Replace(" ", string.Empty, StringComparison.Ordinal));
        byte[] commandLine = [.. "dotnet\0metastore.dll\0put\0"u8, .. expected, 0, .. "v\0"u8];
        string[] restored = ArgumentText.Restore(["put", decoded, "v"], () => commandLine);
        Assert.Equal(expected, ArgumentText.ToBytes(restored[1]));
        Assert.Equal(("put", "v"), (restored[0], restored[2]));
    }

    [Fact]
    public void An_argument_whose_bytes_nobody_tells_is_refused()
    {
        foreach (byte[]? commandLine in (byte[]?[])[null, [], [.. "metastore\0put\0other\0"u8]])
        {
            RefusalException refusal = Assert.Throws<RefusalException>(() => ArgumentText.Restore(["put", "k\uFFFD"], () => commandLine));
            Assert.Contains("argument 2", refusal.Message);
        }
    }

    private static IEnumerable<(string Path, Option Option)> AllOptions() =>
        OptionsOf(MetaStoreProgram.MakeRoot(new ProgramIo(Stream.Null, Stream.Null, TextWriter.Null, _ => null)), string.Empty);

    private static IEnumerable<(string Path, Option Option)> OptionsOf(Command command, string path) =>
        command.Options.Where(option => option is not HelpOption and not VersionOption).Select(option => (path, option))
            .Concat(command.Subcommands.SelectMany(inner => OptionsOf(inner, $"{path} {inner.Name}".Trim())));

    private static Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments) => RunAsync(_ => null, arguments);

    private static async Task<(int ExitCode, string Output, string Errors)> RunAsync(Func<string, string?> environment, params string[] arguments)
    {
        using var output = new MemoryStream();
        using var errors = new StringWriter();
        int exitCode = await MetaStoreProgram.RunAsync(arguments, new ProgramIo(Stream.Null, output, errors, environment));
        return (exitCode, System.Text.Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }
}
