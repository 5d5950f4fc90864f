using Google.Protobuf;
using MetaStore.Etcd.Rpc;
using MetaStore.Fuzz.Running;

namespace MetaStore.Fuzz.Targets;

/// <summary>
/// The services of etcd on a store: any message to any method is answered or refused with a status, and nothing else is thrown; what was refused has changed nothing. Input: up to six calls, each
/// method u8, length u16, message; calls of a stream with many requests that follow each other are requests of one stream.
/// </summary>
internal sealed class ServicesTarget : FuzzTarget
{
    private const int CallsMax = 6;

    /// <summary>A store remembers members that were removed for ever: now and then another one is taken.</summary>
    private const int InputsPerStore = 1000;

    private const string Concurrency = "/v3";
    private const string MemberAdd = "/etcdserverpb.Cluster/MemberAdd";

    /// <summary>For what may wait until something happens: it is called off then.</summary>
    private static readonly TimeSpan s_while = TimeSpan.FromMilliseconds(200);

    /// <summary>For what never ends by itself.</summary>
    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(15);

    private static readonly string[] s_endless = ["/etcdserverpb.Watch/Watch", "/v3electionpb.Election/Observe", "/grpc.health.v1.Health/Watch"];

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private FuzzedStore? _store;
    private int _inputs;

    public override string Name => "services";

    public override int BytesMax => 1024;

    public override int TestInputs => 100;

    public override IReadOnlyList<byte[]> Words { get; } = [.. SeedMessages.All.Select(seed => Call(seed.Path, seed.Message)), [0x0a, 0x01, 0x61], [0x12, 0x01, 0x00]];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach ((string path, IMessage message) in SeedMessages.All)
        {
            yield return Call(path, message);
        }

        yield return [.. SeedMessages.All.Where(seed => seed.Path.Contains("Watch", StringComparison.Ordinal)).SelectMany(seed => Call(seed.Path, seed.Message))];
        yield return [.. SeedMessages.All.Where(seed => seed.Path.StartsWith("/v3", StringComparison.Ordinal)).SelectMany(seed => Call(seed.Path, seed.Message))];
    }

    public override string Run(ReadOnlyMemory<byte> input)
    {
        if (_inputs++ % InputsPerStore == 0)
        {
            _store?.Dispose();
            _store = new FuzzedStore();
        }

        _store!.Reset();
        var reader = new InputReader(input);
        var outcomes = new List<string>();
        List<IMessage> requests = [];
        Method? open = null;
        for (int calls = 0; calls < CallsMax && !reader.IsAtEnd; calls++)
        {
            Method method = Methods.At(reader.Byte());
            if (open is not null && (open != method || !method.HasManyRequests))
            {
                outcomes.Add(CallOne(open, requests));
                requests = [];
            }

            open = method;
            if (TryParse(method, reader.Sized()) is { } message)
            {
                requests.Add(message);
            }
        }

        if (open is not null)
        {
            outcomes.Add(CallOne(open, requests));
        }

        return string.Join("; ", outcomes);
    }

    public override void Dispose() => _store?.Dispose();

    private static byte[] Call(string path, IMessage message) => new InputWriter().Byte(Methods.NumberOf(path)).Sized(message.ToByteArray()).ToArray();

    private static IMessage? TryParse(Method method, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return method.Request.Parser.ParseFrom(bytes.Span);
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or IndexOutOfRangeException) // the latter is a fault of the parser
        {
            return null;
        }
    }

    private string CallOne(Method method, List<IMessage> requests)
    {
        if (requests.Count == 0)
        {
            return "no message";
        }

        requests.ForEach(_store!.Adapt);
        string before = _store.Fingerprint();
        try
        {
            string answer = _store.Find(method.Path) is UnaryMethod unary ? Ask(unary, requests[0]) : Listen((StreamMethod)_store.Find(method.Path), method, requests);
            return $"{method.Path} {answer}";
        }
        catch (RpcException e)
        {
            FuzzFailure.Unless(Enum.IsDefined(e.Code) && e.Code != StatusCode.Ok, $"{method.Path} fails with {e.Code}");

            // Locks and elections are made of several operations.
            bool mayHaveChanged = method.Path.StartsWith(Concurrency, StringComparison.Ordinal) || e.Code == StatusCode.Unavailable || method.HasManyRequests;
            string after = _store.Fingerprint();
            FuzzFailure.Unless(mayHaveChanged || before == after, $"{method.Path} was refused ({e.Code}: {e.Message}) and has changed the store:\n  {before}\n  {after}\n  {requests[0]}");
            return $"{method.Path} {e.Code} {Shape.Of(e.Message)}";
        }
    }

    private static string Ask(UnaryMethod method, IMessage request)
    {
        bool mayWait = method.Path.StartsWith(Concurrency, StringComparison.Ordinal) || method.Path == MemberAdd;
        using var ended = new CancellationTokenSource();
        Task<IMessage> call = method.CallAsync(request, new Context(ended.Token)).AsTask();
        return mayWait && !IsOver(call, s_while) ? CallOff(call, ended) : Skeleton.Of(call.WaitAsync(s_patience).GetAwaiter().GetResult());
    }

    private static string Listen(StreamMethod method, Method declared, List<IMessage> requests)
    {
        using var ended = new CancellationTokenSource();
        bool isEndless = s_endless.Contains(method.Path);
        var stream = new Stream(requests, isEndless && declared.HasManyRequests, ended.Token);
        Task call = method.RunAsync(stream, stream, new Context(ended.Token));
        if (isEndless && !IsOver(call, s_moment))
        {
            return CallOff(call, ended); // How far it has come by then is a matter of chance.
        }

        call.WaitAsync(s_patience).GetAwaiter().GetResult();
        return string.Join(' ', stream.Answers.Take(4).Select(Skeleton.Of));
    }

    private static bool IsOver(Task call, TimeSpan within) => Task.WhenAny(call, Task.Delay(within)).GetAwaiter().GetResult() == call;

    private static string CallOff(Task call, CancellationTokenSource ended)
    {
        ended.Cancel();
        try
        {
            call.WaitAsync(s_patience).GetAwaiter().GetResult();
            return "answered at last";
        }
        catch (OperationCanceledException)
        {
            return "called off";
        }
    }

    private sealed class Context(CancellationToken ended) : RpcContext
    {
        public override CancellationToken Ended => ended;

        public override string? Metadata(string name) => null;
    }

    /// <summary>Has the requests ready, and takes every answer.</summary>
    private sealed class Stream(List<IMessage> requests, bool staysOpen, CancellationToken ended) : IRpcReader<IMessage>, IRpcWriter<IMessage>
    {
        private readonly List<IMessage> _answers = [];
        private int _next;

        public IReadOnlyList<IMessage> Answers
        {
            get
            {
                lock (_answers)
                {
                    return [.. _answers];
                }
            }
        }

        public async ValueTask<IMessage?> ReadAsync(CancellationToken cancellationToken)
        {
            if (_next < requests.Count)
            {
                return requests[_next++];
            }

            if (staysOpen)
            {
                await Task.Delay(Timeout.Infinite, ended);
            }

            return null;
        }

        public ValueTask WriteAsync(IMessage message, CancellationToken cancellationToken)
        {
            lock (_answers)
            {
                _answers.Add(message);
            }

            return ValueTask.CompletedTask;
        }
    }
}
