using System.Runtime.Intrinsics.X86;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Asks the processor to fetch memory that is about to be needed: while one request is worked on, the records of the next ones are on their way. A hint and nothing else; where
/// there is no such instruction nothing happens.
/// </summary>
internal static unsafe class CacheLines
{
    private const int LineBytes = 64;

    /// <summary>The line that the address lies in.</summary>
    public static void Fetch(nint address)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0((void*)address);
        }
    }

    /// <summary>All lines of a block.</summary>
    public static void Fetch(nint address, int bytes)
    {
        for (int offset = 0; offset < bytes; offset += LineBytes)
        {
            Fetch(address + offset);
        }
    }
}
