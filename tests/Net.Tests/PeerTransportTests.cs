using System.Collections.Concurrent;
using System.Net;
using MetaStore.Engine;
using MetaStore.Net.Peers;
using MetaStore.Net.Wire;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;
using static MetaStore.Net.Tests.Support;

namespace MetaStore.Net.Tests;

/// <summary>Peer transports against one another, over loopback.</summary>
public sealed class PeerTransportTests
{
    private const ulong Cluster = 0xabc;
    private static readonly NodeId One = new(1), Two = new(2);

    [Fact]
    public async Task MessagesArriveInOrderInBothDirections()
    {
        const int Count = 2000;
        var (first, second) = (new Sink(), new Sink());
        await using PeerTransport one = Make(One, port: 0, Two, peerPort: FreePort(out int twoPort));
        one.Start(first);
        await using PeerTransport two = Make(Two, twoPort, One, ((IPEndPoint)one.LocalEndPoint).Port);
        two.Start(second);
        await Until(() => one.ConnectedPeers.Count == 1 && two.ConnectedPeers.Count == 1, "both are connected");

        for (int i = 1; i <= Count; i++)
        {
            one.Send(new GroupId(7), Append(One, Two, (ulong)i));
            two.Send(new GroupId(8), Append(Two, One, (ulong)i));
        }

        await Until(() => first.Received.Count == Count && second.Received.Count == Count, "all messages have arrived");
        Assert.Equal(Enumerable.Range(1, Count).Select(i => (ulong)i), second.Received.Select(received => received.Message.Index.Value));
        Assert.All(second.Received, received => Assert.Equal((new GroupId(7), 64), (received.Group, received.Message.Entries[0].Data.Length)));
        Assert.Equal(0, one.DroppedMessages);
    }

    [Fact]
    public async Task TheTrafficIsCountedAtBothEndsAndAcrossConnections()
    {
        var (first, second) = (new Sink(), new Sink());
        await using PeerTransport one = Make(One, port: 0, Two, FreePort(out int twoPort));
        one.Start(first);
        int onePort = ((IPEndPoint)one.LocalEndPoint).Port;
        Message message = Append(One, Two, 1);
        long bytes = FrameHeader.Size + PeerFrame.Of(new GroupId(1), message).BodyLength;
        for (int life = 1; life <= 2; life++)
        {
            await using PeerTransport two = Make(Two, twoPort, One, onePort);
            two.Start(second);
            await Until(() => one.ConnectedPeers.Count == 1, "they are connected");
            one.Send(new GroupId(1), message);
            await Until(() => second.Received.Count == life, "the message has arrived");

            // Counted when the socket has taken it, which the peer may hear of first.
            await Until(() => Assert.Single(one.MeasurePeers()).BytesSent == life * bytes, "the sender has counted it");
            Assert.Equal((One, bytes, 0L), Of(two, figures => (figures.Peer, figures.BytesReceived, figures.BytesSent)));
            Assert.Equal((Two, true, 0L), Of(one, figures => (figures.Peer, figures.IsConnected, figures.BytesReceived)));
            long measured = Of(one, figures => figures.RoundTrips.Counts.Sum());
            Assert.Equal(OperatingSystem.IsLinux() ? measured + 1 : 0, Of(one, figures => figures.RoundTrips.Counts.Sum()));
            await two.DisposeAsync();
            await Until(() => Of(one, figures => figures.Disconnects) == life, "the loss is counted");
            Assert.False(Of(one, figures => figures.IsConnected));
        }

        static T Of<T>(PeerTransport transport, Func<PeerFigures, T> figure) => figure(Assert.Single(transport.MeasurePeers()));
    }

