using System.Net;
using MetaStore.Net.Wire;

namespace MetaStore.Net;

/// <summary>Settings of a <see cref="BinaryServer"/>. The defaults suit a node that serves a few thousand connections.</summary>
public sealed record BinaryServerOptions
{
    /// <summary>Where to listen; port 0 takes a free one. Null: do not listen, only serve the sockets that are handed over.</summary>
    public IPEndPoint? Endpoint { get; init; } = new(IPAddress.Loopback, 2379);

    /// <summary>Connections at a time; those beyond are refused. 1 or more.</summary>
    public int ConnectionsMax { get; init; } = 10_000;

    /// <summary>Bytes of one request, all its fields together; larger ones are answered with an error. 1 KiB to <see cref="FrameBytesMax"/>.</summary>
    public int RequestBytesMax { get; init; } = 1536 << 10;

    /// <summary>Bytes of one frame body in either direction. 16 KiB to 1 GiB.</summary>
    public int FrameBytesMax { get; init; } = 16 << 20;

    /// <summary>
    /// Operations of one transaction, inner ones included, that are decoded at all (of each level the longest list counts). The store
    /// has its own, lower limit; this one bounds the work done before it is asked. 1 or more.
    /// </summary>
    public int OperationsMax { get; init; } = 4096;

    /// <summary>Requests under way per connection; while there are so many, the connection is not read. 1 or more.</summary>
    public int RequestsInFlightMax { get; init; } = 1024;

    /// <summary>Bytes of requests under way per connection; as above. 1 KiB or more.</summary>
    public long RequestBytesInFlightMax { get; init; } = 16 << 20;

    /// <summary>Watches per connection; those beyond are refused as Busy. 1 or more.</summary>
    public int WatchesMax { get; init; } = 10_000;

    /// <summary>Bytes of what watches have to say that wait for the socket of a connection, all its watches together, at most. 1 KiB or more.</summary>
    public long WatchBytesUnsentMax { get; init; } = 4 << 20;

    /// <summary>How long a new connection may take over its handshake. More than 0.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The longest a request may be under way, whatever its own deadline says, and the deadline of those without. 100 ms to 10 minutes.
    /// </summary>
    public TimeSpan RequestTimeoutMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>When draining: how long a client may take nothing of its answers, and how long it may take to close after the last. 0 or more.</summary>
    public TimeSpan DrainLinger { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Bytes asked of the socket at once. 1 KiB to 1 MiB; each connection holds one such buffer.</summary>
    public int ReceiveBufferBytes { get; init; } = 16 << 10;

    /// <summary>Bytes gathered before they are handed to the socket, if there is more to write. 1 KiB to 1 MiB; held only while writing.</summary>
    public int SendBufferBytes { get; init; } = 64 << 10;

    /// <summary>The clock of deadlines.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        OptionCheck.AtLeast(ConnectionsMax, 1, nameof(ConnectionsMax));
        OptionCheck.Between(FrameBytesMax, (int)Handshake.BodyBytesMaxMin, 1 << 30, nameof(FrameBytesMax));
        OptionCheck.Between(RequestBytesMax, 1 << 10, FrameBytesMax, nameof(RequestBytesMax));
        OptionCheck.AtLeast(OperationsMax, 1, nameof(OperationsMax));
        OptionCheck.AtLeast(RequestsInFlightMax, 1, nameof(RequestsInFlightMax));
        OptionCheck.AtLeast(RequestBytesInFlightMax, 1 << 10, nameof(RequestBytesInFlightMax));
        OptionCheck.AtLeast(WatchesMax, 1, nameof(WatchesMax));
        OptionCheck.AtLeast(WatchBytesUnsentMax, 1 << 10, nameof(WatchBytesUnsentMax));
        OptionCheck.Between(HandshakeTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), nameof(HandshakeTimeout));
        OptionCheck.Between(RequestTimeoutMax, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(10), nameof(RequestTimeoutMax));
        OptionCheck.Between(DrainLinger, TimeSpan.Zero, TimeSpan.FromHours(1), nameof(DrainLinger));
        OptionCheck.Between(ReceiveBufferBytes, 1 << 10, 1 << 20, nameof(ReceiveBufferBytes));
        OptionCheck.Between(SendBufferBytes, 1 << 10, 1 << 20, nameof(SendBufferBytes));
        ArgumentNullException.ThrowIfNull(TimeProvider);
    }
}
