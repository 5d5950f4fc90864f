using MetaStore.Engine.Hosting;
using MetaStore.Raft;

namespace MetaStore.Engine;

/// <summary>The traffic with one peer in numbers, since this member began to know it. They go on across connections, and never back.</summary>
public sealed record PeerFigures
{
    /// <summary>The peer.</summary>
    public required NodeId Peer { get; init; }

    /// <summary>Whether a connection to it stands.</summary>
    public bool IsConnected { get; init; }

    /// <summary>Bytes handed to the network for it.</summary>
    public long BytesSent { get; init; }

    /// <summary>Bytes that came from it.</summary>
    public long BytesReceived { get; init; }

    /// <summary>Messages to it that were dropped: it could not be reached, or did not take them fast enough.</summary>
    public long MessagesDropped { get; init; }

    /// <summary>Connections to it that broke.</summary>
    public long Disconnects { get; init; }

    /// <summary>Round trips to it, as the operating system knows them, one for each time that these figures were asked for. Empty where it does not tell.</summary>
    public required DurationHistogram RoundTrips { get; init; }
}
