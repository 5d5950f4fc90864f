using MetaStore.Engine;

namespace MetaStore.Etcd.Services;

/// <summary>A watch of a stream. All but the feed's content is guarded by the stream's gate.</summary>
internal sealed class StreamWatch(long id)
{
    public long Id { get; } = id;

    /// <summary>Set once, before anybody else knows the watch.</summary>
    public WatchFeed Feed { get; set; } = null!;

    /// <summary>It stands in a queue for the writer.</summary>
    public bool IsQueued { get; set; }

    /// <summary>It was cancelled, or has ended.</summary>
    public bool IsGone { get; set; }

    /// <summary>Something of it has to be written before the word of progress that is under way.</summary>
    public bool Owes { get; set; }

    /// <summary>Was taken from the feed, and comes behind the word of progress that is under way.</summary>
    public WatchResponse? Held { get; set; }
}
