using System.Net;
using MetaStore.Etcd.Tests.Grpc;
using MetaStore.Testing.Processes;

namespace MetaStore.Etcd.Tests.Differential;

/// <summary>The etcd of this machine, on a data directory of its own.</summary>
internal sealed class RealEtcd : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;
    private readonly ChildProcess _process;

    private RealEtcd(int clientPort, int peerPort)
    {
        EndPoint = new IPEndPoint(IPAddress.Loopback, clientPort);
        string peer = $"http://127.0.0.1:{peerPort}";
        _process = ChildProcess.Start(
        [
            "etcd", "--data-dir", Path.Combine(_directory, "data"), "--listen-client-urls", $"http://{EndPoint}", "--advertise-client-urls", $"http://{EndPoint}",
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"default={peer}",
        ]);
    }

    public IPEndPoint EndPoint { get; }

    public static bool IsInstalled => IsOnPath("etcd");

    public static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

    public static async Task<RealEtcd> StartAsync()
    {
        int[] ports = FreePorts.Take(2);
        var etcd = new RealEtcd(ports[0], ports[1]);
        await Deadline.UntilAsync(etcd.AnswersAsync, $"etcd answers: {etcd._process.Errors}");
        return etcd;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<bool> AnswersAsync()
    {
        try
        {
            using var client = new GrpcClient(EndPoint);
            return (await client.CallAsync("/etcdserverpb.KV/Range", new Messages.RangeRequest { Key = Services.Say.Bytes("a") })).Status == "0";
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
