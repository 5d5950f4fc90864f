namespace MetaStore.Engine.Memory;

/// <summary>
/// Blocks of native memory for the records of one store: ten million of them cost the garbage collector nothing. One owner, the store's writer, allocates and
/// frees; anybody may read a block as long as it lives, which is <see cref="EpochDomain"/>'s business. Blocks come from slabs by size class, and freed ones
/// are handed out again; a slab is given back only with the whole arena, so a block's address stays readable even then when nobody should read it any more.
/// Addresses are multiples of 16.
/// </summary>
internal sealed unsafe class NativeArena : IDisposable
{
    private const int FirstSlabBytes = 64 << 10;
    private const int LargestSlabBytes = 4 << 20;

    private readonly nint[] _free = new nint[SizeClasses.Count];
    private readonly List<NativeBlock> _slabs = [];
    private readonly Dictionary<nint, NativeBlock> _large = [];
    private readonly BlockGuard? _guard = MemoryChecks.Enabled ? new BlockGuard() : null;
    private byte* _next;
    private byte* _end;
    private int _slabBytes = FirstSlabBytes;
    private bool _disposed;

    /// <summary>Bytes asked for that have not been freed.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>Blocks that have not been freed.</summary>
    public long LiveBlocks { get; private set; }

    /// <summary>Bytes taken from the system.</summary>
    public long ReservedBytes { get; private set; }

    /// <summary>A block of at least so many bytes (at least one). What is in it is anybody's guess.</summary>
    public nint Allocate(int bytes)
    {
        Invariant.Check(bytes > 0 && !_disposed, $"{bytes} bytes are asked of an arena");
        LiveBytes += bytes;
        LiveBlocks++;
        return _guard is null ? Take(bytes) : _guard.Begin(Take(bytes + BlockGuard.Overhead), bytes);
    }

    /// <summary>Gives back a block that <see cref="Allocate"/> returned for so many bytes.</summary>
    public void Free(nint address, int bytes)
    {
        LiveBytes -= bytes;
        LiveBlocks--;
        if (_guard is null)
        {
            GiveBack(address, bytes);
            return;
        }

        _guard.End(address, bytes);
        while (_guard.TryDequeue(out nint block, out int blockBytes))
        {
            GiveBack(block, blockBytes);
        }
    }

    public void Dispose()
    {
        _disposed = true;
        _slabs.ForEach(slab => slab.Dispose());
        foreach (NativeBlock block in _large.Values)
        {
            block.Dispose();
        }
    }

    private nint Take(int bytes)
    {
        if (bytes > SizeClasses.LargestBytes)
        {
            NativeBlock large = Reserve(bytes);
            _large.Add(large.Address, large);
            return large.Address;
        }

        int sizeClass = SizeClasses.Of(bytes);
        nint block = _free[sizeClass];
        if (block != 0)
        {
            nint next = *(nint*)block;
            _free[sizeClass] = next;
            CacheLines.Fetch(next, SizeClasses.BytesOf(sizeClass)); // Whoever is next writes to it, wherever it may lie.
            return block;
        }

        int size = SizeClasses.BytesOf(sizeClass);
        if (_end - _next < size)
        {
            AddSlab(size);
        }

        block = (nint)_next;
        _next += size;
        return block;
    }

    private void GiveBack(nint block, int bytes)
    {
        if (bytes > SizeClasses.LargestBytes)
        {
            bool isOurs = _large.Remove(block, out NativeBlock? large) && large.Bytes == bytes;
            Invariant.Check(isOurs, $"a large block of {bytes} bytes is not this arena's");
            ReservedBytes -= bytes;
            large!.Dispose();
            return;
        }

        int sizeClass = SizeClasses.Of(bytes);
        *(nint*)block = _free[sizeClass];
        _free[sizeClass] = block;
    }

    /// <summary>What is left of the slab before goes to waste: less than one block.</summary>
    private void AddSlab(int atLeast)
    {
        NativeBlock slab = Reserve(Math.Max(_slabBytes, atLeast));
        _slabs.Add(slab);
        _next = (byte*)slab.Address;
        _end = _next + slab.Bytes;
        _slabBytes = Math.Min(_slabBytes * 2, LargestSlabBytes);
    }

    private NativeBlock Reserve(int bytes)
    {
        ReservedBytes += bytes;
        return new NativeBlock(bytes);
    }
}
