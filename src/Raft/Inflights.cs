namespace MetaStore.Raft;

/// <summary>
/// The Appends to one peer that are not yet acknowledged, oldest first: the window that bounds a pipeline by messages and by
/// bytes. The bytes are those of the messages in the window, taken off with the very message that brought them.
/// </summary>
internal sealed class Inflights(int messagesMax, long bytesMax)
{
    private readonly Queue<(LogIndex Last, long Bytes)> _window = new();

    public int Count => _window.Count;

    public long Bytes { get; private set; }

    /// <summary>No more may be sent until something is acknowledged. One message always fits.</summary>
    public bool IsFull => Count >= messagesMax || Bytes >= bytesMax;

    public void Add(LogIndex last, long bytes)
    {
        Invariant.Check(!IsFull, $"Append through {last} sent into a full window of {Count} messages and {Bytes} bytes.");
        _window.Enqueue((last, bytes));
        Bytes += bytes;
    }

    /// <summary>Takes off all messages whose entries are acknowledged.</summary>
    public void FreeThrough(LogIndex index)
    {
        while (_window.TryPeek(out (LogIndex Last, long Bytes) oldest) && oldest.Last <= index)
        {
            _window.Dequeue();
            Bytes -= KnownBugs.WindowBytesLeak ? 0 : oldest.Bytes;
        }
    }

    public void Clear()
    {
        _window.Clear();
        Bytes = 0;
    }
}
