namespace MetaStore.Engine;

/// <summary>A key and its state at a revision, in memory that is used again: good until the visitor returns, and not to be kept.</summary>
public readonly ref struct KeyValueView
{
    internal KeyValueView(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long createRevision, long modRevision, long version, long leaseId)
    {
        Key = key;
        Value = value;
        CreateRevision = new Revision(createRevision);
        ModRevision = new Revision(modRevision);
        Version = version;
        LeaseId = leaseId;
    }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value { get; }

    /// <summary>The revision that created the key since it was last absent.</summary>
    public Revision CreateRevision { get; }

    /// <summary>The revision that wrote this state.</summary>
    public Revision ModRevision { get; }

    /// <summary>How often the key has been written since its creation; 1 or more.</summary>
    public long Version { get; }

    /// <summary>The lease that the key belongs to; 0 for none.</summary>
    public long LeaseId { get; }
}

/// <summary>Receives keys of a range in order, without an allocation for each: see <c>MetaStoreNode.Visit</c>.</summary>
public interface IKeyValueVisitor
{
    /// <summary>
    /// Takes a key and its state; false ends the walk. It may take its time, and visit other ranges; but history that is compacted meanwhile is kept for it only for
    /// <see cref="Hosting.NodeSettings.VisitTimeMax"/>.
    /// </summary>
    bool Visit(in KeyValueView item);
}
