using MetaStore.Etcd.Tests.BadInput;

namespace MetaStore.Etcd.Tests.Clients;

/// <summary>A server that a client of etcd has found.</summary>
public abstract class ClientTest : IAsyncLifetime
{
    private OnePort _port = null!;

    private protected EtcdCalls Etcd { get; private set; } = null!;

    private protected HttpClient Http { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _port = await OnePort.StartAsync();
        Etcd = new EtcdCalls(_port.EndPoint);
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{_port.EndPoint}") };
    }

    public async Task DisposeAsync()
    {
        Etcd.Dispose();
        Http.Dispose();
        await _port.DisposeAsync();
    }
}
