using System.Text.Json;
using MetaStore.Testing.Processes;

namespace MetaStore.Conformance.Tests.Etcd;

/// <summary>etcd's own client in Go, by the program that puts load on a server with it in the benchmarks: <c>bench/EtcdLoad</c>.</summary>
public sealed class GoClientTests
{
    private const string GoPath = "/usr/share/gocode";

    private static readonly TimeSpan s_buildPatience = TimeSpan.FromMinutes(5);

    private static readonly string[] s_operations = ["put", "get-lin", "get-ser", "range", "mixed80", "txn", "delete", "lease-put", "watch-fanout"];

    [SkippableFact]
    public async Task Every_operation_succeeds()
    {
        Requires.Program("go", "golang-go");
        Requires.That(Directory.Exists($"{GoPath}/src/go.etcd.io/etcd/clientv3"), "etcd's client is missing: apt-get install golang-etcd-server-dev");
        using var directory = new TestDirectory();
        string driver = directory.Of("etcdload");
        await BuildAsync(driver, directory.Of("cache"));
        await using ServerProcess server = await ServerProcess.StartSingleAsync(directory.Of("data"));
        foreach (string operation in s_operations)
        {
            (int exitCode, string output, string errors) = await ChildProcess.RunAsync(
            [
                driver, "--endpoints", server.Endpoint, "--op", operation, "--clients", "8", "--conns", "4", "--writers", "2", "--key-space", "500", "--prefill", "500",
                "--warmup", "0s", "--duration", "1s", "--timeout", "30s",
            ]);

            Assert.True(exitCode == 0, $"{operation}: {output}{errors}");
            using JsonDocument result = JsonDocument.Parse(output);
            Assert.Equal((operation, 0), (result.RootElement.GetProperty("op").GetString(), result.RootElement.GetProperty("errors").GetInt32()));
            Assert.True(result.RootElement.GetProperty("ops_per_s").GetInt64() > 0, $"{operation}: {output}");
        }
    }

    private static async Task BuildAsync(string driver, string cache)
    {
        string source = Path.Combine(AppContext.BaseDirectory, "Etcd", "testdata", "etcdload.go");
        await using ChildProcess build = ChildProcess.Start(["env", "GO111MODULE=off", $"GOPATH={GoPath}", $"GOCACHE={cache}", "go", "build", "-o", driver, source]);
        Assert.True(await build.WaitForExitAsync(s_buildPatience) == 0, $"the driver does not build: {build.Errors}");
    }
}
