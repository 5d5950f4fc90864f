using MetaStore.Net.Wire;

namespace MetaStore.Net;

/// <summary>Settings of a <see cref="MetaStoreClient"/>.</summary>
public sealed record MetaStoreClientOptions
{
    /// <summary>The nodes' client endpoints, as "host:port" or "http://host:port"; an IPv6 address stands in brackets. One or more.</summary>
    public required IReadOnlyList<string> Endpoints { get; init; }

    /// <summary>The cluster that must answer; 0 for whichever does. All endpoints must belong to one cluster either way.</summary>
    public ulong ClusterId { get; init; }

    /// <summary>Connections to each endpoint; requests take turns. 1 to 1024.</summary>
    public int ConnectionsPerEndpoint { get; init; } = 1;

    /// <summary>How long one call may take, all its tries together. 10 ms to 1 hour; kept to about a twentieth of it and 0.3 s, for an answer under way.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long connecting and shaking hands may take. 1 ms to 1 hour.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Pause before the second try, and before an endpoint that refused is asked again; doubles with each. More than 0.</summary>
    public TimeSpan BackoffMin { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>The longest such pause. At least <see cref="BackoffMin"/>.</summary>
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Requests under way per connection; beyond it calls fail as Busy and are tried again. 1 to 1,000,000.</summary>
    public int RequestsInFlightMax { get; init; } = 8192;

    /// <summary>Bytes of one answer. 16 KiB to 1 GiB.</summary>
    public int FrameBytesMax { get; init; } = 16 << 20;

    /// <summary>Bytes of one watch that a node sends ahead of whoever enumerates it. 1 KiB to 1 GiB.</summary>
    public int WatchBytesMax { get; init; } = 1 << 20;

    /// <summary>Bytes asked of the socket at once. 1 KiB to 1 MiB.</summary>
    public int ReceiveBufferBytes { get; init; } = 32 << 10;

    /// <summary>Bytes gathered before they are handed to the socket, if there is more to write. 1 KiB to 1 MiB.</summary>
    public int SendBufferBytes { get; init; } = 64 << 10;

    /// <summary>Seed of the pauses' jitter; null draws one, so that clients which failed together do not come back together.</summary>
    public int? JitterSeed { get; init; }

    /// <summary>The clock of timeouts and pauses.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        if (Endpoints is null || Endpoints.Count == 0)
        {
            throw new ArgumentException("Endpoints is empty; give at least one, such as \"127.0.0.1:2379\".");
        }

        foreach (string endpoint in Endpoints)
        {
            _ = EndpointText.Parse(endpoint);
        }

        OptionCheck.Between(ConnectionsPerEndpoint, 1, 1024, nameof(ConnectionsPerEndpoint));
        OptionCheck.Between(RequestTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), nameof(RequestTimeout));
        OptionCheck.Between(ConnectTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), nameof(ConnectTimeout));
        OptionCheck.Between(BackoffMin, TimeSpan.FromTicks(1), TimeSpan.FromHours(1), nameof(BackoffMin));
        OptionCheck.Between(BackoffMax, BackoffMin, TimeSpan.FromHours(1), nameof(BackoffMax));
        OptionCheck.Between(RequestsInFlightMax, 1, 1_000_000, nameof(RequestsInFlightMax));
        OptionCheck.Between(FrameBytesMax, (int)Handshake.BodyBytesMaxMin, 1 << 30, nameof(FrameBytesMax));
        OptionCheck.Between(WatchBytesMax, 1 << 10, 1 << 30, nameof(WatchBytesMax));
        OptionCheck.Between(ReceiveBufferBytes, 1 << 10, 1 << 20, nameof(ReceiveBufferBytes));
        OptionCheck.Between(SendBufferBytes, 1 << 10, 1 << 20, nameof(SendBufferBytes));
        ArgumentNullException.ThrowIfNull(TimeProvider);
    }
}
