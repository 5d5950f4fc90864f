namespace MetaStore.Engine.Memory;

/// <summary>
/// A key and the head of its version chain, in native memory. The head is the atomic version pointer: a put on an existing key is one store to it, invisible to
/// every reader until the revision that it carries is published. A handle, as good as its memory: only inside a <see cref="ReadSection"/>, or on the
/// writer's loop.
/// <code>
///   offset  length
///   0       8       address of the newest version
///   8       4       length of the key, K
///   12      K       key
/// </code>
/// </summary>
internal readonly unsafe struct KeyRecord(nint address) : IEquatable<KeyRecord>
{
    private const int HeaderBytes = 12;

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    public ReadOnlySpan<byte> Key => new((void*)(At + HeaderBytes), *(int*)(At + 8));

    /// <summary>The newest version, published or not. Only the writer sets it.</summary>
    public VersionRecord Head
    {
        get => new(Volatile.Read(ref *(nint*)At));
        set
        {
            SchedulePoint.Hit();
            Volatile.Write(ref *(nint*)At, value.Address);
        }
    }

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

    public static KeyRecord Create(StoreMemory memory, ReadOnlySpan<byte> key, VersionRecord head)
    {
        nint address = memory.Allocate(HeaderBytes + key.Length);
        *(nint*)address = head.Address;
        *(int*)(address + 8) = key.Length;
        key.CopyTo(new Span<byte>((void*)(address + HeaderBytes), key.Length));
        return new KeyRecord(address);
    }

    /// <summary>The version that a reader at <paramref name="revision"/> sees; null where the key was absent, or is none.</summary>
    public VersionRecord ReadAt(long revision)
    {
        SchedulePoint.Hit();
        VersionRecord version = IsNull ? default : Head;
        while (!version.IsNull && version.ModRevision > revision)
        {
            SchedulePoint.Hit();
            version = version.Previous;
        }

        return version.IsNull || version.IsTombstone ? default : version;
    }

    /// <summary>Has the record fetched.</summary>
    public void Fetch() => CacheLines.Fetch(Address, HeaderBytes + 36);

    /// <summary>Has the head of the newest version fetched.</summary>
    public void FetchHead()
    {
        if (!IsNull)
        {
            CacheLines.Fetch(Head.Address);
        }
    }

    /// <summary>The key has left the index for good, and its versions with it.</summary>
    public void Retire(StoreMemory memory)
    {
        Head.RetireChain(memory);
        memory.Retire(Address, HeaderBytes + Key.Length);
    }

    public bool Equals(KeyRecord other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is KeyRecord other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();
}
