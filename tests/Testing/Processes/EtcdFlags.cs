namespace MetaStore.Testing.Processes;

/// <summary>The members of a cluster on this machine, as flags: the same for etcd and for "metastore serve".</summary>
public sealed class EtcdFlags
{
    private readonly int[] _clientPorts;
    private readonly int[] _peerPorts;

    public EtcdFlags(int size)
    {
        int[] ports = FreePorts.Take(2 * size);
        _clientPorts = ports[..size];
        _peerPorts = ports[size..];
    }

    public int Size => _clientPorts.Length;

    /// <summary>host:port of the clients, by member.</summary>
    public IReadOnlyList<string> Endpoints => [.. _clientPorts.Select(port => $"127.0.0.1:{port}")];

    /// <summary>host:port of the other members, by member.</summary>
    public IReadOnlyList<string> PeerEndpoints => [.. _peerPorts.Select(port => $"127.0.0.1:{port}")];

    /// <summary>Name of a member.</summary>
    public static string NameOf(int member) => $"n{member}";

    /// <summary>The flags of a member.</summary>
    public string[] Of(int member, TestDirectory directory)
    {
        string client = $"http://{Endpoints[member]}";
        string peer = $"http://{PeerEndpoints[member]}";
        return
        [
            "--name", NameOf(member), "--data-dir", directory.Of(NameOf(member)), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster-token", "one-of-two", "--initial-cluster-state", "new",
            "--initial-cluster", string.Join(',', Enumerable.Range(0, Size).Select(i => $"{NameOf(i)}=http://{PeerEndpoints[i]}")),
        ];
    }
}
