using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using MetaStore.Etcd.Messages;
using MetaStore.Testing.Grpc;

namespace MetaStore.Etcd.Tests.BadInput;

/// <summary>Clients that flood their connections or dawdle on them, through the port that all share: their connection is ended with a reason, and all others are served.</summary>
public sealed class FloodTests
{
    private const string Range = "/etcdserverpb.KV/Range";
    private const string Watch = "/etcdserverpb.Watch/Watch";
    private const int EnhanceYourCalm = 11;

    private static readonly ByteString s_large = ByteString.CopyFromUtf8("large");

    [Theory]
    [InlineData(Range)]
    [InlineData(Watch)]
    public async Task WhoOpensStreamsOnlyToResetThem_HoldsUpNobody_AndIsToldToCalmDownBeforeTheyPileUp(string path)
    {
        await using OnePort port = await OnePort.StartAsync(new EtcdServerOptions { StreamsPerConnectionMax = 100 });
        ulong term = port.Term;
        await using RawHttp2 flood = await RawHttp2.OpenAsync(await port.ConnectAsync());
        Task<int?> end = flood.HearWhyItEndedAsync(untilPong: true);
        byte[] call = RawHttp2.Call(path);
        bool goesOn = true;
        for (int batch = 0; goesOn && batch < 200; batch++)
        {
            goesOn = await flood.SayAsync([.. Enumerable.Range(0, 100).SelectMany(i => OpenAndReset((200 * batch) + (2 * i) + 1))]);
            if (batch % 50 == 0)
            {
                await AssertServedAsync(port, term);
            }
        }

        // Either it was too much, or all streams were done with as quickly as they came.
        await flood.SayAsync(Http2Frame.Ping, 0, 0, new byte[8]);
        Assert.Contains(await end.WaitAsync(Support.Patience), new int?[] { null, EnhanceYourCalm });
        await AssertServedAsync(port, term);

        byte[] OpenAndReset(int stream) =>
            [.. RawHttp2.Frame(Http2Frame.Headers, Http2Frame.EndHeaders, stream, call), .. RawHttp2.Frame(Http2Frame.ResetStream, 0, stream, [0, 0, 0, 8])];
    }

    [Fact]
    public async Task HeadersWithoutEnd_EndTheConnection()
    {
        await using OnePort port = await OnePort.StartAsync();
        ulong term = port.Term;
        await using RawHttp2 flood = await RawHttp2.OpenAsync(await port.ConnectAsync());
        Task<int?> end = flood.HearWhyItEndedAsync();
        await flood.SayAsync(Http2Frame.Headers, 0, 1, RawHttp2.Call(Range));
        byte[] more = [.. Enumerable.Repeat(RawHttp2.Field("x-more", new string('x', 100)), 10).SelectMany(field => field)];
        int frames = 0;
        while (frames < 100_000 && await flood.SayAsync(Http2Frame.Continuation, 0, 1, more))
        {
            frames++;
        }

        Assert.NotNull(await end.WaitAsync(Support.Patience));
        Assert.InRange(frames, 1, 99_999);
        await AssertServedAsync(port, term);
    }

    [Fact]
    public async Task EmptyPiecesOfHeaders_EndTheConnectionToo()
    {
        await using OnePort port = await OnePort.StartAsync(new EtcdServerOptions { HeadersTimeout = TimeSpan.FromSeconds(1) });
        ulong term = port.Term;
        await using RawHttp2 flood = await RawHttp2.OpenAsync(await port.ConnectAsync());
        Task<int?> end = flood.HearWhyItEndedAsync();
        await flood.SayAsync(Http2Frame.Headers, 0, 1, RawHttp2.Call(Range));
        byte[] empty = [.. Enumerable.Repeat(RawHttp2.Frame(Http2Frame.Continuation, 0, 1, []), 100).SelectMany(frame => frame)];
        while (!end.IsCompleted && await flood.SayAsync(empty))
        {
            // Until the connection is ended.
        }

        await end.WaitAsync(Support.Patience);
        await AssertServedAsync(port, term);
    }

    [Theory]
    [InlineData("pings")]
    [InlineData("settings")]
    public async Task PingsOrSettingsWithoutEnd_HoldUpNobodyElse(string what)
    {
        await using OnePort port = await OnePort.StartAsync();
        ulong term = port.Term;
        await using RawHttp2 flood = await RawHttp2.OpenAsync(await port.ConnectAsync());
        byte[] asked = what == "pings" ? RawHttp2.Frame(Http2Frame.Ping, 0, 0, new byte[8]) : RawHttp2.Frame(Http2Frame.Settings, 0, 0, []);
        byte[] many = [.. Enumerable.Repeat(asked, 500).SelectMany(frame => frame)];

        // Nobody hears the answers: in the end the server stops reading, or ends the connection.
        using var enough = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        Task flooding = FloodAsync();
        while (!flooding.IsCompleted)
        {
            await AssertServedAsync(port, term);
        }

        await flooding;

        async Task FloodAsync()
        {
            try
            {
                for (int round = 0; round < 10_000 && await flood.SayAsync(many).WaitAsync(enough.Token); round++)
                {
                    // On and on.
                }
            }
            catch (OperationCanceledException)
            {
                // It is not read any more.
            }
        }
    }

