using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MetaStore.Engine.Memory;

/// <summary>
/// Memory from the system. Goes back when it is disposed of, or when nobody refers to this object any more, as happens to a store that was exchanged for another. Large
/// blocks ask for large pages, where the system has them: reads that jump about in gigabytes of records wait as long for the tables of small pages as for the records.
/// </summary>
internal sealed unsafe partial class NativeBlock : SafeHandleZeroOrMinusOneIsInvalid
{
    private const nuint LargePageBytes = 2 << 20;
    private const nuint Alignment = 64;
    private const int AdviseHugePage = 14;

    public NativeBlock(int bytes)
        : base(ownsHandle: true)
    {
        Bytes = bytes;
        bool isLarge = (nuint)bytes >= LargePageBytes;
        nuint small = bytes % ArenaPage.Bytes == 0 ? ArenaPage.Bytes : Alignment;
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)bytes, isLarge ? LargePageBytes : small));
        if (isLarge && OperatingSystem.IsLinux())
        {
            _ = Advise(handle, (nuint)bytes, AdviseHugePage); // Where it is refused, small pages do.
        }

        GC.AddMemoryPressure(bytes);
    }

    public int Bytes { get; }

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
