namespace MetaStore.Engine.Replication;

/// <summary>
/// The one latch for everything a node cannot go on from: a poisoned log, damaged storage, a broken invariant. The first cause wins
/// and stays; every loop looks here before it does anything.
/// </summary>
internal sealed class NodeFailure
{
    private Exception? _cause;
    private Action? _failed;

    public bool IsFailed => Volatile.Read(ref _cause) is not null;

    public Exception? Cause => Volatile.Read(ref _cause);

    /// <summary>Called once, when the first failure is reported, on the thread that met it.</summary>
    public void Connect(Action failed) => _failed = failed;

    public void Fail(string where, Exception cause)
    {
        var failure = new NodeFailedException(where, cause);
        if (Interlocked.CompareExchange(ref _cause, failure, null) is null)
        {
            _failed?.Invoke();
        }
    }

    public MetaStoreException ToException(Outcome outcome) =>
        new(MetaStoreError.NodeFailed, Cause?.Message ?? "the node has failed", outcome, Cause);
}

/// <summary>The cluster does not want this member (any more): it was removed, or came back without the data it had.</summary>
public sealed class MemberRefusedException(string message) : Exception(message);

/// <summary>A node has stopped for good. The inner exception is the cause.</summary>
public sealed class NodeFailedException(string where, Exception cause) : Exception($"{where}: {cause.Message}", cause)
{
    /// <summary>The part of the node that met the failure.</summary>
    public string Where { get; } = where;
}
