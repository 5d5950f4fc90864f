using System.Runtime.InteropServices;

namespace MetaStore.Engine.Memory;

/// <summary>
/// <see cref="Bytes"/> of an arena's memory, at a multiple of that, which hold blocks of one size class as long as one of them is in use, and may serve any other class after that. So a block's page is found by its
/// address, and the page knows how many it has out. A handle; the arena's owner's alone.
/// <code>
///   page := header (64)  block*
/// </code>
/// </summary>
internal readonly unsafe struct ArenaPage(nint address) : IEquatable<ArenaPage>
{
    /// <summary>Bytes of a page, and what its address is a multiple of.</summary>
    public const int Bytes = 256 << 10;

    private const int HeaderBytes = 64; // A cache line; blocks begin at multiples of 16.

    public nint Address { get; } = address;

    public bool IsNull => Address == 0;

    /// <summary>The next one of those that are open, or empty.</summary>
    public ArenaPage Next
    {
        get => new(Head->Next);
        set => Head->Next = value.Address;
    }

    /// <summary>The one before it of those that are open.</summary>
    public ArenaPage Previous
    {
        get => new(Head->Previous);
        set => Head->Previous = value.Address;
    }

    /// <summary>The class that it serves.</summary>
    public int SizeClass => Head->SizeClass;

    /// <summary>Blocks in use.</summary>
    public int Used => Head->Used;

    /// <summary>There is no block left in it.</summary>
    public bool IsFull => Head->Free == 0 && Head->Begun + Head->BlockBytes > Bytes;

    private Header* Head => (Header*)Address;

    /// <summary>The page that a block lies in.</summary>
    public static ArenaPage Of(nint block) => new(block & -Bytes);

    /// <summary>Begins to serve a class. No block of it is in use.</summary>
    public void Begin(int sizeClass) => *Head = new Header { SizeClass = sizeClass, BlockBytes = SizeClasses.BytesOf(sizeClass), Begun = HeaderBytes };

    /// <summary>A block of a page that is not full: the one that came back last, or else one that was never given out.</summary>
    public nint Take()
    {
        Head->Used++;
        nint block = Head->Free;
        if (block == 0)
        {
            block = Address + Head->Begun;
            Head->Begun += Head->BlockBytes;
            return block;
        }

        nint next = *(nint*)block;
        Head->Free = next;
        CacheLines.Fetch(next, Head->BlockBytes); // Whoever is next writes to it, wherever it may lie.
        return block;
    }

    public void GiveBack(nint block)
    {
        *(nint*)block = Head->Free;
        Head->Free = block;
        Head->Used--;
    }

    public bool Equals(ArenaPage other) => Address == other.Address;

    public override bool Equals(object? obj) => obj is ArenaPage other && Equals(other);

    public override int GetHashCode() => Address.GetHashCode();

    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public nint Free;
        public nint Next;
        public nint Previous;
        public int SizeClass;
        public int BlockBytes;
        public int Used;
        public int Begun;
    }
}
