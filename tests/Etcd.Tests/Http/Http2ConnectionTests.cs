using System.Buffers.Binary;
using System.Net.Sockets;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.BadInput;
using MetaStore.Etcd.Tests.Services;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>What the calls of one connection owe each other, and a connection its other end.</summary>
public class Http2ConnectionTests
{
    private const int Whole = 1 << 30;

    /// <summary>A client of etcd has one connection for all: a long list must not keep its watches from hearing anything (etcd #15402).</summary>
    [Fact]
    public async Task ACallThatHasMuchToSay_LetsOthersSpeak()
    {
        var parts = new ManyParts(partsMax: 1000, failAt: int.MaxValue);
        RpcMethod small = RpcMethod.Unary(Say.Put, PutRequest.Parser, (PutRequest _, RpcContext _) => ValueTask.FromResult(new PutResponse()));
        await using ServedMethods served = await ServedMethods.StartAsync(parts.Method, small);
        await using RawHttp2 connection = await RawHttp2.OpenAsync(await served.ConnectAsync());
        await Endless.OpenWideAsync(connection);
        await CallAsync(connection, 1, Say.Range, GrpcClient.Frame(Say.All));
        await HearDataAsync(connection, 1, onTheWay: null);

        await CallAsync(connection, 3, Say.Put, GrpcClient.Frame(Say.PutOf("a")));
        var onTheWay = new Dictionary<int, long>();
        await HearDataAsync(connection, 3, onTheWay);

        // The list has 256 MiB. What was in the sockets' buffers when the other call was made comes first.
        Assert.InRange(onTheWay.GetValueOrDefault(1), 0, 32 << 20);
    }

    [Fact]
    public async Task WhoDoesNotAnswerPings_IsCutOff()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(new EtcdServerOptions { PingInterval = TimeSpan.FromSeconds(1), PingTimeout = TimeSpan.FromSeconds(1) });
        await using RawHttp2 connection = await RawHttp2.OpenAsync(await served.ConnectAsync());
        int pings = 0;
        while (await connection.HearAsync() is { } frame)
        {
            pings += frame.Type == Http2Frame.Ping ? 1 : 0;
        }

        Assert.Equal(1, pings);
    }

    /// <summary>Its process stands still, or its machine is gone: what it is sent stays with the system, and nothing else tells.</summary>
    [SkippableFact]
    public async Task WhoTakesNothing_IsCutOff()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "only Linux ends such a connection");
        var endless = new Endless();
        await using ServedMethods served = await ServedMethods.StartAsync(new EtcdServerOptions { PingInterval = TimeSpan.MaxValue, PingTimeout = TimeSpan.FromSeconds(1) }, endless.Method);
        await using RawHttp2 connection = await RawHttp2.OpenAsync(await served.ConnectAsync());
        await endless.CallAsync(connection);

        await endless.Ended.WaitAsync(Support.Patience);
    }

    /// <summary>A connection that breaks while it is being written to ends its calls, as one does that breaks in silence.</summary>
    [Fact]
    public async Task WhoIsGone_WhileItIsToldMuch_LeavesNoCallBehind()
    {
        var endless = new Endless();
        await using ServedMethods served = await ServedMethods.StartAsync(new EtcdServerOptions { PingInterval = TimeSpan.MaxValue, PingTimeout = TimeSpan.MaxValue }, endless.Method);
        NetworkStream stream = await served.ConnectAsync();
        stream.Socket.LingerState = new LingerOption(enable: true, seconds: 0);
        await using (RawHttp2 connection = await RawHttp2.OpenAsync(stream))
        {
            await endless.CallAsync(connection);
            await Support.Until(() => endless.IsHeldUp, "what is said is not read any more");
        }

        await endless.Ended.WaitAsync(Support.Patience);
    }

    private static byte[] Number(int value)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static async Task CallAsync(RawHttp2 connection, int stream, string path, byte[] message)
    {
        Assert.True(await connection.SayAsync(Http2Frame.Headers, Http2Frame.EndHeaders, stream, RawHttp2.Call(path)));
        Assert.True(await connection.SayAsync(Http2Frame.Data, Http2Frame.EndStream, stream, message));
    }

    /// <summary>Reads until there is something of the stream's answer; counts what there is of others.</summary>
    private static async Task HearDataAsync(RawHttp2 connection, int stream, Dictionary<int, long>? onTheWay)
    {
        while (true)
        {
            Http2Frame frame = await connection.HearAsync() ?? throw new InvalidOperationException("the connection has ended");
            if (frame.Type != Http2Frame.Data)
            {
                continue;
            }

            if (frame.Stream == stream)
            {
                return;
            }

            if (onTheWay is not null)
            {
                onTheWay[frame.Stream] = onTheWay.GetValueOrDefault(frame.Stream) + frame.Payload.Length;
            }
        }
    }

    /// <summary>A method that says more than anybody hears.</summary>
    private sealed class Endless
    {
        private const string Path = "/etcdserverpb.Maintenance/Snapshot";

        private static readonly SnapshotResponse s_piece = new() { Blob = ByteString.CopyFrom(new byte[64 << 10]) };

        private readonly TaskCompletionSource _ended = new();
        private volatile bool _isHeldUp;

        public RpcMethod Method => RpcMethod.ServerStream<SnapshotRequest, SnapshotResponse>(Path, SnapshotRequest.Parser, SayAsync);

        /// <summary>It waits for the caller to read.</summary>
        public bool IsHeldUp => _isHeldUp;

        public Task Ended => _ended.Task;

        /// <summary>With windows that are never full, so that it is the connection that is.</summary>
        public static async Task OpenWideAsync(RawHttp2 connection)
        {
            await connection.SayAsync(Http2Frame.Settings, 0, 0, [0, 4, .. Number(Whole)]); // INITIAL_WINDOW_SIZE
            await connection.SayAsync(Http2Frame.WindowUpdate, 0, 0, Number(Whole));
        }

        public async Task CallAsync(RawHttp2 connection)
        {
            await OpenWideAsync(connection);
            await Http2ConnectionTests.CallAsync(connection, 1, Path, GrpcClient.Frame(new SnapshotRequest()));
        }

        private async Task SayAsync(SnapshotRequest request, IRpcWriter<SnapshotResponse> answers, RpcContext context)
        {
            try
            {
                for (long said = 0; ; said++)
                {
                    ValueTask saying = answers.WriteAsync(s_piece, context.Ended);
                    _isHeldUp = said > 0 && !saying.IsCompleted;
                    await saying;
                }
            }
            finally
            {
                _ended.SetResult();
            }
        }
    }
}
