using System.Net;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Grpc;

/// <summary>Calls over connections of HTTP/2.</summary>
public class GrpcFrontTests
{
    private const string Get = "/etcdserverpb.KV/Range";
    private const string Watch = "/etcdserverpb.Watch/Watch";
    private const string Snapshot = "/etcdserverpb.Maintenance/Snapshot";

    private static readonly RangeRequest s_request = new() { Key = ByteString.CopyFromUtf8("foo") };

    [Fact]
    public async Task ACall_IsAnswered_WithItsStatusBehind()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(request => new RangeResponse { Count = request.Key.Length }));
        using var client = new GrpcClient(served.EndPoint);

        for (int round = 0; round < 3; round++)
        {
            GrpcAnswer answer = await client.CallAsync(Get, s_request);

            Assert.Equal((HttpStatusCode.OK, "0", null), (answer.Http, answer.Status, answer.Message));
            Assert.False(answer.IsTrailersOnly);
            Assert.Equal(3, GrpcClient.Unframe(RangeResponse.Parser, answer.Body).Count);
        }
    }

    [Fact]
    public async Task ALargeMessage_GoesBothWays()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(request => new RangeResponse { Kvs = { new KeyValue { Key = request.Key } } }));
        using var client = new GrpcClient(served.EndPoint);
        byte[] key = new byte[(2 << 20) - 16]; // with tag and length just below the limit
        new Random(1).NextBytes(key);

        GrpcAnswer answer = await client.CallAsync(Get, new RangeRequest { Key = ByteString.CopyFrom(key) });

        Assert.Equal("0", answer.Status);
        Assert.Equal(key, GrpcClient.Unframe(RangeResponse.Parser, answer.Body).Kvs[0].Key.ToByteArray());
    }

    [Fact]
    public async Task AnAnswerInParts_IsOneMessage()
    {
        var parts = new ManyParts(partsMax: 20, failAt: int.MaxValue);
        await using ServedMethods served = await ServedMethods.StartAsync(parts.Method);
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request);

        Assert.Equal("0", answer.Status);
        Assert.Equal(parts.Merged(), GrpcClient.Unframe(RangeResponse.Parser, answer.Body));
    }

    [Fact]
    public async Task PartsAreMade_AsTheyAreRead()
    {
        var parts = new ManyParts(partsMax: 1000, failAt: int.MaxValue);
        await using ServedMethods served = await ServedMethods.StartAsync(parts.Method);
        using var client = new GrpcClient(served.EndPoint);
        using GrpcStream call = client.Open(Get);
        call.Say(s_request);
        call.SayNoMore();
        Stream answer = await (await call.Response.WaitAsync(Support.Patience)).Content.ReadAsStreamAsync();

        // The parts are 256 MiB. What is not read yet waits in windows and buffers, of which the client's, of 16 MiB, is the largest.
        const long OnTheWayMax = 32 << 20;
        var piece = new byte[1 << 20];
        long read = 0;
        for (int length; (length = await answer.ReadAsync(piece).AsTask().WaitAsync(Support.Patience)) > 0;)
        {
            read += length;
            Assert.InRange(parts.Made * ManyParts.ValueBytes, 0, read + OnTheWayMax);
        }

        Assert.Equal(1000, parts.Made);
        Assert.Equal(parts.Merged().CalculateSize() + 5, read);
    }

    [Fact]
    public async Task PartsThatFail_EndTheCallWithTheirStatus()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(new ManyParts(partsMax: 5, failAt: 3).Method);
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request);

        Assert.Equal(("11", "gone"), (answer.Status, answer.Message));
        Assert.False(answer.IsTrailersOnly);
    }

    [Fact]
    public async Task AnErrorBeforeAnAnswer_IsInTheHeaders()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => throw new RpcException(StatusCode.OutOfRange, "mvcc: größer\n")));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request);

        Assert.True(answer.IsTrailersOnly);
        Assert.Equal((HttpStatusCode.OK, "11", "mvcc: gr%C3%B6%C3%9Fer%0A"), (answer.Http, answer.Status, answer.Message));
        Assert.Empty(answer.Body);
    }

    [Fact]
    public async Task AFailureNobodyForesaw_IsInternal()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => throw new InvalidOperationException("surprise")));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request);

        Assert.Equal(("13", "the call failed: surprise"), (answer.Status, answer.Message));
    }

    [Theory]
    [InlineData("/etcdserverpb.KV/Get", "unknown method Get for service etcdserverpb.KV")]
    [InlineData("/etcdserverpb.Kv/Range", "unknown service etcdserverpb.Kv")]
    [InlineData("/Range", "malformed method name: \"/Range\"")]
    public async Task AnUnknownMethod_IsNamed(string path, string message)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(path, s_request);

        Assert.Equal((HttpStatusCode.OK, "12", message), (answer.Http, answer.Status, answer.Message));
    }

    [Theory]
    [InlineData("application/grpc+proto", HttpStatusCode.OK, "0", null)]
    [InlineData("application/grpc;charset=utf-8", HttpStatusCode.OK, "0", null)]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType, "3", "invalid gRPC request content-type \"application/json\"")]
    [InlineData("application/grpcs", HttpStatusCode.UnsupportedMediaType, "3", "invalid gRPC request content-type \"application/grpcs\"")]
    public async Task TheContentType_SaysGrpc(string contentType, HttpStatusCode http, string status, string? message)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, GrpcClient.Frame(s_request), request =>
        {
            request.Content!.Headers.Remove("content-type");
            request.Content.Headers.TryAddWithoutValidation("content-type", contentType);
        });

        Assert.Equal((http, status, message), (answer.Http, answer.Status, answer.Message));
    }

    [Fact]
    public async Task OnlyPostIsACall()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, GrpcClient.Frame(s_request), request => request.Method = HttpMethod.Put);

        Assert.Equal((HttpStatusCode.MethodNotAllowed, "13"), (answer.Http, answer.Status));
    }

    public static TheoryData<string, string, string?, string> BadBodies => new()
    {
        { "", "13", null, "the call ended without a request" },
        { "00", "13", null, "unexpected EOF" },
        { "00000000", "13", null, "unexpected EOF" },
        { "00000000050A0366", "13", null, "unexpected EOF" },
        { "0000200001", "8", null, "grpc: received message larger than max (2097153 vs. 2097152)" },
        { "01000000050A03666F6F", "13", null, "grpc: compressed flag set with identity or empty encoding" },
        { "01000000050A03666F6F", "12", "gzip", "grpc: Decompressor is not installed for grpc-encoding \"gzip\"" },
        { "00000000020AFF", "13", null, "grpc: error unmarshalling request: *" },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task ABodyThatCannotBeRead_IsToldWhy(string body, string status, string? encoding, string message)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, Convert.FromHexString(body), request =>
        {
            if (encoding is not null)
            {
                request.Headers.Add("grpc-encoding", encoding);
            }
        });

        Assert.Equal(status, answer.Status);
        Assert.StartsWith(message.TrimEnd('*'), answer.Message, StringComparison.Ordinal);
        Assert.Equal(encoding is null ? null : "identity", GrpcClient.Value(answer.Headers, "grpc-accept-encoding"));
    }

    [Fact]
    public async Task ADeadline_EndsTheCall()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Unary(Get, RangeRequest.Parser, async (RangeRequest _, RpcContext context) =>
        {
            await Task.Delay(Timeout.Infinite, context.Ended);
            return new RangeResponse();
        }));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request, request => request.Headers.Add("grpc-timeout", "20m"));

        Assert.Equal(("4", "context deadline exceeded"), (answer.Status, answer.Message));
    }

    [Fact]
    public async Task ADeadlineThatIsNone_IsRefused()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Range(_ => new RangeResponse()));
        using var client = new GrpcClient(served.EndPoint);

        GrpcAnswer answer = await client.CallAsync(Get, s_request, request => request.Headers.Add("grpc-timeout", "soon"));

        Assert.Equal((HttpStatusCode.BadRequest, "13", "malformed grpc-timeout: \"soon\""), (answer.Http, answer.Status, answer.Message));
    }

    [Fact]
    public async Task ACallerThatLeaves_EndsTheCall()
    {
        var begun = new TaskCompletionSource();
        var ended = new TaskCompletionSource();
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Unary(Get, RangeRequest.Parser, async (RangeRequest _, RpcContext context) =>
        {
            using CancellationTokenRegistration end = context.Ended.Register(ended.SetResult);
            begun.SetResult();
            await ended.Task;
            context.Ended.ThrowIfCancellationRequested();
            return new RangeResponse();
        }));
        using var client = new GrpcClient(served.EndPoint);
        using var leave = new CancellationTokenSource();
        Task<GrpcAnswer> call = client.CallAsync(Get, GrpcClient.Frame(s_request), cancellationToken: leave.Token);
        await begun.Task.WaitAsync(Support.Patience);

        await leave.CancelAsync();

        await ended.Task.WaitAsync(Support.Patience);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Metadata_IsUtf8_AndWhatIsNoneIsMarked()
    {
        var seen = new List<string?>();
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Unary(Get, RangeRequest.Parser, (RangeRequest _, RpcContext context) =>
        {
            seen.AddRange(context.Metadata("token"), context.Metadata("name"), context.Metadata("client-api-version"), context.Metadata("nobody"));
            return ValueTask.FromResult(new RangeResponse());
        }));
        using var client = new GrpcClient(served.EndPoint);

        await client.CallAsync(Get, s_request, request =>
        {
            request.Headers.Add("token", "a.1");
            request.Headers.TryAddWithoutValidation("name", Encoding.Latin1.GetString("größe"u8));
            request.Headers.TryAddWithoutValidation("client-api-version", "3.\u00ff");
        });

        Assert.Equal(["a.1", "größe", "3.\ufffd", null], seen);
    }

    [Fact]
    public async Task AStreamOfAnswers_ComesPieceByPiece()
    {
        var next = new SemaphoreSlim(0);
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.ServerStream(
            Snapshot, SnapshotRequest.Parser, async (SnapshotRequest _, IRpcWriter<SnapshotResponse> answers, RpcContext context) =>
            {
                for (ulong left = 3; left > 0; left--)
                {
                    await answers.WriteAsync(new SnapshotResponse { RemainingBytes = left }, context.Ended);
                    await next.WaitAsync(context.Ended);
                }

                throw new RpcException(StatusCode.DataLoss, "torn");
            }));
        using var client = new GrpcClient(served.EndPoint);
        using GrpcStream stream = client.Open(Snapshot);
        stream.Say(new SnapshotRequest());
        stream.SayNoMore();

        for (ulong left = 3; left > 0; left--)
        {
            Assert.Equal(left, (await stream.HearAsync(SnapshotResponse.Parser))!.RemainingBytes);
            next.Release();
        }

        Assert.Null(await stream.HearAsync(SnapshotResponse.Parser));
        Assert.Equal(("15", "torn"), await stream.EndAsync());
    }

    [Fact]
    public async Task BothSidesSpeak_InTurn()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(Echo());
        using var client = new GrpcClient(served.EndPoint);
        using GrpcStream stream = client.Open(Watch);
        byte[] last = GrpcClient.Frame(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = 3 } });

        for (long id = 1; id <= 2; id++)
        {
            stream.Say(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = id } });
            Assert.Equal(id, (await stream.HearAsync(WatchResponse.Parser))!.WatchId);
        }

        foreach (byte value in last)
        {
            stream.SayBytes([value]);
        }

        Assert.Equal(3, (await stream.HearAsync(WatchResponse.Parser))!.WatchId);
        stream.SayNoMore();
        Assert.Null(await stream.HearAsync(WatchResponse.Parser));
        Assert.Equal(("0", null), await stream.EndAsync());
    }

    [Fact]
    public async Task AServerThatStops_EndsACallThatMayWaitForEver_AndNoOther()
    {
        var other = new TaskCompletionSource<RangeResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        RpcMethod waits = RpcMethod.UnaryInParts(
            "/v3lockpb.Lock/Lock",
            RangeRequest.Parser,
            async (RangeRequest _, RpcContext context) =>
            {
                began.SetResult();
                await Task.Delay(Timeout.Infinite, context.Ended);
                return new RpcAnswer(new RangeResponse());
            },
            mayLast: true);
        await using ServedMethods served = await ServedMethods.StartAsync(waits, RpcMethod.Unary(Get, RangeRequest.Parser, (RangeRequest _, RpcContext _) => new ValueTask<RangeResponse>(other.Task)));
        using var client = new GrpcClient(served.EndPoint);
        using var otherClient = new GrpcClient(served.EndPoint);
        Task<GrpcAnswer> waiting = client.CallAsync("/v3lockpb.Lock/Lock", s_request);
        Task<GrpcAnswer> underWay = otherClient.CallAsync(Get, s_request);
        await began.Task.WaitAsync(Support.Patience);

        Task drained = served.Server.DrainAsync();

        GrpcAnswer ended = await waiting.WaitAsync(Support.Patience);
        Assert.Equal(("14", "etcdserver: server stopped"), (ended.Status, ended.Message));
        other.SetResult(new RangeResponse { Count = 3 });
        Assert.Equal("0", (await underWay.WaitAsync(Support.Patience)).Status);
        client.Dispose();
        otherClient.Dispose();
        await drained.WaitAsync(Support.Patience);
    }

    [Fact]
    public async Task AServerThatStops_EndsItsStreams()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(RpcMethod.Duplex(
            Watch, WatchRequest.Parser, async (IRpcReader<WatchRequest> requests, IRpcWriter<WatchResponse> answers, RpcContext context) =>
            {
                while (await requests.ReadAsync(context.Ended) is not null)
                {
                    await answers.WriteAsync(new WatchResponse(), context.Ended);
                }

                await Task.Delay(Timeout.Infinite, context.Ended);
            }));
        using var client = new GrpcClient(served.EndPoint);
        using GrpcStream stream = client.Open(Watch);
        stream.Say(new WatchRequest());
        stream.SayNoMore(); // a client that could still speak might keep the connection
        await stream.HearAsync(WatchResponse.Parser);

        Task drained = served.Server.DrainAsync();

        Assert.Null(await stream.HearAsync(WatchResponse.Parser));
        Assert.Equal(("14", "etcdserver: server stopped"), await stream.EndAsync());
        stream.SayNoMore(); // The connection is the caller's to close, and stays open while it has more to say.
        client.Dispose();
        await drained.WaitAsync(Support.Patience);
    }

    [Fact]
    public async Task ACallerThatDoesNotRead_HoldsUpItsOwnStreamAlone()
    {
        const int PieceBytes = 64 << 10;
        const int EnoughPieces = 512; // more than any window and all buffers of the sockets hold
        int written = 0;
        var blocked = new TaskCompletionSource();
        await using ServedMethods served = await ServedMethods.StartAsync(
            RpcMethod.ServerStream(Snapshot, SnapshotRequest.Parser, async (SnapshotRequest _, IRpcWriter<SnapshotResponse> answers, RpcContext context) =>
            {
                var piece = new SnapshotResponse { Blob = ByteString.CopyFrom(new byte[PieceBytes]) };
                while (true)
                {
                    ValueTask writing = answers.WriteAsync(piece, context.Ended);
                    if (++written > 1 && !writing.IsCompleted)
                    {
                        blocked.TrySetResult();
                    }

                    await writing;
                }
            }),
            Range(_ => new RangeResponse { Count = 7 }));
        using var client = new GrpcClient(served.EndPoint);
        using GrpcStream stream = client.Open(Snapshot);
        stream.Say(new SnapshotRequest());
        await stream.Response.WaitAsync(Support.Patience);
        await blocked.Task.WaitAsync(Support.Patience);

        GrpcAnswer answer = await client.CallAsync(Get, s_request);

        Assert.Equal(7, GrpcClient.Unframe(RangeResponse.Parser, answer.Body).Count);
        Assert.InRange(Volatile.Read(ref written), 1, EnoughPieces);
    }

    private static RpcMethod Range(Func<RangeRequest, RangeResponse> answer) =>
        RpcMethod.Unary(Get, RangeRequest.Parser, (RangeRequest request, RpcContext _) => ValueTask.FromResult(answer(request)));

    private static RpcMethod Echo() => RpcMethod.Duplex(
        Watch, WatchRequest.Parser, async (IRpcReader<WatchRequest> requests, IRpcWriter<WatchResponse> answers, RpcContext context) =>
        {
            while (await requests.ReadAsync(context.Ended) is { } request)
            {
                await answers.WriteAsync(new WatchResponse { WatchId = request.CancelRequest.WatchId }, context.Ended);
            }
        });
}
