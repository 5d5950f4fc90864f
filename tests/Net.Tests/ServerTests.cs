using System.Buffers.Binary;
using System.Diagnostics;
using MetaStore.Engine;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>The server against a client of bare bytes: refusals, limits, back-pressure, draining.</summary>
public sealed class ServerTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("\u0016\u0003\u0001")]
    public async Task OtherProtocolsAreToldThatTheyAreWrong(string firstBytes)
    {
        await using ServedNode served = await ServedNode.StartAsync();
        using RawConnection raw = await RawConnection.OpenAsync(served.EndPoint);
        Welcome welcome = await raw.ShakeHandsAsync(Bytes(firstBytes));
        Assert.Equal(HandshakeResult.WrongMagic, welcome.Result);
        Assert.Contains("8d4d5345", welcome.Text, StringComparison.Ordinal);
        Assert.False(BinaryServer.IsBinaryProtocol(Bytes(firstBytes)));
        await raw.AssertClosedAsync();
    }

    [Theory]
    [InlineData(HandshakeResult.VersionUnsupported, "versions 2 to 9")]
    [InlineData(HandshakeResult.ClusterMismatch, "00000000000000c1")]
    [InlineData(HandshakeResult.NodeMismatch, "node 63")]
    [InlineData(HandshakeResult.RoleNotServed, "peers have an endpoint of their own")]
    [InlineData(HandshakeResult.Malformed, "bodies of 9 bytes")]
    internal async Task WrongHandshakesAreRefusedWithTheReason(HandshakeResult expected, string text)
    {
        Hello hello = expected switch
        {
            HandshakeResult.VersionUnsupported => RawConnection.ClientHello with { VersionMin = 2, VersionMax = 9 },
            HandshakeResult.ClusterMismatch => RawConnection.ClientHello with { ClusterId = 0xdead },
            HandshakeResult.NodeMismatch => RawConnection.ClientHello with { ExpectedNodeId = new NodeId(99) },
            HandshakeResult.RoleNotServed => RawConnection.ClientHello with { Role = ConnectionRole.Peer },
            _ => RawConnection.ClientHello with { BodyBytesMax = 9 },
        };
        await using ServedNode served = await ServedNode.StartAsync();
        using RawConnection raw = await RawConnection.OpenAsync(served.EndPoint);
        Welcome welcome = await raw.ShakeHandsAsync(hello);
        Assert.Equal(expected, welcome.Result);
        Assert.Contains(text, welcome.Text, StringComparison.Ordinal);
        await raw.AssertClosedAsync();
        Assert.Equal(0, served.Server.ConnectionCount);
    }

    [Fact]
    public async Task ADamagedHandshakeIsRefused()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        var bytes = new byte[Hello.Size];
        RawConnection.ClientHello.Write(bytes);
        bytes[30] ^= 1;
        using RawConnection damaged = await RawConnection.OpenAsync(served.EndPoint);
        Assert.Equal(HandshakeResult.Malformed, (await damaged.ShakeHandsAsync(bytes)).Result);
    }

    [Fact]
    public async Task ASilentHandshakeTimesOut()
    {
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { HandshakeTimeout = TimeSpan.FromMilliseconds(100) });
        using RawConnection silent = await RawConnection.OpenAsync(served.EndPoint);
        await silent.AssertClosedAsync();
    }

    [Fact]
    public async Task ConnectionsBeyondTheLimitAreRefused()
    {
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { ConnectionsMax = 1 });
        using (RawConnection first = await RawConnection.OpenClientAsync(served.EndPoint))
        {
            using RawConnection second = await RawConnection.OpenAsync(served.EndPoint);
            Assert.Equal(HandshakeResult.TooManyConnections, (await second.ShakeHandsAsync(RawConnection.ClientHello)).Result);
        }

        await Until(() => served.Server.ConnectionCount == 0, "the first connection is gone");
        using RawConnection third = await RawConnection.OpenClientAsync(served.EndPoint);
    }

    [Fact]
    public async Task MalformedRequestsAreAnsweredAndTheConnectionLivesOn()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        byte[] frame = new byte[FrameHeader.Size + 9];
        FrameHeader.Seal(frame, 3, FrameKind.Put);
        await raw.SendAsync(frame);
        await AssertError(raw, 3, MetaStoreError.Protocol, "put.lease");
        FrameHeader.Seal(frame, 4, (FrameKind)0x3f);
        await raw.SendAsync(frame);
        await AssertError(raw, 4, MetaStoreError.Protocol, "0x3f");
        await raw.SendAsync(CodecTests.Frame(FrameKind.Ping, null));
        Assert.Equal(FrameKind.PingAnswer, (await raw.ReceiveFrameAsync()).Header.Kind);
        Assert.Equal(0, served.Node.Calls);
    }

    [Fact]
    public async Task ADamagedFrameEndsTheConnectionWithTheReason()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        byte[] frame = CodecTests.Frame(FrameKind.Put, Put("k"));
        frame[^1] ^= 1;
        await raw.SendAsync(frame);
        await AssertError(raw, 0, MetaStoreError.Protocol, "damaged");
        await raw.AssertClosedAsync();
        Assert.Equal(0, served.Node.Calls);
    }

    [Fact]
    public async Task ARequestWithoutACorrelationEndsTheConnectionWithTheReason()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k"), correlation: 0));
        await AssertError(raw, 0, MetaStoreError.Protocol, "correlation 0");
        await raw.AssertClosedAsync();
        Assert.Equal(0, served.Node.Calls);
    }

    [Fact]
    public async Task OversizeRequestsAreRefusedAndOversizeFramesEndTheConnection()
    {
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { RequestBytesMax = 2000, FrameBytesMax = 100_000 });
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k", new string('x', 50_000))));
        await AssertError(raw, 5, MetaStoreError.RequestTooLarge, "2000");
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k")));
        Assert.Equal(FrameKind.PutAnswer, (await raw.ReceiveFrameAsync()).Header.Kind);

        var header = new byte[FrameHeader.Size]; // announces 2 GB; refused before any of it comes
        FrameHeader.Seal(header, 6, FrameKind.Put);
        BinaryPrimitives.WriteUInt32LittleEndian(header, 2_000_000_000);
        await raw.SendAsync(header);
        await AssertError(raw, 0, MetaStoreError.RequestTooLarge, "2000000000");
        await raw.AssertClosedAsync();
    }

    [Fact]
    public async Task AnAnswerThatDoesNotFitIsAnError()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = MetaStoreClient.Connect(new MetaStoreClientOptions { Endpoints = [served.Address], FrameBytesMax = 20_000 });
        await client.PutAsync(Put("k", new string('x', 30_000)));
        var error = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.RangeAsync(Get("k")));
        Assert.Equal(MetaStoreError.ResponseTooLarge, error.Error);
        await client.PingAsync();
    }

    [Fact]
    public async Task ASlowReaderStallsOnlyItsOwnConnection()
    {
        const int Max = 64;
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { RequestsInFlightMax = Max });
        await using MetaStoreClient other = served.Connect();
        await other.PutAsync(Put("big", new string('x', 500_000)));
        using RawConnection slow = await RawConnection.OpenClientAsync(served.EndPoint, receiveBufferBytes: 4096);
        int before = served.Node.Calls;

        // 2,000 answers of half a megabyte: a gigabyte, were the server to hold them all.
        Task sending = SendMany(slow, CodecTests.Frame(FrameKind.Range, Get("big")), 2000);
        await Until(() => served.Node.Calls > before, "the slow connection is being served");
        int seen = 0;
        for (int calm = 0; calm < 50;)
        {
            await other.PingAsync().AsTask().WaitAsync(Patience); // the others are served all the while
            int now = served.Node.Calls - before;
            calm = now == seen ? calm + 1 : 0;
            seen = now;
        }

        Assert.InRange(served.Server.RequestsInFlight, 1, Max);
        Assert.InRange(seen, 1, 3 * Max); // the gate, and what fits the socket's buffers
        slow.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => sending);
    }

    [Fact]
    public async Task NoMoreRequestsAreTakenThanMayBeUnderWay()
    {
        const int Max = 16, Count = 100;
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { RequestsInFlightMax = Max });
        await using MetaStoreClient other = served.Connect();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        served.Node.Intercept = (_, _) => held.Task;
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        for (ulong i = 1; i <= Count; i++)
        {
            await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k"), correlation: i));
        }

        await Until(() => served.Node.Calls >= Max, "as many requests as may be are under way");
        for (int i = 0; i < 50; i++)
        {
            await other.PingAsync();
        }

        Assert.Equal(Max, served.Node.Calls);
        held.SetResult();
        var answered = new HashSet<ulong>();
        for (int i = 0; i < Count; i++)
        {
            answered.Add((await raw.ReceiveFrameAsync()).Header.Correlation);
        }

        Assert.Equal(Count, answered.Count);
    }

    [Fact]
    public async Task DrainingAnswersWhatIsUnderWayAndRefusesTheRest()
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ServedNode served = await ServedNode.StartAsync();
        served.Node.Intercept = (_, _) => held.Task;
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k"), correlation: 1));
        await Until(() => served.Node.Calls == 1, "the put is under way");

        Task draining = served.Server.DrainAsync();
        Assert.Equal(FrameKind.Goodbye, (await raw.ReceiveFrameAsync()).Header.Kind);
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k"), correlation: 2));
        await AssertError(raw, 2, MetaStoreError.Stopped, "stopping");
        Assert.False(draining.IsCompleted);
        held.SetResult();
        FrameHeader answer = (await raw.ReceiveFrameAsync()).Header;
        Assert.Equal((FrameKind.PutAnswer, 1UL), (answer.Kind, answer.Correlation));
        raw.Dispose();
        await draining.WaitAsync(Patience);
        Assert.Equal(1, served.Node.Calls);
    }

    [Fact]
    public async Task AClientThatTakesNoAnswersDoesNotHoldTheDrain()
    {
        await using ServedNode served = await ServedNode.StartAsync(options: ServedNode.Options with { DrainLinger = TimeSpan.FromMilliseconds(50) });
        await using (MetaStoreClient other = served.Connect())
        {
            await other.PutAsync(Put("big", new string('x', 500_000)));
        }

        using RawConnection deaf = await RawConnection.OpenClientAsync(served.EndPoint, receiveBufferBytes: 4096);
        for (ulong i = 1; i <= 64; i++)
        {
            await deaf.SendAsync(CodecTests.Frame(FrameKind.Range, Get("big"), correlation: i)); // 32 MB of answers: more than sockets hold
        }

        await Until(() => served.Server.RequestsInFlight > 0, "answers wait for the client");
        await served.Server.DrainAsync().WaitAsync(Patience);
        Assert.Equal(0, served.Server.ConnectionCount);
    }

    [Fact]
    public async Task DrainingCutShortClosesAtOnce()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        served.Node.Intercept = (_, _) => held.Task;
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        await raw.SendAsync(CodecTests.Frame(FrameKind.Put, Put("k")));
        await Until(() => served.Node.Calls == 1, "the put is under way");
        using var cut = new CancellationTokenSource();
        Task draining = served.Server.DrainAsync(cut.Token);
        await cut.CancelAsync();
        await draining.WaitAsync(Patience);
        held.SetResult();
        await Until(() => served.Server.OutstandingHandles == 0, "the handle is back");
    }

    [Fact]
    public async Task TheDeadlineOfARequestReachesTheStore()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        served.Node.Intercept = (_, token) => Task.Delay(Timeout.Infinite, token);
        using RawConnection raw = await RawConnection.OpenClientAsync(served.EndPoint);
        long start = Stopwatch.GetTimestamp();
        byte[] frame = CodecTests.Frame(FrameKind.Put, Put("k"), correlation: 1);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(FrameHeader.Size), 150);
        FrameHeader.Seal(frame, 1, FrameKind.Put);
        await raw.SendAsync(frame);
        MetaStoreException error = await AssertError(raw, 1, MetaStoreError.Timeout, "deadline");
        Assert.Equal(Outcome.Unknown, error.Outcome);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalMilliseconds, 150, Patience.TotalMilliseconds);
        Assert.Equal(0, served.Server.OutstandingHandles);
    }

    [Fact]
    public async Task WhatTheStoreThrowsIsTold()
    {
        await using ServedNode served = await ServedNode.StartAsync();
        await using MetaStoreClient client = served.Connect();
        served.Node.Intercept = (_, _) => throw new MetaStoreException(MetaStoreError.LeaseNotFound, "lease 7 is not there");
        var thrown = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PutAsync(Put("k")));
        Assert.Equal((MetaStoreError.LeaseNotFound, Outcome.NotApplied, "lease 7 is not there"), (thrown.Error, thrown.Outcome, thrown.Message));
        served.Node.Intercept = (_, _) => Task.FromException(new ArithmeticException("secret"));
        thrown = await Assert.ThrowsAsync<MetaStoreException>(async () => await client.PutAsync(Put("k")));
        Assert.Equal((MetaStoreError.NodeFailed, Outcome.Unknown), (thrown.Error, thrown.Outcome));
        Assert.DoesNotContain("secret", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WrongSettingsAreNamed()
    {
        var error = Assert.Throws<ArgumentException>(() => (ServedNode.Options with { RequestBytesMax = 20 << 20 }).Validate());
        Assert.Contains("RequestBytesMax is 20971520; it must lie between 1024 and 16777216", error.Message, StringComparison.Ordinal);
        Assert.Contains("\"host:7379\"", Assert.Throws<ArgumentException>(() => new MetaStoreClientOptions { Endpoints = ["nonsense"] }.Validate()).Message, StringComparison.Ordinal);
    }

    private static async Task SendMany(RawConnection connection, byte[] frame, int count)
    {
        for (int i = 0; i < count; i++)
        {
            await connection.SendAsync(frame);
        }

        await connection.AssertClosedAsync();
        throw new IOException("closed");
    }

    private static async Task<MetaStoreException> AssertError(RawConnection raw, ulong correlation, MetaStoreError error, string text)
    {
        (FrameHeader header, byte[] body) = await raw.ReceiveFrameAsync();
        Assert.Equal((FrameKind.Error, correlation), (header.Kind, header.Correlation));
        MetaStoreException exception = NoticeCodec.ReadError(body);
        Assert.Equal(error, exception.Error);
        Assert.Contains(text, exception.Message, StringComparison.Ordinal);
        return exception;
    }
}
