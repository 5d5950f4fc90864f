namespace MetaStore.Engine.Memory;

/// <summary>
/// One state of a key, from its mod revision until that of the next version, in native memory. Immutable once it is reachable, but for <see cref="Previous"/>,
/// which compaction cuts. A handle, as good as its memory: only inside a <see cref="ReadSection"/>, or on the writer's loop.
/// <code>
///   offset  length
///   0       8       address of the version before; 0 where there was none or compaction has dropped it
///   8       8       mod revision
///   16      8       create revision
///   24      8       version; 0: tombstone
///   32      8       lease
///   40      4       sub: which of the changes of its revision
///   44      4       length of the value, V
///   48      V       value
/// </code>
/// </summary>
internal readonly unsafe struct VersionRecord(nint address) : IEquatable<VersionRecord>
{
    private const int HeaderBytes = 48;

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    /// <summary>The version before, or null where there was none or compaction has dropped it.</summary>
    public VersionRecord Previous => new(Volatile.Read(ref *(nint*)At));

    /// <summary>The revision that wrote it; not above that of the next version.</summary>
    public long ModRevision => *(long*)(At + 8);

    /// <summary>The revision that created the key since it was last absent; 0 of a tombstone.</summary>
    public long CreateRevision => *(long*)(At + 16);

    /// <summary>Changes since creation; 0 of a tombstone.</summary>
    public long Version => *(long*)(At + 24);

    public long LeaseId => *(long*)(At + 32);

    /// <summary>Which of the changes of its revision made it; they ascend in the order in which they are told of.</summary>
    public uint Sub => *(uint*)(At + 40);

    public ReadOnlySpan<byte> Value => new((void*)(At + HeaderBytes), *(int*)(At + 44));

    public bool IsTombstone => Version == 0;

    /// <summary>All of it but its value and what was before it.</summary>
    public VersionHead Head => new(ModRevision, Sub, CreateRevision, Version, LeaseId);

    private nint At
    {
        get
        {
            if (MemoryChecks.Enabled)
            {
                BlockGuard.Check(Address);
            }

            return Address;
        }
    }

    /// <summary>A version whose value is still to be written, by way of <paramref name="value"/>. Nobody else has seen it.</summary>
    public static VersionRecord Create(StoreMemory memory, in VersionHead head, int valueBytes, VersionRecord previous, out Span<byte> value)
    {
        nint address = memory.Allocate(HeaderBytes + valueBytes);
        *(nint*)address = previous.Address;
        *(long*)(address + 8) = head.ModRevision;
        *(long*)(address + 16) = head.CreateRevision;
        *(long*)(address + 24) = head.Version;
        *(long*)(address + 32) = head.LeaseId;
        *(uint*)(address + 40) = head.Sub;
        *(int*)(address + 44) = valueBytes;
        value = new Span<byte>((void*)(address + HeaderBytes), valueBytes);
        return new VersionRecord(address);
    }

    /// <summary>Has the head fetched, and where the value begins.</summary>
    public void Fetch() => CacheLines.Fetch(Address);

    /// <summary>Only while the chain is being built: nobody has seen this version.</summary>
    public void SetPrevious(VersionRecord previous) => *(nint*)At = previous.Address;

    /// <summary>Forgets everything older. The compact revision that allows it is published before.</summary>
    public void CutPrevious(StoreMemory memory)
    {
        VersionRecord version = Previous;
        SchedulePoint.Hit();
        Volatile.Write(ref *(nint*)At, 0);
        version.RetireChain(memory);
    }

    /// <summary>This version and all before it are out of use.</summary>
    public void RetireChain(StoreMemory memory)
    {
        VersionRecord version = this;
        while (!version.IsNull)
        {
            VersionRecord previous = version.Previous;
            memory.Retire(version.Address, HeaderBytes + version.Value.Length);
            version = previous;
        }
    }

    public bool Equals(VersionRecord other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is VersionRecord other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();
}

/// <summary>What a version is, but for its value and what was before it.</summary>
internal readonly record struct VersionHead(long ModRevision, uint Sub, long CreateRevision, long Version, long LeaseId)
{
    /// <summary>The head of a removal.</summary>
    public static VersionHead Tombstone(long modRevision, uint sub) => new(modRevision, sub, 0, 0, 0);

    public bool IsTombstone => Version == 0;
}
