using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Metrics;

/// <summary>What came of the calls of one method. Counted by any thread, read by any thread; the figures never go back.</summary>
internal sealed class RpcCounters
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

    /// <summary>Calls that ended with that status.</summary>
    public long Handled(StatusCode code) => Volatile.Read(ref _handled[(int)code]);

    /// <summary>A call came.</summary>
    public void CountStarted() => Interlocked.Increment(ref _started);

    /// <summary>A call ended.</summary>
    public void CountHandled(StatusCode code) => Interlocked.Increment(ref _handled[(int)code]);

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
