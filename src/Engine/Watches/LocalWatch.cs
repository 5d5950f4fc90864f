namespace MetaStore.Engine.Watches;

/// <summary>A watch on this node that begins once it is enumerated.</summary>
internal sealed class LocalWatch(Func<CancellationToken, Watcher> open) : IAsyncEnumerable<WatchResponse>
{
    private int _isBegun;

    public IAsyncEnumerator<WatchResponse> GetAsyncEnumerator(CancellationToken cancellationToken = default) => Interlocked.Exchange(ref _isBegun, 1) == 0
        ? open(cancellationToken)
        : throw new InvalidOperationException("A watch is enumerated once; ask for another one.");
}
