using System.Collections.Concurrent;
using System.Net;
using MetaStore.Engine;
using MetaStore.Raft;
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

    private sealed class Sink : IPeerMessageSink
    {
        public ConcurrentQueue<(GroupId Group, Message Message)> Received { get; } = [];

        public ConcurrentQueue<NodeId> Unreachable { get; } = [];

        public void Receive(GroupId group, Message message) => Received.Enqueue((group, message));

        public void ReportUnreachable(NodeId peer) => Unreachable.Enqueue(peer);
    }
}