    [Theory]
    [InlineData("GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: ")]
    [InlineData("POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nX")]
    public async Task HeadersThatNeverEnd_AreGivenUp(string begin)
    {
        await using OnePort port = await OnePort.StartAsync(new EtcdServerOptions { HeadersTimeout = TimeSpan.FromSeconds(1) });
        ulong term = port.Term;
        await using NetworkStream slow = await port.ConnectAsync();
        await slow.WriteAsync(Encoding.ASCII.GetBytes(begin));
        Task dawdling = TrickleAsync(slow);

        using var reader = new StreamReader(slow, Encoding.Latin1);
        string answer = await ReadToEndAsync(reader);

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        await dawdling;
        await AssertServedAsync(port, term);
    }

    [Fact]
    public async Task ABodyThatTrickles_IsGivenUp()
    {
        await using OnePort port = await OnePort.StartAsync();
        ulong term = port.Term;
        await using NetworkStream slow = await port.ConnectAsync();
        await slow.WriteAsync("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"u8.ToArray());
        Task dawdling = TrickleAsync(slow);

        using var reader = new StreamReader(slow, Encoding.Latin1);
        string answer = await ReadToEndAsync(reader);

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        await dawdling;
        await AssertServedAsync(port, term);
    }

    [Fact]
    public async Task ConnectionsBeyondTheMost_AreClosed_AndRoomComesBack()
    {
        await using OnePort port = await OnePort.StartAsync(new EtcdServerOptions { ConnectionsMax = 3 });
        ulong term = port.Term;
        List<NetworkStream> idle = [];
        for (int i = 0; i < 3; i++)
        {
            idle.Add(await port.ConnectAsync());
            await idle[i].WriteAsync("P"u8.ToArray());
        }

        await Support.Until(() => port.Etcd.ConnectionCount == 3, "all three are the server's");
        await using NetworkStream beyond = await port.ConnectAsync();
        await beyond.WriteAsync("G"u8.ToArray());
        using var reader = new StreamReader(beyond, Encoding.Latin1);
        Assert.Empty(await ReadToEndAsync(reader));

        foreach (NetworkStream stream in idle)
        {
            await stream.DisposeAsync();
        }

        await Support.Until(() => port.Etcd.ConnectionCount == 0, "those that were closed are counted no more");
        await AssertServedAsync(port, term);
    }

