using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Metrics;

/// <summary>What came of the calls of one method. Counted by any thread, read by any thread; the figures never go back.</summary>
/// <param name="clock">Measures how long calls take; null: that is not wanted.</param>
internal sealed class RpcCounters(TimeProvider? clock = null)
{
    private readonly long[] _handled = new long[(int)StatusCode.Unauthenticated + 1];
    private long _started;
    private long _messagesReceived;
    private long _messagesSent;
    private long _bytesReceived;
    private long _bytesSent;

    /// <summary>Calls that came.</summary>
    public long Started => Volatile.Read(ref _started);

    /// <summary>Messages of callers.</summary>
    public long MessagesReceived => Volatile.Read(ref _messagesReceived);

    /// <summary>Messages to callers.</summary>
    public long MessagesSent => Volatile.Read(ref _messagesSent);

    /// <summary>Bytes of callers' messages, with their prefixes.</summary>
    public long BytesReceived => Volatile.Read(ref _bytesReceived);

    /// <summary>Bytes of messages to callers, with their prefixes.</summary>
    public long BytesSent => Volatile.Read(ref _bytesSent);

    /// <summary>How long calls took; null where that is not measured.</summary>
    public DurationHistogram? Durations { get; } = clock is null ? null : DurationHistogram.OfCalls();

    /// <summary>Calls that ended with that status.</summary>
    public long Handled(StatusCode code) => Volatile.Read(ref _handled[(int)code]);

    /// <summary>A call came. The answer is for <see cref="CountHandled"/>.</summary>
    public long CountStarted()
    {
        Interlocked.Increment(ref _started);
        return clock?.GetTimestamp() ?? 0;
    }

    /// <summary>A call ended.</summary>
    public void CountHandled(StatusCode code, long started)
    {
        Interlocked.Increment(ref _handled[(int)code]);
        Durations?.Add(clock!.GetElapsedTime(started));
    }

    /// <summary>A message of the caller.</summary>
    public void CountReceived(long bytes)
    {
        Interlocked.Increment(ref _messagesReceived);
        Interlocked.Add(ref _bytesReceived, bytes);
    }

    /// <summary>A message to the caller.</summary>
    public void CountSent(long bytes)
    {
        Interlocked.Increment(ref _messagesSent);
        Interlocked.Add(ref _bytesSent, bytes);
    }
}
