using System.Net;
using System.Text;
using MetaStore.Engine;

namespace MetaStore.Net.Tests;

/// <summary>What many tests need.</summary>
internal static class Support
{
    /// <summary>No test waits longer for anything that must happen.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static PutRequest Put(string key, string value = "v") => new() { Key = Bytes(key), Value = Bytes(value) };

    public static RangeRequest Get(string key, bool serializable = false) => new() { Key = Bytes(key), Serializable = serializable };

    /// <summary>Waits until the condition holds, looking again and again.</summary>
    public static async Task Until(Func<bool> condition, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, $"It never came about that {what}.");
            await Task.Delay(1);
        }
    }

    public static string Address(EndPoint endpoint) => endpoint.ToString()!;
}

/// <summary>A server over a fake node on a free port.</summary>
internal sealed class ServedNode : IAsyncDisposable
{
    private ServedNode(FakeNode node, BinaryServer server)
    {
        Node = node;
        Server = server;
    }

    public FakeNode Node { get; }

    public BinaryServer Server { get; }

    public IPEndPoint EndPoint => (IPEndPoint)Server.LocalEndPoint;

    public string Address => EndPoint.ToString();

    public static readonly BinaryServerOptions Options = new() { Endpoint = new IPEndPoint(IPAddress.Loopback, 0), DrainLinger = Support.Patience };

    public static async Task<ServedNode> StartAsync(FakeNode? node = null, BinaryServerOptions? options = null)
    {
        node ??= new FakeNode();
        var server = new BinaryServer(node, node, options ?? Options);
        await server.StartAsync();
        return new ServedNode(node, server);
    }

    public MetaStoreClient Connect(TimeSpan? timeout = null) => Connect(timeout, this);

    public static MetaStoreClient Connect(TimeSpan? timeout, params ServedNode[] nodes) => MetaStoreClient.Connect(new MetaStoreClientOptions
    {
        Endpoints = [.. nodes.Select(node => node.Address)],
        RequestTimeout = timeout ?? Support.Patience,
        JitterSeed = 1,
    });

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Support.Until(() => Server.OutstandingHandles == 0, "all pooled handles of the server are back");
    }
}