    [Fact]
    public async Task SilentConnections_ShutNobodyOut()
    {
        await using OnePort port = await OnePort.StartAsync(silentMax: 100);
        ulong term = port.Term;
        List<NetworkStream> silent = [];
        for (int i = 0; i < 400; i++)
        {
            silent.Add(await port.ConnectAsync());
        }

        await AssertServedAsync(port, term);
        foreach (NetworkStream stream in silent)
        {
            await stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task AConnectionThatIsKept_IsNeverDropped_HoweverItsRequestsCome()
    {
        await using OnePort port = await OnePort.StartAsync();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(client => AskAgainAndAgainAsync(port, new Random(client), requests: 300)));
    }

    [Fact]
    public async Task AnswersThatNobodyReads_TakeSoMuchMemory_AndWhoReadsIsServed()
    {
        const int streams = 20;
        await using OnePort port = await OnePort.StartAsync(new EtcdServerOptions { UnreadBytesMax = 8 << 20 });
        ulong term = port.Term;
        byte[] ask = await PutLargeAsync(port, valueBytes: 1 << 20);
        await using RawHttp2 flood = await RawHttp2.OpenAsync(await port.ConnectAsync());
        byte[] call = RawHttp2.Call(Range);
        for (int i = 0; i < streams; i++)
        {
            int stream = (2 * i) + 1;
            Assert.True(await flood.SayAsync(
                [.. RawHttp2.Frame(Http2Frame.Headers, Http2Frame.EndHeaders, stream, call), .. RawHttp2.Frame(Http2Frame.Data, Http2Frame.EndStream, stream, ask)]));
        }

        // Each holds its answer and the encoding, 2 MiB and some bytes: of three there is room, and all others have to end.
        HashSet<int> reset = [];
        while (reset.Count < streams - 3)
        {
            Http2Frame frame = await flood.HearAsync() ?? throw new InvalidOperationException($"the connection ended after {reset.Count} streams");
            if (frame.Type == Http2Frame.ResetStream)
            {
                Assert.True(reset.Add(frame.Stream));
            }
        }

        await AssertServedAsync(port, term);
        using var reader = new GrpcClient(port.EndPoint);
        Assert.Equal("0", (await reader.CallAsync(Range, new RangeRequest { Key = s_large })).Status);
    }

    /// <summary>The bytes of a call that asks for a large value.</summary>
    private static async Task<byte[]> PutLargeAsync(OnePort port, int valueBytes)
    {
        using var client = new GrpcClient(port.EndPoint);
        Assert.Equal("0", (await client.CallAsync("/etcdserverpb.KV/Put", new PutRequest { Key = s_large, Value = ByteString.CopyFrom(new byte[valueBytes]) })).Status);
        byte[] message = new RangeRequest { Key = s_large }.ToByteArray();
        return [0, 0, 0, 0, (byte)message.Length, .. message];
    }

    /// <summary>One connection, many requests, each in pieces that come as they come.</summary>
    private static async Task AskAgainAndAgainAsync(OnePort port, Random random, int requests)
    {
        (string Path, string Body, string Status)[] kinds =
        [
            ("/v3/kv/put", """{"key":"Zm9v","value":"YmFy"}""", "200"), ("/v3/kv/range", """{"key":"Zm9v"}""", "200"), ("/v3/kv/range", "{}", "400"), ("/v3/kv/range", "{\"key\":", "400"),
            ("/v3/nowhere", "{}", "404"), ("/v3/lease/timetolive", """{"ID":"5"}""", "200"),
        ];
        await using NetworkStream stream = await port.ConnectAsync();
        for (int i = 0; i < requests; i++)
        {
            (string path, string body, string status) = kinds[random.Next(kinds.Length)];
            byte[] request = Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            for (int at = 0; at < request.Length;)
            {
                int length = Math.Min(random.Next(4) == 0 ? 1 + random.Next(60) : request.Length, request.Length - at);
                await stream.WriteAsync(request.AsMemory(at, length));
                at += length;
            }

            string answer = await ReadAnswerAsync(stream);
            Assert.True(answer.StartsWith($"HTTP/1.1 {status} ", StringComparison.Ordinal), $"request {i}, {path} {body}: {answer}");
        }
    }

    /// <summary>An answer whose length is told.</summary>
    private static async Task<string> ReadAnswerAsync(NetworkStream stream)
    {
        var answer = new StringBuilder();
        var piece = new byte[4096];
        while (true)
        {
            int read = await stream.ReadAsync(piece).AsTask().WaitAsync(Support.Patience);
            Assert.True(read > 0, $"the connection was dropped in the middle of \"{answer}\"");
            answer.Append(Encoding.Latin1.GetString(piece, 0, read));
            string text = answer.ToString();
            int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            const string name = "\r\nContent-Length: ";
            int at = text.IndexOf(name, StringComparison.Ordinal);
            if (end >= 0 && at >= 0)
            {
                int length = int.Parse(text.AsSpan((at + name.Length)..text.IndexOf("\r\n", at + 2, StringComparison.Ordinal)));
                if (text.Length == end + 4 + length)
                {
                    return text;
                }
            }
        }
    }

    /// <summary>A byte at a time, for as long as it is taken.</summary>
    private static async Task TrickleAsync(NetworkStream stream)
    {
        try
        {
            while (true)
            {
                await stream.WriteAsync("x"u8.ToArray());
                await Task.Delay(20);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The other side has closed.
        }
    }

    private static async Task<string> ReadToEndAsync(StreamReader reader)
    {
        var text = new StringBuilder();
        try
        {
            var piece = new char[1024];
            for (int read = await reader.ReadAsync(piece.AsMemory()).AsTask().WaitAsync(Support.Patience); read > 0; read = await reader.ReadAsync(piece.AsMemory()).AsTask().WaitAsync(Support.Patience))
            {
                text.Append(piece, 0, read);
            }
        }
        catch (IOException)
        {
            // A reset ends it as well.
        }

        return text.ToString();
    }

    /// <summary>Others write and read, over connections of their own, and the node leads in the same term.</summary>
    private static async Task AssertServedAsync(OnePort port, ulong term)
    {
        using var client = new GrpcClient(port.EndPoint);
        ByteString key = ByteString.CopyFromUtf8("other");
        Assert.Equal("0", (await client.CallAsync("/etcdserverpb.KV/Put", new PutRequest { Key = key })).Status);
        Assert.Equal("0", (await client.CallAsync(Range, new RangeRequest { Key = key })).Status);
        Assert.Equal(term, port.Term);
    }
}
