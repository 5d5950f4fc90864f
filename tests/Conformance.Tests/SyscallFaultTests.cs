using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests;

/// <summary>
/// The real program on a disk that fails, by the hand of strace: from the Kth call on, every sync or write of a thread fails. Whatever was acknowledged
/// before must be there afterwards, nothing may be acknowledged after, and the program ends and says why.
/// </summary>
public sealed class SyscallFaultTests : IDisposable
{
    private const int Writers = 8;

    private readonly TestDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(40)]
    [InlineData(200)]
    public Task A_failed_sync_ends_the_node(int which) => RunAsync("fdatasync", "fdatasync", "EIO", which, "Input/output error");

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(30)]
    [InlineData(150)]
    public Task A_full_disk_ends_the_node(int which) => RunAsync("pwrite64,pwritev", "pwrite64,pwritev", "ENOSPC", which, "No space left on device");

    private async Task RunAsync(string traced, string injected, string error, int which, string reason)
    {
        Requires.Program("strace", "strace");
        string data = _directory.Of("data");
        var writes = new AcknowledgedWrites();

        // A directory that exists already: making the first segment takes hundreds of writes, which would hide the count.
        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            await WriteUntilAsync(writes, server.Endpoint, () => writes.Count >= 100);
            Assert.Equal(0, await server.StopAsync());
        }

        int before = writes.Count;
        string[] strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", _directory.Of("trace"), "-e", $"trace={traced}", "-e", $"inject={injected}:error={error}:when={which}+"];
        await using (ServerProcess server = ServerProcess.Launch(ServerProcess.SingleArguments(data), strace))
        {
            bool serves = await server.WaitUntilItServesAsync();
            if (serves)
            {
                await WriteUntilAsync(writes, server.Endpoint, () => server.Child.HasExited);
            }

            int exitCode = await server.Child.WaitForExitAsync();
            Assert.Equal(serves ? 7 : 5, exitCode);
            Assert.Contains(reason, server.Child.Errors);
            Assert.Contains(_directory.Path, server.Child.Errors);
            Assert.DoesNotContain("   at ", server.Child.Errors);
            Assert.Equal(0, writes.AcknowledgedAfterFailure);
            Assert.True(which < 40 || writes.Count > before, "the node failed before it had acknowledged anything");
            Assert.Contains("(INJECTED)", await File.ReadAllTextAsync(_directory.Of("trace")));
        }

        await using (ServerProcess server = await ServerProcess.StartSingleAsync(data))
        {
            await writes.AssertAllThereAsync(server.Endpoint);
            Assert.Equal(0, await server.StopAsync());
        }
    }

    [SkippableFact]
    public async Task A_failed_node_ends_though_clients_still_write()
    {
        Requires.Program("strace", "strace");
        string[] strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", _directory.Of("trace"), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=30+"];
        string data = _directory.Of("data");
        await using ServerProcess server = await ServerProcess.StartAsync(ServerProcess.SingleArguments(data), strace);
        var writes = new AcknowledgedWrites();
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(server.Endpoint, Writers, valueBytes: 100, stop.Token);
        await Deadline.UntilAsync(() => server.Child.Errors.Contains("fatal", StringComparison.Ordinal) || server.Child.HasExited, "the node has failed");
        Assert.Equal(7, await server.Child.WaitForExitAsync());
        await stop.CancelAsync();
        await writing;

        // On its first start it writes to files that it made ready under another name.
        string segment = Assert.Single(Directory.GetFiles(Path.Combine(data, "wal"), "*.wal"));
        Assert.Contains($"sync {segment}: Input/output error", server.Child.Errors);
    }

    private static async Task WriteUntilAsync(AcknowledgedWrites writes, string endpoint, Func<bool> enough)
    {
        using var stop = new CancellationTokenSource();
        Task writing = writes.WriteAsync(endpoint, Writers, valueBytes: 100, stop.Token);
        await Deadline.UntilAsync(enough, "enough is written, or the node has ended");
        await stop.CancelAsync();
        await writing;
    }
}