    [Fact]
    public async Task ReconnectsAfterThePeerRestartsAndReportsItMeanwhile()
    {
        var (first, second) = (new Sink(), new Sink());
        await using PeerTransport one = Make(One, port: 0, Two, FreePort(out int twoPort));
        one.Start(first);
        int onePort = ((IPEndPoint)one.LocalEndPoint).Port;
        await Until(() => first.Unreachable.Contains(Two), "a peer that is not there is reported");
        for (ulong life = 1; life <= 3; life++)
        {
            await using PeerTransport two = Make(Two, twoPort, One, onePort);
            two.Start(second);
            await Until(() => one.ConnectedPeers.Count == 1, "the peer is found again");
            one.Send(new GroupId(1), Append(One, Two, life));
            await Until(() => second.Received.Any(received => received.Message.Index.Value == life), "a message reaches the new life of the peer");
            await two.DisposeAsync();
            await Until(() => one.ConnectedPeers.Count == 0, "the loss shows without anything being sent");
        }

        Assert.True(first.Unreachable.Count >= 4);
    }

    [Fact]
    public async Task AFullQueueDropsWithoutBlockingAndReports()
    {
        const int Max = 50;
        var sink = new Sink();
        using var deaf = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen();
        await using var one = new PeerTransport(Options(One, 0, Two, ((IPEndPoint)deaf.LocalEndPoint!).Port) with { QueueMessagesMax = Max });
        one.Start(sink);

        // A peer that welcomes us and then never reads.
        using System.Net.Sockets.Socket accepted = await deaf.AcceptAsync().WaitAsync(Patience);
        var welcome = new Welcome(HandshakeResult.Accepted, 1, 0, Cluster, Two, NodeId.None, 1 << 20, string.Empty);
        var bytes = new byte[welcome.Length];
        welcome.Write(bytes);
        await accepted.SendAsync(bytes);
        await Until(() => one.ConnectedPeers.Count == 1, "the handshake is over");
        Message large = Append(One, Two, 1) with { Entries = [new Entry(new Term(3), new LogIndex(2), EntryKind.Command, new byte[1 << 20])] };
        int sent = 0;
        while (one.DroppedMessages < 100)
        {
            Assert.True(sent++ < 100_000, "The queue never filled.");
            one.Send(new GroupId(1), large); // a blocking send would never come back
        }

        Assert.InRange(sent - 100, Max / 2, Max + 200);
        Assert.Contains(Two, sink.Unreachable);
    }

    [Fact]
    public async Task OversizeMessagesAreDroppedAndTheOthersPass()
    {
        var second = new Sink();
        await using var one = new PeerTransport(Options(One, 0, Two, FreePort(out int twoPort)) with { FrameBytesMax = 20_000 });
        one.Start(new Sink());
        await using PeerTransport two = Make(Two, twoPort, One, ((IPEndPoint)one.LocalEndPoint).Port);
        two.Start(second);
        await Until(() => one.ConnectedPeers.Count == 1, "they are connected");
        one.Send(new GroupId(1), Append(One, Two, 1) with { Chunk = new byte[30_000] });
        one.Send(new GroupId(1), Append(One, Two, 2));
        await Until(() => !second.Received.IsEmpty, "the small message has arrived");
        Assert.Equal(2ul, second.Received.Single().Message.Index.Value);
        Assert.Equal(1, one.DroppedMessages);
    }

    [Theory]
    [InlineData(HandshakeResult.ClusterMismatch)]
    [InlineData(HandshakeResult.NodeMismatch)]
    [InlineData(HandshakeResult.UnknownPeer)]
    [InlineData(HandshakeResult.RoleNotServed)]
    internal async Task StrangersAreRefusedAndTheLogSaysWhy(HandshakeResult expected)
    {
        var (sink, log) = (new Sink(), new ListLogger());
        await using var one = new PeerTransport(Options(One, 0, Two, FreePort(out _)), sink, log);
        await one.StartAsync();
        var good = new Hello(1, 1, ConnectionRole.Peer, 0, Cluster, Two, One, 1 << 20);
        Hello hello = expected switch
        {
            HandshakeResult.ClusterMismatch => good with { ClusterId = 0 },
            HandshakeResult.NodeMismatch => good with { ExpectedNodeId = new NodeId(3) },
            HandshakeResult.UnknownPeer => good with { NodeId = new NodeId(3) },
            _ => good with { Role = ConnectionRole.Client },
        };
        using (RawConnection stranger = await RawConnection.OpenAsync(one.LocalEndPoint))
        {
            Assert.Equal(expected, (await stranger.ShakeHandsAsync(hello)).Result);
            await stranger.AssertClosedAsync();
        }

        Assert.Contains(log.Lines, line => line.Contains(expected.ToString(), StringComparison.Ordinal));
        using RawConnection friend = await RawConnection.OpenAsync(one.LocalEndPoint);
        Assert.Equal(HandshakeResult.Accepted, (await friend.ShakeHandsAsync(good)).Result);
    }

