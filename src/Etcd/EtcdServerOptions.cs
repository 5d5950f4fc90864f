using MetaStore.Engine;

namespace MetaStore.Etcd;

/// <summary>Settings of an <see cref="EtcdServer"/>. The defaults are etcd's where it has them.</summary>
public sealed record EtcdServerOptions
{
    /// <summary>What a message may be larger than the node's limit of a request (<see cref="StoreLimits.RequestBytesMax"/>) before it is refused unread. 0 to 16 MiB.</summary>
    public int MessageOverheadBytes { get; init; } = 512 << 10;

    /// <summary>Bytes of messages that have been begun and not finished, all calls together; those beyond are refused. 1 MiB or more.</summary>
    public long UnfinishedBytesMax { get; init; } = 256 << 20;

    /// <summary>How long the rest of a message may take once a part of it has come. More than 0.</summary>
    public TimeSpan MessageTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Bytes held of answers whose callers do not read them, all calls together; beyond, the call ends whose caller has taken nothing for longest. 1 MiB or more.</summary>
    /// <remarks>Answers up to 64 KiB, and watches, whose events all share, are not among them.</remarks>
    public long UnreadBytesMax { get; init; } = 256 << 20;

    /// <summary>Connections at a time; those beyond are closed at once. 1 or more. Whoever sets it leaves open files for the store itself, which must not run out of them.</summary>
    public int ConnectionsMax { get; init; } = 100_000;

    /// <summary>
    /// Calls under way on one connection, at most; a client that is well made waits with further ones. Twice as many may be in memory: a client that resets its calls does not wait until they are
    /// done with. 1 or more.
    /// </summary>
    public int StreamsPerConnectionMax { get; init; } = 1 << 13;

    /// <summary>How long a new connection may take to show what it speaks. More than 0.</summary>
    public TimeSpan FirstBytesTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a request of HTTP/1.1 may take over its headers. More than 0.</summary>
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection on which nothing came for so long is asked whether it is still there. 1 s or more; <see cref="TimeSpan.MaxValue"/>: never.</summary>
    public TimeSpan PingInterval { get; init; } = TimeSpan.FromHours(2);

    /// <summary>How long that answer may take, and for how long a client over HTTP/2 may take nothing of what it is sent. 1 s or more; <see cref="TimeSpan.MaxValue"/>: as long as it likes.</summary>
    public TimeSpan PingTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Files that the process may have open, for its figures; null: that is not known.</summary>
    public long? OpenFilesMax { get; init; }

    /// <summary>Tells how long the calls of each method take, which is a histogram more for each: etcd's <c>--metrics extensive</c>.</summary>
    public bool MeasuresCalls { get; init; }

    /// <summary>The clock of deadlines.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Checks the settings; the message of the exception names the wrong one and what would be right.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Validate()
    {
        Require(MessageOverheadBytes is >= 0 and <= 16 << 20, nameof(MessageOverheadBytes), MessageOverheadBytes, "0 to 16 MiB");
        Require(UnfinishedBytesMax >= 1 << 20, nameof(UnfinishedBytesMax), UnfinishedBytesMax, "1 MiB or more");
        Require(MessageTimeout > TimeSpan.Zero, nameof(MessageTimeout), MessageTimeout, "more than 0");
        Require(UnreadBytesMax >= 1 << 20, nameof(UnreadBytesMax), UnreadBytesMax, "1 MiB or more");
        Require(ConnectionsMax >= 1, nameof(ConnectionsMax), ConnectionsMax, "1 or more");
        Require(StreamsPerConnectionMax >= 1, nameof(StreamsPerConnectionMax), StreamsPerConnectionMax, "1 or more");
        Require(FirstBytesTimeout > TimeSpan.Zero, nameof(FirstBytesTimeout), FirstBytesTimeout, "more than 0");
        Require(HeadersTimeout > TimeSpan.Zero, nameof(HeadersTimeout), HeadersTimeout, "more than 0");
        Require(PingInterval >= TimeSpan.FromSeconds(1), nameof(PingInterval), PingInterval, "1 s or more");
        Require(PingTimeout >= TimeSpan.FromSeconds(1), nameof(PingTimeout), PingTimeout, "1 s or more");
        ArgumentNullException.ThrowIfNull(TimeProvider);
    }

    private static void Require(bool holds, string name, object value, string right)
    {
        if (!holds)
        {
            throw new ArgumentOutOfRangeException(name, value, $"{name} is {value}; it must be {right}.");
        }
    }
}
