using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MetaStore.Engine.Memory;

/// <summary>Memory from the system. Goes back when it is disposed of, or when nobody refers to this object any more, as happens to a store that was exchanged for another.</summary>
internal sealed unsafe class NativeBlock : SafeHandleZeroOrMinusOneIsInvalid
{
    private const nuint Alignment = 64;

    public NativeBlock(int bytes)
        : base(ownsHandle: true)
    {
        Bytes = bytes;
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment));
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
}
