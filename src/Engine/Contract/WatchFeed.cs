using System.Diagnostics.CodeAnalysis;
using MetaStore.Engine.Watches;

namespace MetaStore.Engine;

/// <summary>A watch that is taken from when there is something to take; see <c>MetaStoreNode.OpenWatch</c>. Dispose it to leave the watch.</summary>
public sealed class WatchFeed : IDisposable
{
    internal WatchFeed(Watcher watcher) => Watcher = watcher;

    internal Watcher Watcher { get; }

    /// <summary>
    /// Takes what is next; the first response is there from the beginning. False: there is nothing, and the watch calls its listener once there is. One caller at a
    /// time.
    /// </summary>
    /// <exception cref="CompactedException">Revisions that were to be told next are compacted.</exception>
    /// <exception cref="MetaStoreException">The watch has ended.</exception>
    public bool TryTake([NotNullWhen(true)] out WatchResponse? response) => Watcher.TryTake(out response);

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing in it waits: it takes a lock for a few instructions, and says good-bye.
        ValueTask left = Watcher.DisposeAsync();
        Invariant.Check(left.IsCompletedSuccessfully, "leaving a watch has waited for something");
    }
}
