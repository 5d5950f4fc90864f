namespace MetaStore.Engine.Memory;

/// <summary>
/// Bytes between two neighbours of the index: above every key on its left, and not above any on its right. Shared by all copies of the node that it stands in, and
/// out of use when it has left the tree. A handle, as good as its memory; null stands for no bound.
/// <code>
///   offset  length
///   0       4       length, L
///   4       L       bytes
/// </code>
/// </summary>
internal readonly unsafe struct Separator(nint address) : IEquatable<Separator>
{
    private const int HeaderBytes = 4;

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    public ReadOnlySpan<byte> Bytes
    {
        get
        {
            if (MemoryChecks.Enabled)
            {
                BlockGuard.Check(Address);
            }

            return new ReadOnlySpan<byte>((void*)(Address + HeaderBytes), *(int*)Address);
        }
    }

    public static Separator Create(StoreMemory memory, ReadOnlySpan<byte> bytes)
    {
        nint address = memory.Allocate(HeaderBytes + bytes.Length);
        *(int*)address = bytes.Length;
        bytes.CopyTo(new Span<byte>((void*)(address + HeaderBytes), bytes.Length));
        return new Separator(address);
    }

    public void Retire(StoreMemory memory) => memory.Retire(Address, HeaderBytes + Bytes.Length);

    public bool Equals(Separator other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is Separator other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();
}
