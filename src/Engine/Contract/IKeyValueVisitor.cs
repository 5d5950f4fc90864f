namespace MetaStore.Engine;

/// <summary>A key and its state at a revision, where they lie in the store's memory: good until the visitor returns, and not to be kept.</summary>
public readonly ref struct KeyValueView
{
    internal KeyValueView(ReadOnlySpan<byte> key, Memory.VersionRecord version)
    {
        Key = key;
        Value = version.Value;
        CreateRevision = new Revision(version.CreateRevision);
        ModRevision = new Revision(version.ModRevision);
        Version = version.Version;
        LeaseId = version.LeaseId;
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

/// <summary>Receives keys of a range in order, without copies and without allocations: see <c>MetaStoreNode.Visit</c>.</summary>
public interface IKeyValueVisitor
{
    /// <summary>
    /// Takes a key and its state; false ends the walk. To be quick, and not to wait for anything: as long as it runs, memory of versions that nobody needs any more is not given back.
    /// </summary>
    bool Visit(in KeyValueView item);
}
