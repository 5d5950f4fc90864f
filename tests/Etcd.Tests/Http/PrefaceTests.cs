using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using MetaStore.Etcd.Http;
using MetaStore.Etcd.Messages;
using MetaStore.Etcd.Rpc;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.Http;

/// <summary>What a connection speaks is told by its first bytes, however they come.</summary>
public class PrefaceTests
{
    private const string Http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    private static readonly RpcMethod s_range =
        RpcMethod.Unary("/etcdserverpb.KV/Range", RangeRequest.Parser, (RangeRequest _, RpcContext _) => ValueTask.FromResult(new RangeResponse()));

    [Theory]
    [InlineData("", "Undecided")]
    [InlineData("P", "Undecided")]
    [InlineData("PRI * HTTP/2.0\r", "Undecided")]
    [InlineData("PRI * HTTP/2.0\r\n", "Http2")]
    [InlineData(Http2, "Http2")]
    [InlineData("PO", "Http1")]
    [InlineData("G", "Http1")]
    [InlineData("\u0016", "Http1")]
    [InlineData("PRI * HTTP/2.1", "Http1")]
    public void FirstBytes_SayIt(string first, string kind) =>
        Assert.Equal(kind, Preface.Classify(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(first))).ToString());

    [Theory]
    [InlineData(Http2, "Http2")]
    [InlineData("PUT / HTTP/1.1", "Http1")]
    [InlineData("PRI * HTTP/2.1", "Http1")]
    [InlineData("PRI", "Undecided")]
    public async Task HoweverTheyCome_TheyAreLookedAt_AndLeft(string first, string kind)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(first);
        // The one who reads runs within each flush, so each byte is looked at by itself.
        var pipe = new Pipe(new PipeOptions(readerScheduler: PipeScheduler.Inline, useSynchronizationContext: false));
        ValueTask<PrefaceKind> peeking = Preface.PeekAsync(pipe.Reader, CancellationToken.None);
        foreach (byte value in bytes)
        {
            await pipe.Writer.WriteAsync(new[] { value });
        }

        await pipe.Writer.CompleteAsync();

        Assert.Equal(kind, (await peeking).ToString());
        ReadResult left = await pipe.Reader.ReadAtLeastAsync(bytes.Length).AsTask().WaitAsync(Support.Patience);
        Assert.Equal(bytes, left.Buffer.ToArray());
    }

    [Theory]
    [InlineData("PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 Not Found\r\n")]
    [InlineData("P\0\r\n", "HTTP/1.1 400 Bad Request\r\n")] // Nothing behind what is refused: a byte that comes after the server has closed would take the answer away.
    [InlineData("\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003\r\n", "HTTP/1.1 400 Bad Request\r\n")]
    public async Task BytesThatComeOneByOne_ReachHttp1_AndGarbageGetsAClearEnd(string request, string answer)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(s_range);
        await using NetworkStream stream = await served.ConnectAsync();

        foreach (byte value in Encoding.Latin1.GetBytes(request))
        {
            await stream.WriteAsync(new[] { value });
        }

        using var reader = new StreamReader(stream, Encoding.Latin1);
        Assert.StartsWith(answer, await reader.ReadToEndAsync().WaitAsync(Support.Patience), StringComparison.Ordinal);
    }

    [Fact]
    public async Task APrefaceThatComesInPieces_ReachesHttp2()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(s_range);
        await using NetworkStream stream = await served.ConnectAsync();
        byte[] settings = new byte[9];
        settings[3] = 4;

        foreach (byte value in Encoding.Latin1.GetBytes(Http2).Concat(settings))
        {
            await stream.WriteAsync(new[] { value });
        }

        byte[] header = new byte[9];
        await stream.ReadExactlyAsync(header).AsTask().WaitAsync(Support.Patience);
        Assert.Equal(4, header[3]); // the server's settings
    }

    [Theory]
    [InlineData("")]
    [InlineData("PRI *")]
    public async Task WhoSaysTooLittle_IsCutOff(string first)
    {
        await using ServedMethods served = await ServedMethods.StartAsync(new EtcdServerOptions { FirstBytesTimeout = TimeSpan.FromMilliseconds(50) }, s_range);
        await using NetworkStream stream = await served.ConnectAsync();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(first));

        Assert.Equal(0, await ReadOrEndAsync(stream));
    }

    [Fact]
    public async Task WhoClosesAtOnce_LeavesNothingBehind()
    {
        await using ServedMethods served = await ServedMethods.StartAsync(s_range);
        for (int round = 0; round < 10; round++)
        {
            await using NetworkStream stream = await served.ConnectAsync();
            await stream.WriteAsync(Encoding.Latin1.GetBytes("PRI"));
            stream.Socket.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, await ReadOrEndAsync(stream));
        }

        using var client = new GrpcClient(served.EndPoint);
        Assert.Equal("0", (await client.CallAsync("/etcdserverpb.KV/Range", new RangeRequest())).Status);
    }

    /// <summary>0 at the end of the stream, be it orderly or a reset.</summary>
    private static async Task<int> ReadOrEndAsync(NetworkStream stream)
    {
        try
        {
            return await stream.ReadAsync(new byte[1]).AsTask().WaitAsync(Support.Patience);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
