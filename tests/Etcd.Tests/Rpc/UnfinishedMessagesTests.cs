using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using MetaStore.Etcd.Grpc;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Metrics;
using MetaStore.Etcd.Rpc;
using MetaStore.Etcd.Tests.Http;
using MetaStore.Etcd.Tests.Services;

namespace MetaStore.Etcd.Tests.Rpc;

/// <summary>Messages that were begun and not finished.</summary>
public sealed class UnfinishedMessagesTests
{
    /// <summary>The prefix of a message of 100 bytes, and 10 of them.</summary>
    private static readonly byte[] s_begun = [0, 0, 0, 0, 100, .. new byte[10]];

    [Fact]
    public async Task TheRestOfAMessage_HasToComeInTime()
    {
        var time = new HandTime();
        var unfinished = new UnfinishedMessages(1000, TimeSpan.FromMinutes(1), time);
        var pipe = new Pipe();
        UnfinishedMessages.Body body = unfinished.Of(pipe.Reader);
        Task<Google.Protobuf.IMessage?> reading = Reader(body).ReadAsync(CancellationToken.None).AsTask();
        Assert.Equal((0, 0), (time.Timers, unfinished.Bytes)); // What has not begun may take for ever.

        await pipe.Writer.WriteAsync(s_begun);
        await time.WhenTimerAsync();
        Assert.Equal(s_begun.Length, unfinished.Bytes);
        time.Look(1);

        RpcException late = await Assert.ThrowsAsync<RpcException>(() => reading);
        Assert.Equal((StatusCode.DeadlineExceeded, "the rest of a message has not come within 60 s"), (late.Code, late.Message));
        body.Dispose();
        Assert.Equal(0, unfinished.Bytes);
    }

    [Fact]
    public async Task OnceItIsThere_NothingIsHeld_AndTheNextMayTakeItsTime()
    {
        var time = new HandTime();
        var unfinished = new UnfinishedMessages(1000, TimeSpan.FromMinutes(1), time);
        var pipe = new Pipe();
        using UnfinishedMessages.Body body = unfinished.Of(pipe.Reader);
        MessageReader reader = Reader(body);
        Task<Google.Protobuf.IMessage?> first = reader.ReadAsync(CancellationToken.None).AsTask();
        byte[] frame = [0, 0, 0, 0, 3, 10, 1, 65];
        await pipe.Writer.WriteAsync(frame.AsMemory(0, 6));
        await time.WhenTimerAsync();
        await pipe.Writer.WriteAsync(frame.AsMemory(6));

        Assert.Equal("A", ((RangeRequest)(await first)!).Key.ToStringUtf8());
        Assert.Equal(0, unfinished.Bytes);
        Task<Google.Protobuf.IMessage?> second = reader.ReadAsync(CancellationToken.None).AsTask();
        time.Look(1);
        Assert.False(second.IsCompleted);
        await pipe.Writer.WriteAsync(frame);
        Assert.Equal("A", ((RangeRequest)(await second)!).Key.ToStringUtf8());
    }

    [Fact]
    public async Task AllTogether_TheyTakeSoMuchMemory_AndWhoHasWaitedLongestMakesRoom()
    {
        var unfinished = new UnfinishedMessages((2 * s_begun.Length) - 1, TimeSpan.FromMinutes(1), new HandTime());
        var (one, two) = (new Pipe(), new Pipe());
        using UnfinishedMessages.Body first = unfinished.Of(one.Reader);
        using UnfinishedMessages.Body second = unfinished.Of(two.Reader);
        await one.Writer.WriteAsync(s_begun);
        await two.Writer.WriteAsync(s_begun);
        using var ended = new CancellationTokenSource();
        Task<Google.Protobuf.IMessage?> silent = Reader(first).ReadAsync(CancellationToken.None).AsTask();
        Task<Google.Protobuf.IMessage?> waiting = Reader(second).ReadAsync(ended.Token).AsTask();

        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => silent.WaitAsync(TimeSpan.FromSeconds(30)));

        Assert.Equal(StatusCode.ResourceExhausted, refused.Code);
        Assert.False(waiting.IsCompleted);
        Assert.Equal(s_begun.Length, unfinished.Bytes);
        await ended.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        second.Dispose();
        Assert.Equal(0, unfinished.Bytes);
    }

    [Fact]
    public async Task OneThatHasNoRoomAlone_IsRefused()
    {
        var unfinished = new UnfinishedMessages(s_begun.Length - 1, TimeSpan.FromMinutes(1), new HandTime());
        var pipe = new Pipe();
        using UnfinishedMessages.Body body = unfinished.Of(pipe.Reader);
        await pipe.Writer.WriteAsync(s_begun);

        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(() => Reader(body).ReadAsync(CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(30)))).Code);
        Assert.Equal(0, unfinished.Bytes);
    }

    [Theory]
    [InlineData("/etcdserverpb.KV/Range")]
    [InlineData(Say.KeepAlive)]
    public async Task ACallThatStopsInTheMidstOfAMessage_IsEnded(string path)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(
            new EtcdServerOptions { MessageTimeout = TimeSpan.FromMilliseconds(50) },
            RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse())),
            RpcMethod.Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(
                Say.KeepAlive, LeaseKeepAliveRequest.Parser, async (requests, _, context) => await requests.ReadAsync(context.Ended)));
        using var http = new HttpClient { BaseAddress = new Uri($"http://{served.EndPoint}") };
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new Unfinished(),
        };

        using HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("4", answer.Headers.GetValues("grpc-status").Single());
    }

    private static MessageReader Reader(PipeReader body) => new(body, RangeRequest.Parser, 1 << 20, new RpcCounters());

    /// <summary>A body that begins, and never goes on.</summary>
    private sealed class Unfinished : HttpContent
    {
        public Unfinished() => Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync(s_begun, cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