    /// <summary>A member whose data directory was lost has forgotten its votes: under its old id it must not come back.</summary>
    [Theory]
    [InlineData(5, HandshakeResult.Accepted)]
    [InlineData(6, HandshakeResult.DirectoryReplaced)]
    internal async Task AMemberThatComesWithAnotherDirectoryIsRefused(ulong directoryId, HandshakeResult expected)
    {
        int peerPort = FreePort(out _);
        await using var one = new PeerTransport(Options(One, 0, Two, peerPort), new Sink(), new ListLogger());
        await one.StartAsync();
        one.SetMembers([new Member(Two.Value, "two", [$"http://127.0.0.1:{peerPort}"], [], DirectoryId: 5)], []);
        using RawConnection caller = await RawConnection.OpenAsync(one.LocalEndPoint);
        Hello hello = new(1, 1, ConnectionRole.Peer, 0, Cluster, Two, One, 1 << 20, directoryId);

        Assert.Equal(expected, (await caller.ShakeHandsAsync(hello)).Result);
    }

    /// <summary>Who answers at the peer's address may be someone else: another cluster, or another node of ours.</summary>
    [Theory]
    [InlineData(0xbadUL, 2UL, "cluster")]
    [InlineData(Cluster, 3UL, "node 3")]
    public async Task WrongAnswerersAreNotTalkedTo(ulong clusterId, ulong nodeId, string reason)
    {
        var (sink, log) = (new Sink(), new ListLogger());
        using var imposter = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        imposter.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        imposter.Listen();
        await using var one = new PeerTransport(Options(One, 0, Two, ((IPEndPoint)imposter.LocalEndPoint!).Port), sink, log);
        await one.StartAsync();
        using System.Net.Sockets.Socket accepted = await imposter.AcceptAsync().WaitAsync(Patience);
        var welcome = new Welcome(HandshakeResult.Accepted, 1, 0, clusterId, new NodeId(nodeId), NodeId.None, 1 << 20, string.Empty);
        var bytes = new byte[welcome.Length];
        welcome.Write(bytes);
        await accepted.SendAsync(bytes);
        await Until(() => log.Lines.Any(line => line.Contains(reason, StringComparison.Ordinal)), "the log says who answered");
        Assert.Empty(one.ConnectedPeers);
    }

    [Fact]
    public async Task AMessageInAnothersNameEndsTheConnection()
    {
        var sink = new Sink();
        await using var one = new PeerTransport(Options(One, 0, Two, FreePort(out _)), sink);
        await one.StartAsync();
        using RawConnection two = await RawConnection.OpenAsync(one.LocalEndPoint);
        Assert.Equal(HandshakeResult.Accepted, (await two.ShakeHandsAsync(new Hello(1, 1, ConnectionRole.Peer, 0, Cluster, Two, One, 1 << 20))).Result);
        await two.SendAsync(Written(Append(Two, One, 1)));
        await Until(() => sink.Received.Count == 1, "the honest message has arrived");
        await two.SendAsync(Written(Append(new NodeId(3), One, 2)));
        await two.AssertClosedAsync();
        Assert.Single(sink.Received);
    }

    [Fact]
    public async Task ThePeersCanChange()
    {
        var (first, second) = (new Sink(), new Sink());
        await using var one = new PeerTransport(Options(One, 0, Two, FreePort(out int twoPort)) with { Peers = new Dictionary<NodeId, EndPoint>() });
        one.Start(first);
        await using PeerTransport two = Make(Two, twoPort, One, ((IPEndPoint)one.LocalEndPoint).Port);
        two.Start(second);
        one.Send(new GroupId(1), Append(One, Two, 1)); // to nobody
        Assert.Empty(one.ConnectedPeers);
        one.SetPeers(new Dictionary<NodeId, EndPoint> { [Two] = two.LocalEndPoint, [One] = one.LocalEndPoint });
        await Until(() => one.ConnectedPeers.Count == 1 && two.ConnectedPeers.Count == 1, "the new peer is connected both ways");
        one.SetPeers(new Dictionary<NodeId, EndPoint>());
        Assert.Empty(one.ConnectedPeers);
        await Until(() => two.ConnectedPeers.Count == 0, "the former peer has been hung up on");
    }

