using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Memory from the system. Goes back when it is disposed of, or when nobody refers to this object any more, as happens to a store that was exchanged for another. Large
/// blocks ask for large pages, where the system has them: reads that jump about in gigabytes of records wait as long for the tables of small pages as for the records. And for all of their pages at once:
/// the first touch of one may take milliseconds, and from managed code it is a time in which the garbage collector cannot stop that thread, so that all others wait for it; in a call of the system they do not.
/// </summary>
internal sealed unsafe partial class NativeBlock : SafeHandleZeroOrMinusOneIsInvalid
{
    private const nuint LargePageBytes = 2 << 20;
    private const nuint Alignment = 64;
    private const int AdviseHugePage = 14;
    private const int AdvisePopulateWrite = 23;

    public NativeBlock(long bytes)
        : base(ownsHandle: true)
    {
        Bytes = bytes;
        bool isLarge = (nuint)bytes >= LargePageBytes;
        nuint small = bytes % ArenaPage.Bytes == 0 ? ArenaPage.Bytes : Alignment;
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)bytes, isLarge ? LargePageBytes : small));
        if (isLarge && OperatingSystem.IsLinux())
        {
            _ = Advise(handle, (nuint)bytes, AdviseHugePage); // Where it is refused, small pages do.
            _ = Advise(handle, (nuint)bytes, AdvisePopulateWrite); // Where it is refused (before Linux 5.14), the first touch does it.
        }

        GC.AddMemoryPressure(bytes);
    }

    public long Bytes { get; }

    public nint Address => handle;

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        GC.RemoveMemoryPressure(Bytes);
        return true;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint bytes, int advice);
}
