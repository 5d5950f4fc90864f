using System.Net;
using MetaStore.Net.Wire;
using MetaStore.Raft;

namespace MetaStore.Net;

/// <summary>Settings of a <see cref="PeerTransport"/>.</summary>
public sealed record PeerTransportOptions
{
    /// <summary>The cluster; not 0. Peers of another are refused.</summary>
    public required ulong ClusterId { get; init; }

    /// <summary>This node; not 0.</summary>
    public required NodeId NodeId { get; init; }

    /// <summary>Where peers connect; port 0 takes a free one.</summary>
    public required IPEndPoint Endpoint { get; init; }

    /// <summary>
    /// The other members and where they are (<see cref="DnsEndPoint"/> or <see cref="IPEndPoint"/>), until the node says who they are. This node
    /// itself may be among them; it is left out.
    /// </summary>
    public IReadOnlyDictionary<NodeId, EndPoint> Peers { get; init; } = new Dictionary<NodeId, EndPoint>();

    /// <summary>Messages that wait for one peer; beyond it they are dropped. 1 or more.</summary>
    public int QueueMessagesMax { get; init; } = 4096;

    /// <summary>Bytes that wait for one peer; as above. One message always fits. 1 KiB or more.</summary>
    public long QueueBytesMax { get; init; } = 64 << 20;

    /// <summary>Bytes of one message; longer ones are dropped with an error in the log. 16 KiB to 1 GiB, the same on all members.</summary>
    public int FrameBytesMax { get; init; } = 64 << 20;

    /// <summary>How long connecting and shaking hands may take. 1 ms to 1 hour.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long sent bytes may stay unacknowledged by the peer's machine before the connection is replaced. Without it, TCP may take
    /// minutes after a healed partition to try again. 100 ms to 1 hour.
    /// </summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Pause before connecting again; doubles with each failure. More than 0.</summary>
    public TimeSpan BackoffMin { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>The longest such pause. At least <see cref="BackoffMin"/>.</summary>
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Inbound connections at a time, strangers included; those beyond are closed unheard. 1 or more.</summary>
    public int InboundConnectionsMax { get; init; } = 256;

    /// <summary>Bytes asked of a socket at once. 1 KiB to 1 MiB.</summary>
    public int ReceiveBufferBytes { get; init; } = 64 << 10;

    /// <summary>Bytes gathered before they are handed to a socket, if there is more to write. 1 KiB to 1 MiB.</summary>
    public int SendBufferBytes { get; init; } = 256 << 10;

    /// <summary>Seed of the pauses' jitter; null draws one.</summary>
    public int? JitterSeed { get; init; }

    /// <summary>The clock of timeouts and pauses.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        if (ClusterId == 0)
        {
            throw new ArgumentException("ClusterId must not be 0: peers must know their cluster.");
        }

        if (NodeId.IsNone)
        {
            throw new ArgumentException("NodeId must not be 0: 0 stands for nobody.");
        }

        ArgumentNullException.ThrowIfNull(Endpoint);
        ArgumentNullException.ThrowIfNull(Peers);
        OptionCheck.AtLeast(QueueMessagesMax, 1, nameof(QueueMessagesMax));
        OptionCheck.AtLeast(QueueBytesMax, 1 << 10, nameof(QueueBytesMax));
        OptionCheck.Between(FrameBytesMax, (int)Handshake.BodyBytesMaxMin, 1 << 30, nameof(FrameBytesMax));
        OptionCheck.Between(ConnectTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), nameof(ConnectTimeout));
        OptionCheck.Between(StallTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1), nameof(StallTimeout));
        OptionCheck.Between(BackoffMin, TimeSpan.FromTicks(1), TimeSpan.FromHours(1), nameof(BackoffMin));
        OptionCheck.Between(BackoffMax, BackoffMin, TimeSpan.FromHours(1), nameof(BackoffMax));
        OptionCheck.AtLeast(InboundConnectionsMax, 1, nameof(InboundConnectionsMax));
        OptionCheck.Between(ReceiveBufferBytes, 1 << 10, 1 << 20, nameof(ReceiveBufferBytes));
        OptionCheck.Between(SendBufferBytes, 1 << 10, 1 << 20, nameof(SendBufferBytes));
        ArgumentNullException.ThrowIfNull(TimeProvider);
    }
}
