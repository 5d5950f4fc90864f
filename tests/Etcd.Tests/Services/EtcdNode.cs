using System.Threading.Channels;
using Google.Protobuf;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Services;
using MetaStore.Raft;

namespace MetaStore.Etcd.Tests.Services;

/// <summary>A node with the services of etcd on it, which are called as the ways in call them.</summary>
internal sealed class EtcdNode : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("metastore-test-").FullName;

    public EtcdNode(EtcdServicesOptions? options = null, Func<NodeSettings, NodeSettings>? change = null)
    {
        var self = new Member(1, "single", ["http://10.0.0.1:2380"], ["http://10.0.0.1:2379"]);
        var settings = new NodeSettings
        {
            Name = self.Name,
            ClusterId = 7,
            NodeId = new NodeId(self.Id),
            Members = [self],
            ClientUrls = self.ClientUrls,
            DataDirectory = _directory,
            HeartbeatInterval = TimeSpan.FromMilliseconds(20),
            ElectionTimeout = TimeSpan.FromMilliseconds(200),
            Seed = MetaStoreNode.DrawSeed(),
        };
        Node = MetaStoreNode.Open(change?.Invoke(settings) ?? settings, new Nowhere());
        Methods = EtcdServices.Create(Node, options ?? new EtcdServicesOptions());
    }

    public MetaStoreNode Node { get; }

    public MethodTable Methods { get; }

    public async Task<TResponse> CallAsync<TResponse>(string path, IMessage request, RpcContext? context = null)
    {
        var method = (UnaryMethod)(Methods.Find(path) ?? throw new ArgumentException($"there is no {path}"));
        return (TResponse)await method.CallAsync(request, context ?? TestContext.Plain).AsTask().WaitAsync(s_patience);
    }

    /// <summary>The code and the text that the call fails with.</summary>
    public async Task<string> FailsAsync(string path, IMessage request, RpcContext? context = null)
    {
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => Methods.Find(path) is UnaryMethod
            ? CallAsync<IMessage>(path, request, context)
            : new TestStream(this, path, context, request).ReadToEndAsync());
        return $"{e.Code}: {e.Message}";
    }

    public TestStream Open(string path, params IMessage[] requests) => new(this, path, context: null, requests);

    public TestStream Open(string path, RpcContext context, params IMessage[] requests) => new(this, path, context, requests);

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Other members are never reached.</summary>
    private sealed class Nowhere : IPeerTransport
    {
        public void Send(GroupId group, Message message)
        {
            // Lost.
        }

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // Nobody comes.
        }
    }
}

/// <summary>A call's surroundings.</summary>
internal sealed class TestContext(CancellationToken ended, params (string Name, string Value)[] metadata) : RpcContext
{
    public static TestContext Plain { get; } = new(CancellationToken.None);

    public override CancellationToken Ended => ended;

    public override string? Metadata(string name) => metadata.FirstOrDefault(entry => entry.Name == name).Value;
}

/// <summary>A stream that is under way. Its caller reads an answer at a time; until then the writer waits.</summary>
internal sealed class TestStream : IRpcReader<IMessage>, IRpcWriter<IMessage>, IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly Channel<IMessage> _requests = Channel.CreateUnbounded<IMessage>();
    private readonly Channel<IMessage> _answers = Channel.CreateBounded<IMessage>(1);
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _running;
    private int _requestsTaken;

    public TestStream(EtcdNode node, string path, RpcContext? context, params IMessage[] requests)
    {
        Send(requests);
        var method = (StreamMethod)(node.Methods.Find(path) ?? throw new ArgumentException($"there is no {path}"));
        _running = RunAsync(method, new StreamContext(context ?? TestContext.Plain, _ended.Token));
    }

    /// <summary>Requests that the service has read.</summary>
    public int RequestsTaken => Volatile.Read(ref _requestsTaken);

    public void Send(params IMessage[] requests)
    {
        foreach (IMessage request in requests)
        {
            Assert.True(_requests.Writer.TryWrite(request));
        }
    }

    /// <summary>The caller has said its last.</summary>
    public void CompleteRequests() => _requests.Writer.Complete();

    public async Task<T> ReadAsync<T>() => (T)await _answers.Reader.ReadAsync().AsTask().WaitAsync(s_patience);

    public async Task<List<IMessage>> ReadToEndAsync()
    {
        var all = new List<IMessage>();
        using var patience = new CancellationTokenSource(s_patience);
        await foreach (IMessage answer in _answers.Reader.ReadAllAsync(patience.Token))
        {
            all.Add(answer);
        }

        await _running.WaitAsync(s_patience);
        return all;
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _running.WaitAsync(s_patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _ended.Dispose();
    }

    async ValueTask<IMessage?> IRpcReader<IMessage>.ReadAsync(CancellationToken cancellationToken)
    {
        while (await _requests.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_requests.Reader.TryRead(out IMessage? request))
            {
                Interlocked.Increment(ref _requestsTaken);
                return request;
            }
        }

        return null;
    }

    ValueTask IRpcWriter<IMessage>.WriteAsync(IMessage message, CancellationToken cancellationToken) => _answers.Writer.WriteAsync(message, cancellationToken);

    private async Task RunAsync(StreamMethod method, RpcContext context)
    {
        Exception? end = null;
        try
        {
            await method.RunAsync(this, this, context);
        }
        catch (Exception e)
        {
            end = e;
            throw;
        }
        finally
        {
            _answers.Writer.Complete(end);
        }
    }

    private sealed class StreamContext(RpcContext inner, CancellationToken ended) : RpcContext
    {
        public override CancellationToken Ended => ended;

        public override string? Metadata(string name) => inner.Metadata(name);
    }
}
