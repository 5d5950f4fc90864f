using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>Starts that the real program refuses: the exit code, and words that name the cause.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_directory_of_another_cluster()
    {
        string data = await MakeDataAsync();
        string errors = await AssertRefusedAsync(3, ["--data-dir", data, "--initial-cluster-token", "another"]);
        Assert.Contains("data directory of another cluster: it is of cluster ", errors);
        Assert.Contains("--initial-cluster-token", errors);
    }

    [Fact]
    public async Task A_directory_of_another_node_of_the_cluster()
    {
        int[] ports = FreePorts.Take(2);
        string cluster = $"a=http://127.0.0.1:{ports[0]},b=http://127.0.0.1:{ports[1]}";
        string[] Arguments(string name, int port) =>
        [
            "--name", name, "--data-dir", _directory.Of("data"), "--initial-cluster", cluster, "--listen-peer-urls", $"http://127.0.0.1:{port}",
            "--listen-client-urls", "http://127.0.0.1:0",
        ];
        await using (ServerProcess server = await ServerProcess.StartAsync(Arguments("a", ports[0])))
        {
            Assert.Equal(0, await server.StopAsync());
        }

        Assert.Contains("data directory of another node: it is of cluster ", await AssertRefusedAsync(3, Arguments("b", ports[1])));
    }

    [Fact]
    public async Task One_flipped_byte_in_the_middle_of_the_log()
    {
        string data = await MakeDataAsync();
        string segment = Directory.GetFiles(Path.Combine(data, "wal"), "*.wal").Order(StringComparer.Ordinal).First();
        const int Offset = 5000; // far behind the header, far before the end of what was written
        byte[] bytes = await File.ReadAllBytesAsync(segment);
        Assert.NotEqual(0, bytes.AsSpan(Offset..).LastIndexOfAnyExcept((byte)0));
        bytes[Offset] ^= 0xff;
        await File.WriteAllBytesAsync(segment, bytes);

        string errors = await AssertRefusedAsync(4, ["--data-dir", data]);
        Assert.Contains($"corruption in {segment} at offset ", errors);
        (int exitCode, string output, _) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "wal", "verify", data]);
        Assert.Equal(1, exitCode);
        Assert.Contains("DAMAGE", output);
        Assert.EndsWith("\ndamaged\n", output);
    }

    [Fact]
    public async Task A_log_that_is_gone_though_there_is_a_snapshot()
    {
        string data = await MakeDataAsync("--snapshot-count", "20");
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(data, "snap"), "*.snap"));
        foreach (string segment in Directory.GetFiles(Path.Combine(data, "wal"), "*.wal"))
        {
            File.Delete(segment);
        }

        // Twice: the first attempt must not make the directory look right.
        for (int attempt = 0; attempt < 2; attempt++)
        {
            await AssertRefusedAndDamagedAsync(data, "the log is gone, and there is a snapshot of index ");
        }
    }

    [Fact]
    public async Task A_log_that_is_gone_with_its_folder()
    {
        string data = await MakeDataAsync();
        Directory.Delete(Path.Combine(data, "wal"), recursive: true);
        Directory.Delete(Path.Combine(data, "snap"), recursive: true);
        for (int attempt = 0; attempt < 2; attempt++)
        {
            await AssertRefusedAndDamagedAsync(data, "the log is gone, and the directory has been that of node ");
        }
    }

    [Fact]
    public async Task Snapshots_that_are_gone_though_the_log_begins_behind_one()
    {
        string data = await MakeDataAsync("--snapshot-count", "20");
        Directory.Delete(Path.Combine(data, "snap"), recursive: true);
        await AssertRefusedAndDamagedAsync(data, "and the newest snapshot is of index 0");
    }

    [Fact]
    public async Task A_directory_in_use()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("data"));
        Assert.Contains("in use by another process", await AssertRefusedAsync(5, ["--data-dir", _directory.Of("data")]));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_made()
    {
        await File.WriteAllTextAsync(_directory.Of("file"), string.Empty);
        Assert.Contains(_directory.Of("file"), await AssertRefusedAsync(5, ["--data-dir", _directory.Of("file/data")]));
    }

    [Fact]
    public async Task A_wrong_flag() =>
        Assert.Contains("--data-dri is no flag of \"metastore serve\". Did you mean --data-dir?", await AssertRefusedAsync(2, ["--data-dri", "x"]));

    [Theory]
    [InlineData("http://127.0.0.1:24817", "http://127.0.0.1:24817")]
    [InlineData("http://0.0.0.0:24817", "http://127.0.0.1:24817")]
    [InlineData("http://127.0.0.1:24819", "http://127.0.0.1:24817,http://127.0.0.1:24817")]
    public async Task A_port_for_two(string peers, string clients)
    {
        string errors = await AssertRefusedAsync(2, ["--data-dir", _directory.Of("data"), "--listen-peer-urls", peers, "--listen-client-urls", clients]);
        Assert.Contains("--listen-client-urls names 127.0.0.1:24817, and --listen-", errors);
        Assert.Contains("each must have a port of its own", errors);
        Assert.False(Directory.Exists(_directory.Of("data")));
    }

    [Fact]
    public async Task A_port_in_use()
    {
        await using ServerProcess server = await ServerProcess.StartSingleAsync(_directory.Of("one"));
        string errors = await AssertRefusedAsync(6, ["--data-dir", _directory.Of("two"), "--listen-client-urls", $"http://{server.Endpoint}"]);
        Assert.Contains($"Cannot listen on {server.Endpoint}", errors);
    }

    [SkippableFact]
    public async Task A_disk_too_small_to_start_on()
    {
        using TinyDisk disk = TinyDisk.Mount(_directory.Of("disk"), megabytes: 10);
        string errors = await AssertRefusedAsync(5, ["--data-dir", Path.Combine(disk.Path, "data")]);
        Assert.Contains("No space left on device", errors);
    }

    [SkippableFact]
    public async Task A_disk_that_fills_up_ends_the_node_and_loses_nothing()
    {
        using TinyDisk disk = TinyDisk.Mount(_directory.Of("disk"), megabytes: 90);
        string data = Path.Combine(disk.Path, "data");
        var writes = new AcknowledgedWrites();
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            using var stop = new CancellationTokenSource();
            Task writing = writes.WriteAsync(server.Endpoint, writers: 8, valueBytes: 256 << 10, stop.Token);
            await Deadline.UntilAsync(() => server.Child.HasExited, "the disk is full and the node has ended", TimeSpan.FromMinutes(2));
            Assert.Equal(7, await server.Child.WaitForExitAsync());
            await stop.CancelAsync();
            await writing;
            Assert.Contains("No space left on device", server.Child.Errors);
            Assert.DoesNotContain("   at ", server.Child.Errors);
            Assert.Equal(0, writes.AcknowledgedAfterFailure);
        }

        disk.Grow(megabytes: 400);
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            await writes.AssertAllThereAsync(server.Endpoint);
            Assert.Equal(0, await server.StopAsync());
        }
    }

    /// <summary>A directory with some hundred acknowledged puts in it, cleanly stopped.</summary>
    private async Task<string> MakeDataAsync(params string[] flags)
    {
        string data = _directory.Of("data");
        await using ServerProcess server = await ServerProcess.StartAsync([.. ServerProcess.SingleArguments(data), .. flags]);
        var writes = new AcknowledgedWrites();
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(server.Endpoint, writers: 4, valueBytes: 100, stop.Token);
        await Deadline.UntilAsync(() => writes.Count >= 300, "some puts are acknowledged");
        await stop.CancelAsync();
        await writing;
        Assert.Equal(0, await server.StopAsync());
        return data;
    }

    /// <summary>What a start refuses, "wal verify" calls damaged, in the same words; and the refused start has changed nothing.</summary>
    private static async Task AssertRefusedAndDamagedAsync(string data, string words)
    {
        string[] before = Directory.GetFileSystemEntries(data, "*", SearchOption.AllDirectories);
        Assert.Contains(words, await AssertRefusedAsync(4, ["--data-dir", data]));
        Assert.Equal(before.Order(StringComparer.Ordinal), Directory.GetFileSystemEntries(data, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal));
        (int exitCode, string output, _) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "wal", "verify", data]);
        Assert.Equal(1, exitCode);
        Assert.Matches($"DAMAGE .*{words}", output);
        Assert.Contains("directory.id", output);
        Assert.EndsWith("\ndamaged\n", output);
    }

    private static async Task<string> AssertRefusedAsync(int expected, string[] arguments)
    {
        string[] ports = arguments.Contains("--listen-client-urls") ? [] : ["--listen-client-urls", "http://127.0.0.1:0"];
        (int exitCode, string output, string errors) = await ChildProcess.RunAsync([.. ProgramPath.Find(), "serve", .. ports, .. arguments]);
        Assert.Equal(string.Empty, output);
        Assert.StartsWith("metastore: ", errors);
        Assert.InRange(errors.Count(c => c == '\n'), 1, 2);
        Assert.Equal(expected, exitCode);
        return errors;
    }
}
