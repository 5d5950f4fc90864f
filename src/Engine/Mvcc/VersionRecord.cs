namespace MetaStore.Engine.Mvcc;

/// <summary>
/// One state of a key, from its mod revision until that of the next version. Immutable once it is reachable, but for
/// <see cref="Previous"/>, which compaction cuts.
/// </summary>
internal sealed class VersionRecord
{
    private VersionRecord? _previous;

    public VersionRecord(long modRevision, uint sub, long createRevision, long version, long leaseId, byte[] value, VersionRecord? previous)
    {
        ModRevision = modRevision;
        Sub = sub;
        CreateRevision = createRevision;
        Version = version;
        LeaseId = leaseId;
        Value = value;
        _previous = previous;
    }

    /// <summary>The revision that wrote it; not above that of the next version.</summary>
    public long ModRevision { get; }

    /// <summary>Which of the changes of its revision made it, from 0; the order in which they are told of.</summary>
    public uint Sub { get; }

    /// <summary>The revision that created the key since it was last absent; 0 of a tombstone.</summary>
    public long CreateRevision { get; }

    /// <summary>Changes since creation; 0 of a tombstone.</summary>
    public long Version { get; }

    public long LeaseId { get; }

    public byte[] Value { get; }

    public bool IsTombstone => Version == 0;

    /// <summary>The version before, or null where there was none or compaction has dropped it.</summary>
    public VersionRecord? Previous => Volatile.Read(ref _previous);

    public static VersionRecord Tombstone(long modRevision, uint sub, VersionRecord previous) => new(modRevision, sub, 0, 0, 0, [], previous);

    /// <summary>Forgets everything older. The compact revision that allows it is published before (see <see cref="StoreView"/>).</summary>
    public void CutPrevious() => Volatile.Write(ref _previous, null);
}

/// <summary>
/// A key and the head of its version chain. The head is the atomic version pointer: a put on an existing key is one store to it,
/// invisible to every reader until the revision that it carries is published.
/// </summary>
internal sealed class KeyRecord(byte[] key, VersionRecord head)
{
    private VersionRecord _head = head;

    public byte[] Key { get; } = key;

    /// <summary>The newest version, published or not. Only the apply loop writes it.</summary>
    public VersionRecord Head
    {
        get => Volatile.Read(ref _head);
        set => Volatile.Write(ref _head, value);
    }

    /// <summary>The version that a reader at <paramref name="revision"/> sees; null where the key was absent.</summary>
    public VersionRecord? At(long revision)
    {
        VersionRecord? version = Head;
        while (version is not null && version.ModRevision > revision)
        {
            version = version.Previous;
        }

        return version is null || version.IsTombstone ? null : version;
    }
}
