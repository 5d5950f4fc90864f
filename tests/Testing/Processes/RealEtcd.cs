using System.Net;

namespace MetaStore.Testing.Processes;

/// <summary>The etcd of this machine (Debian: etcd-server), one member or more, on data directories of its own.</summary>
public sealed class RealEtcd : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly List<ChildProcess> _members = [];

    private RealEtcd(EtcdFlags flags)
    {
        Flags = flags;
        for (int member = 0; member < flags.Size; member++)
        {
            _members.Add(ChildProcess.Start(["etcd", .. flags.Of(member, _directory)]));
        }
    }

    /// <summary>Its addresses.</summary>
    public EtcdFlags Flags { get; }

    public IPEndPoint EndPoint => IPEndPoint.Parse(Flags.Endpoints[0]);

    public static bool IsInstalled => IsOnPath("etcd");

    public static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

    public static async Task<RealEtcd> StartAsync(int size = 1)
    {
        var etcd = new RealEtcd(new EtcdFlags(size));
        for (int member = 0; member < size; member++)
        {
            int number = member;
            await Deadline.UntilAsync(() => IsHealthyAsync(etcd.Flags.Endpoints[number]), $"etcd answers: {etcd._members[member].Errors}");
        }

        return etcd;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ChildProcess member in _members)
        {
            await member.DisposeAsync();
        }

        _directory.Dispose();
    }

    private static async Task<bool> IsHealthyAsync(string endpoint)
    {
        try
        {
            using var client = new HttpClient();
            return (await client.GetStringAsync(new Uri($"http://{endpoint}/health"))).Contains("\"health\":\"true\"", StringComparison.Ordinal);
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
