using System.Runtime.InteropServices;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Watches over the blocks of one arena where <see cref="MemoryChecks"/> are on. Outside of those it is not even made.
/// <code>
///   block := mark:u64 (live or freed)  length:u32  zero:u32  the caller's bytes  mark:u64 (live or freed)
/// </code>
/// The caller's address is that of its bytes. What was freed is filled with <see cref="Poison"/> and handed out again only after <see cref="KeptBack"/> others.
/// </summary>
internal sealed unsafe class BlockGuard
{
    public const int HeaderBytes = 16;
    public const int Overhead = HeaderBytes + sizeof(ulong);
    public const byte Poison = 0xDB;

    private const ulong Live = 0x4C49_5645_5EED_0001;
    private const ulong Freed = 0x4445_4144_5EED_0002;
    private const int KeptBack = 4096;

    private readonly Queue<(nint Block, int Bytes)> _freed = new();

    public nint Begin(nint block, int bytes)
    {
        *(ulong*)block = Live;
        *(uint*)(block + 8) = (uint)bytes;
        *(uint*)(block + 12) = 0;
        nint address = block + HeaderBytes;
        NativeMemory.Fill((void*)address, (nuint)bytes, Poison);
        WriteTail(address, bytes, Live);
        return address;
    }

    /// <summary>Takes over what another arena's guard keeps back.</summary>
    public void Adopt(BlockGuard other)
    {
        foreach ((nint block, int bytes) in other._freed)
        {
            _freed.Enqueue((block, bytes));
        }

        other._freed.Clear();
    }

    public void End(nint address, int bytes)
    {
        Check(address);
        nint block = address - HeaderBytes;
        uint length = *(uint*)(block + 8);
        Invariant.Check(length == bytes, $"a block of {length} bytes is freed as one of {bytes}");
        Invariant.Check(ReadTail(address, bytes) == Live, $"something was written behind a block of {bytes} bytes");
        *(ulong*)block = Freed;
        NativeMemory.Fill((void*)address, (nuint)bytes, Poison);
        WriteTail(address, bytes, Freed);
        _freed.Enqueue((block, bytes));
    }

    /// <summary>The next block that may be handed out again, with its whole length.</summary>
    public bool TryDequeue(out nint block, out int bytes)
    {
        if (_freed.Count <= KeptBack)
        {
            block = 0;
            bytes = 0;
            return false;
        }

        (block, int length) = _freed.Dequeue();
        var address = new ReadOnlySpan<byte>((void*)(block + HeaderBytes), length);
        Invariant.Check(address.IndexOfAnyExcept(Poison) < 0, $"a block of {length} bytes was written to after it had been freed");
        bytes = length + Overhead;
        return true;
    }

    /// <summary>An access to a block, by the address of its bytes.</summary>
    public static void Check(nint address)
    {
        Invariant.Check(address != 0, "native memory is reached through no address");
        ulong mark = *(ulong*)(address - HeaderBytes);
        Invariant.Check(mark == Live, mark == Freed ? "native memory is used after it was freed" : "an address that is no block's is used");
    }

    private static void WriteTail(nint address, int bytes, ulong mark)
    {
        for (int i = 0; i < sizeof(ulong); i++)
        {
            *(byte*)(address + bytes + i) = (byte)(mark >> (8 * i));
        }
    }

    private static ulong ReadTail(nint address, int bytes)
    {
        ulong mark = 0;
        for (int i = 0; i < sizeof(ulong); i++)
        {
            mark |= (ulong)*(byte*)(address + bytes + i) << (8 * i);
        }

        return mark;
    }
}
