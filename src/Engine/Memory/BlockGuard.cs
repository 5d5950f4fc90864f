using System.Runtime.InteropServices;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Watches over the blocks of one arena where <see cref="MemoryChecks"/> are on. Outside of those it is not even made.
/// <code>
///   block := mark:u64 (live or freed)  length:u64  the caller's bytes  mark:u64 (live or freed)
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

    private readonly Queue<(nint Block, long Bytes)> _freed = new();

    public nint Begin(nint block, long bytes)
    {
        *(ulong*)block = Live;
        *(long*)(block + 8) = bytes;
        nint address = block + HeaderBytes;
        NativeMemory.Fill((void*)address, (nuint)bytes, Poison);
        WriteTail(address, bytes, Live);
        return address;
    }

    /// <summary>Takes over what another arena's guard keeps back.</summary>
    public void Adopt(BlockGuard other)
    {
        foreach ((nint block, long bytes) in other._freed)
        {
            _freed.Enqueue((block, bytes));
        }

        other._freed.Clear();
    }

    public void End(nint address, long bytes)
    {
        Check(address);
        nint block = address - HeaderBytes;
        long length = *(long*)(block + 8);
        Invariant.Check(length == bytes, $"a block of {length} bytes is freed as one of {bytes}");
        Invariant.Check(ReadTail(address, bytes) == Live, $"something was written behind a block of {bytes} bytes");
        *(ulong*)block = Freed;
        NativeMemory.Fill((void*)address, (nuint)bytes, Poison);
        WriteTail(address, bytes, Freed);
        _freed.Enqueue((block, bytes));
    }

    /// <summary>The next block that may be handed out again, with its whole length.</summary>
    public bool TryDequeue(out nint block, out long bytes)
    {
        if (_freed.Count <= KeptBack)
        {
            block = 0;
            bytes = 0;
            return false;
        }

        (block, long length) = _freed.Dequeue();
        for (long at = 0; at < length; at += int.MaxValue)
        {
            var part = new ReadOnlySpan<byte>((byte*)block + HeaderBytes + at, (int)Math.Min(length - at, int.MaxValue));
            Invariant.Check(part.IndexOfAnyExcept(Poison) < 0, $"a block of {length} bytes was written to after it had been freed");
        }

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

    private static void WriteTail(nint address, long bytes, ulong mark)
    {
        for (int i = 0; i < sizeof(ulong); i++)
        {
            *((byte*)address + bytes + i) = (byte)(mark >> (8 * i));
        }
    }

    private static ulong ReadTail(nint address, long bytes)
    {
        ulong mark = 0;
        for (int i = 0; i < sizeof(ulong); i++)
        {
            mark |= (ulong)*((byte*)address + bytes + i) << (8 * i);
        }

        return mark;
    }
}
