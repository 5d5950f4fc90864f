namespace MetaStore.Engine;

/// <summary>
/// Asks to be told of every change of a key or a range of keys, from a revision on: all of them, in the order of their revisions, each once. Ranges are
/// as in <see cref="StoreRequest"/>; an empty key is the key of one byte 0, as in etcd.
/// </summary>
public sealed record WatchRequest
{
    /// <summary>The key, or the first of a range.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The end; see <see cref="StoreRequest"/>.</summary>
    public ReadOnlyMemory<byte> RangeEnd { get; init; }

    /// <summary>
    /// The first revision to be told of: one that is not compacted, or one to come. <see cref="Revision.Current"/>: the one behind that of the
    /// first response's header.
    /// </summary>
    public Revision StartRevision { get; init; }

    /// <summary>Leave out puts.</summary>
    public bool NoPut { get; init; }

    /// <summary>Leave out removals.</summary>
    public bool NoDelete { get; init; }

    /// <summary>Add the key's state before the change, where it had one and history still has it.</summary>
    public bool PreviousValue { get; init; }

    /// <summary>Say from time to time, where nothing else was to be said, up to which revision everything was said.</summary>
    public bool ProgressNotify { get; init; }

    /// <summary>A long response may come in parts; see <see cref="WatchResponse.Fragment"/>.</summary>
    public bool Fragment { get; init; }

    /// <summary>
    /// End with <see cref="MetaStoreError.NoLeader"/> once the node has known no leader for three election timeouts, so that the watch can go on at a node that is not cut
    /// off. The remote client always asks for that.
    /// </summary>
    public bool RequireLeader { get; init; }

    /// <summary>Conditions that an event must meet, all of them, to be told of. At most <see cref="PredicatesMax"/>.</summary>
    public IReadOnlyList<WatchPredicate> Predicates { get; init; } = [];

    /// <summary>The most <see cref="Predicates"/> of a watch.</summary>
    public const int PredicatesMax = 16;
}

/// <summary>What a <see cref="WatchPredicate"/> looks at. Part of the wire format: never renumber.</summary>
public enum WatchTarget : byte
{
    /// <summary>The key.</summary>
    Key = 0,

    /// <summary>The value that a put wrote. A removal has none, and passes.</summary>
    Value = 1,
}

/// <summary>What a <see cref="WatchPredicate"/> asks of it. Part of the wire format: never renumber.</summary>
public enum WatchRelation : byte
{
    /// <summary>To be these bytes.</summary>
    Equal = 0,

    /// <summary>To be other bytes.</summary>
    NotEqual = 1,

    /// <summary>To begin with these bytes.</summary>
    StartsWith = 2,

    /// <summary>To end with these bytes.</summary>
    EndsWith = 3,

    /// <summary>To have these bytes somewhere.</summary>
    Contains = 4,
}

/// <summary>A condition on an event, judged where the data is: what fails it does not travel.</summary>
/// <param name="Target">What is looked at.</param>
/// <param name="Relation">What is asked of it.</param>
/// <param name="Bytes">The bytes to hold it against.</param>
public sealed record WatchPredicate(WatchTarget Target, WatchRelation Relation, ReadOnlyMemory<byte> Bytes);

/// <summary>What happened to a key. Part of the wire format: never renumber.</summary>
public enum WatchEventType : byte
{
    /// <summary>It was written.</summary>
    Put = 0,

    /// <summary>It was removed.</summary>
    Delete = 1,
}

/// <summary>A change of one key. Immutable, and shared by all who are told of it.</summary>
public sealed class WatchEvent
{
    private Form? _forms;

    /// <summary>What happened.</summary>
    public required WatchEventType Type { get; init; }

    /// <summary>The key as the change left it; of a removal, key and mod revision alone.</summary>
    public required KeyValue KeyValue { get; init; }

    /// <summary>The key before the change, where that was asked for, existed, and was still known.</summary>
    public KeyValue? Previous { get; init; }

    /// <summary>
    /// The event in another form, such as its bytes on the wire: made by the first who asks for a form of that type, and kept for all others. Two who ask at
    /// once may both make it.
    /// </summary>
    public TForm As<TForm>(Func<WatchEvent, TForm> make)
        where TForm : class
    {
        ArgumentNullException.ThrowIfNull(make);
        for (Form? form = Volatile.Read(ref _forms); form is not null; form = form.Next)
        {
            if (form.Value is TForm known)
            {
                return known;
            }
        }

        TForm made = make(this);
        Volatile.Write(ref _forms, new Form(made, Volatile.Read(ref _forms)));
        return made;
    }

    private sealed record Form(object Value, Form? Next);
}

/// <summary>
/// A message of a watch. Everything up to the header's revision that the watch asked for has been said once this is, unless it is
/// <see cref="IsCreated"/> or a <see cref="Fragment"/>: whoever begins anew at the revision behind it misses nothing and hears nothing twice.
/// </summary>
public sealed record WatchResponse : StoreResponse
{
    /// <summary>The first response: the watch is there. Its header names the store's revision at that time, and nothing more.</summary>
    public bool IsCreated { get; init; }

    /// <summary>Nothing happened that was asked for, up to the header's revision.</summary>
    public bool IsProgress { get; init; }

    /// <summary>More of this response follows in the next. All events of one revision stand in one response, or in such parts of one.</summary>
    public bool Fragment { get; init; }

    /// <summary>What happened, in order.</summary>
    public IReadOnlyList<WatchEvent> Events { get; init; } = [];
}

/// <summary>How a node serves watches.</summary>
public sealed record WatchOptions
{
    /// <summary>
    /// Bytes of events that wait for one watcher at most. One that takes no more than that is told the rest later, from the log of events, if that has not been
    /// compacted by then. 1 or more.
    /// </summary>
    public int QueueBytesMax { get; init; } = 1 << 20;

    /// <summary>
    /// Bytes of events that all watchers of a group together have waiting, or have taken and not asked for more yet, at most; as above. Beyond that each one that waits is still given something,
    /// so that those who take nothing cannot starve the others: what just happened, which all who are told of it share, or, where it catches up, an equal share of this and 4 KiB at least, and the event it ends
    /// with; or the revision, where it takes no parts (<see cref="WatchRequest.Fragment"/>). 1 or more.
    /// </summary>
    public long TotalBytesMax { get; init; } = 64 << 20;

    /// <summary>Bytes of one response, beyond which it comes in parts where <see cref="WatchRequest.Fragment"/> is set. 1 or more.</summary>
    public int FragmentBytes { get; init; } = 3 << 19;

    /// <summary>Time between two words on the progress of a watch that asked for them, up to a tenth longer. 100 ms or more.</summary>
    public TimeSpan ProgressInterval { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Checks the settings.</summary>
    /// <exception cref="ArgumentException">A setting is wrong; the message names it and what would be right.</exception>
    public void Validate()
    {
        if (QueueBytesMax < 1 || TotalBytesMax < 1 || FragmentBytes < 1)
        {
            throw new ArgumentException($"QueueBytesMax ({QueueBytesMax}), TotalBytesMax ({TotalBytesMax}) and FragmentBytes ({FragmentBytes}) of the watches must be at least 1.");
        }

        if (ProgressInterval < TimeSpan.FromMilliseconds(100))
        {
            throw new ArgumentException($"ProgressInterval of the watches is {ProgressInterval.TotalMilliseconds} ms; it must be at least 100 ms.");
        }
    }
}
