using System.Net;

namespace MetaStore.Net;

/// <summary>Settings of a <see cref="ClientPort"/>.</summary>
public sealed record ClientPortOptions
{
    /// <summary>Where to listen; port 0 takes a free one.</summary>
    public required IPEndPoint Endpoint { get; init; }

    /// <summary>How long a connection may stay silent before it is closed. 1 ms to 1 hour.</summary>
    public TimeSpan FirstByteTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Connections that have said nothing yet, at most; where one more comes, the one that has been silent for longest is closed. 1 or more.</summary>
    public int SilentConnectionsMax { get; init; } = 4096;

    /// <summary>The clock of that patience.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        ArgumentNullException.ThrowIfNull(Endpoint);
        OptionCheck.Between(FirstByteTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), nameof(FirstByteTimeout));
        OptionCheck.AtLeast(SilentConnectionsMax, 1, nameof(SilentConnectionsMax));
        ArgumentNullException.ThrowIfNull(TimeProvider);
    }
}