    /// <summary>The moment between the handshake and the noting down is that in which the handshake's timer is let go.</summary>
    [Fact]
    public async Task APeerThatIsRemovedWhileItConnectsIsHungUpOn()
    {
        using var deaf = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(); // So that the way to the peer lets go of no timer meanwhile.
        var time = new HookedTime();
        int port = ((IPEndPoint)deaf.LocalEndPoint!).Port;
        await using var one = new PeerTransport(Options(One, 0, Two, port) with { TimeProvider = time, ConnectTimeout = TimeSpan.FromMinutes(1) }, new Sink());
        await one.StartAsync();
        time.TimerEnds = () => one.SetPeers(new Dictionary<NodeId, EndPoint>());
        using RawConnection two = await RawConnection.OpenAsync(one.LocalEndPoint);
        Assert.Equal(HandshakeResult.Accepted, (await two.ShakeHandsAsync(new Hello(1, 1, ConnectionRole.Peer, 0, Cluster, Two, One, 1 << 20))).Result);
        await two.AssertClosedAsync();
    }

    internal static int FreePort(out int port)
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        return port;
    }

    private static Message Append(NodeId from, NodeId to, ulong index) => new()
    {
        Kind = MessageKind.Append,
        From = from,
        To = to,
        Term = new Term(3),
        Index = new LogIndex(index),
        Entries = [new Entry(new Term(3), new LogIndex(index + 1), EntryKind.Command, new byte[64])],
    };

    private static byte[] Written(Message message)
    {
        var pipe = new System.IO.Pipelines.Pipe();
        PeerFrame.Of(new GroupId(1), message).Write(pipe.Writer);
        pipe.Writer.Complete();
        Assert.True(pipe.Reader.TryRead(out System.IO.Pipelines.ReadResult result));
        return System.Buffers.BuffersExtensions.ToArray(result.Buffer);
    }

    private static PeerTransport Make(NodeId self, int port, NodeId peer, int peerPort) => new(Options(self, port, peer, peerPort));

    private static PeerTransportOptions Options(NodeId self, int port, NodeId peer, int peerPort) => new()
    {
        ClusterId = Cluster,
        NodeId = self,
        Endpoint = new IPEndPoint(IPAddress.Loopback, port),
        Peers = new Dictionary<NodeId, EndPoint> { [peer] = new IPEndPoint(IPAddress.Loopback, peerPort) },
        BackoffMax = TimeSpan.FromMilliseconds(50),
        JitterSeed = 1,
    };

    private sealed class HookedTime : TimeProvider
    {
        private Action? _timerEnds;

        /// <summary>What happens when a timer is let go, once.</summary>
        public Action TimerEnds
        {
            set => _timerEnds = value;
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new Timer(System.CreateTimer(callback, state, dueTime, period), this);

        private sealed class Timer(ITimer inner, HookedTime owner) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => inner.Change(dueTime, period);

            public void Dispose()
            {
                Interlocked.Exchange(ref owner._timerEnds, null)?.Invoke();
                inner.Dispose();
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }

    private sealed class ListLogger : ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Warning)
            {
                Lines.Enqueue(formatter(state, exception));
            }
        }
    }

    private sealed class Sink : IPeerMessageSink
    {
        public ConcurrentQueue<(GroupId Group, Message Message)> Received { get; } = [];

        public ConcurrentQueue<NodeId> Unreachable { get; } = [];

        public void Receive(GroupId group, Message message) => Received.Enqueue((group, message));

        public ConcurrentQueue<string> Refusals { get; } = [];

        public ulong DirectoryId { get; init; }

        public void ReportUnreachable(NodeId peer) => Unreachable.Enqueue(peer);

        public void ReportRefused(NodeId peer, MemberRefusal refusal, string reason) => Refusals.Enqueue(reason);
    }
}
