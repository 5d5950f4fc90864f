using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Raft;

namespace MetaStore.Net.Peers;

/// <summary>Counts what goes to and comes from one peer, whichever connection it takes. Any thread.</summary>
internal sealed class PeerTraffic(NodeId peer)
{
    private readonly DurationHistogram _roundTrips = DurationHistogram.OfNetwork();
    private long _bytesSent;
    private long _bytesReceived;
    private long _dropped;
    private long _disconnects;

    /// <summary>Messages dropped so far.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    public void CountSent(long bytes) => Interlocked.Add(ref _bytesSent, bytes);

    public void CountReceived(long bytes) => Interlocked.Add(ref _bytesReceived, bytes);

    public void CountDropped(long messages) => Interlocked.Add(ref _dropped, messages);

    public void CountDisconnect() => Interlocked.Increment(ref _disconnects);

    /// <summary>What was counted so far.</summary>
    /// <param name="isConnected">Whether a connection stands.</param>
    /// <param name="roundTrip">How long a round trip on it takes now; null where that is not known.</param>
    public PeerFigures Measure(bool isConnected, TimeSpan? roundTrip)
    {
        if (roundTrip is { } time)
        {
            _roundTrips.Add(time);
        }

        return new PeerFigures
        {
            Peer = peer,
            IsConnected = isConnected,
            BytesSent = Interlocked.Read(ref _bytesSent),
            BytesReceived = Interlocked.Read(ref _bytesReceived),
            MessagesDropped = Dropped,
            Disconnects = Interlocked.Read(ref _disconnects),
            RoundTrips = _roundTrips,
        };
    }
}
