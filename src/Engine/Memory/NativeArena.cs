namespace MetaStore.Engine.Memory;

/// <summary>
/// Blocks of native memory for the records of one store: ten million of them cost the garbage collector nothing. One owner, the store's writer, allocates and
/// frees; anybody may read a block as long as it lives, which is <see cref="EpochDomain"/>'s business. Blocks come from pages of one size class each, and freed ones
/// are handed out again; a page that has none in use any more serves whatever class comes next, so that memory follows when the sizes of values change. Pages come from slabs, and a slab is given back only with the whole arena,
/// so a block's address stays readable even then when nobody should read it any more. Addresses are multiples of 16.
/// </summary>
internal sealed class NativeArena : IDisposable
{
    private const int FirstSlabBytes = ArenaPage.Bytes;
    private const int LargestSlabBytes = 4 << 20;

    private readonly ArenaPage[] _open = new ArenaPage[SizeClasses.Count]; // Of each class the first of the pages that have room, which are linked.
    private readonly List<NativeBlock> _slabs = [];
    private readonly Dictionary<nint, NativeBlock> _large = [];
    private readonly BlockGuard? _guard = MemoryChecks.Enabled ? new BlockGuard() : null;
    private ArenaPage _empty; // The first of the pages that serve no class, which are linked.
    private nint _next;
    private nint _end;
    private int _slabBytes = FirstSlabBytes;
    private bool _disposed;

    /// <summary>Bytes asked for that have not been freed.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>Blocks that have not been freed.</summary>
    public long LiveBlocks { get; private set; }

    /// <summary>Bytes taken from the system.</summary>
    public long ReservedBytes { get; private set; }

    /// <summary>A block of at least so many bytes (at least one). What is in it is anybody's guess.</summary>
    public nint Allocate(long bytes)
    {
        Invariant.Check(bytes > 0 && !_disposed, $"{bytes} bytes are asked of an arena");
        LiveBytes += bytes;
        LiveBlocks++;
        return _guard is null ? Take(bytes) : _guard.Begin(Take(bytes + BlockGuard.Overhead), bytes);
    }

    /// <summary>Gives back a block that <see cref="Allocate"/> returned for so many bytes.</summary>
    public void Free(nint address, long bytes)
    {
        LiveBytes -= bytes;
        LiveBlocks--;
        if (_guard is null)
        {
            GiveBack(address, bytes);
            return;
        }

        _guard.End(address, bytes);
        while (_guard.TryDequeue(out nint block, out long blockBytes))
        {
            GiveBack(block, blockBytes);
        }
    }

    /// <summary>Takes over all blocks and pages of another arena, which is not to be used any more.</summary>
    public void Adopt(NativeArena other)
    {
        Invariant.Check(!_disposed && !other._disposed && other != this, "an arena that is no other one, or none any more, is taken over");
        for (; other._next < other._end; other._next += ArenaPage.Bytes)
        {
            PutBy(new ArenaPage(other._next)); // Never begun.
        }

        for (int sizeClass = 0; sizeClass < other._open.Length; sizeClass++)
        {
            while (other._open[sizeClass] is { IsNull: false } page)
            {
                other.Close(page);
                if (page.Used == 0)
                {
                    PutBy(page);
                }
                else
                {
                    Open(page);
                }
            }
        }

        while (other._empty is { IsNull: false } page)
        {
            other._empty = page.Next;
            PutBy(page);
        }

        _slabs.AddRange(other._slabs);
        other._slabs.Clear();
        foreach ((nint address, NativeBlock block) in other._large)
        {
            _large.Add(address, block);
        }

        other._large.Clear();
        _guard?.Adopt(other._guard!);
        LiveBytes += other.LiveBytes;
        LiveBlocks += other.LiveBlocks;
        ReservedBytes += other.ReservedBytes;
        other._disposed = true;
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

    private nint Take(long bytes)
    {
        if (bytes > SizeClasses.LargestBytes)
        {
            NativeBlock large = Reserve(bytes);
            _large.Add(large.Address, large);
            return large.Address;
        }

        int sizeClass = SizeClasses.Of((int)bytes);
        ArenaPage page = _open[sizeClass];
        if (page.IsNull)
        {
            page = TakePage();
            page.Begin(sizeClass);
            Open(page);
        }

        nint block = page.Take();
        if (page.IsFull)
        {
            Close(page);
        }

        return block;
    }

    private void GiveBack(nint block, long bytes)
    {
        if (bytes > SizeClasses.LargestBytes)
        {
            bool isOurs = _large.Remove(block, out NativeBlock? large) && large.Bytes == bytes;
            Invariant.Check(isOurs, $"a large block of {bytes} bytes is not this arena's");
            ReservedBytes -= bytes;
            large!.Dispose();
            return;
        }

        var page = ArenaPage.Of(block);
        Invariant.Check(page.SizeClass == SizeClasses.Of((int)bytes), $"a block of {bytes} bytes is given back to a page of others");
        bool wasFull = page.IsFull;
        page.GiveBack(block);
        if (wasFull)
        {
            Open(page);
        }

        bool isOnlyOne = page.Next.IsNull && page.Previous.IsNull;
        if (page.Used == 0 && !isOnlyOne)
        {
            Close(page);
            PutBy(page);
        }
    }

    /// <summary>The page has no block in use, and is linked nowhere: it serves whichever class is next to want one.</summary>
    private void PutBy(ArenaPage page)
    {
        page.Next = _empty;
        _empty = page;
    }

    /// <summary>The page, which has room, is the first that blocks of its class are taken from.</summary>
    private void Open(ArenaPage page)
    {
        ArenaPage next = _open[page.SizeClass];
        page.Previous = default;
        page.Next = next;
        if (!next.IsNull)
        {
            next.Previous = page;
        }

        _open[page.SizeClass] = page;
    }

    /// <summary>Nothing is taken from the page any more: it has no room, or no block in use.</summary>
    private void Close(ArenaPage page)
    {
        ArenaPage previous = page.Previous;
        ArenaPage next = page.Next;
        if (previous.IsNull)
        {
            _open[page.SizeClass] = next;
        }
        else
        {
            previous.Next = next;
        }

        if (!next.IsNull)
        {
            next.Previous = previous;
        }

        page.Next = default;
        page.Previous = default;
    }

    private ArenaPage TakePage()
    {
        if (!_empty.IsNull)
        {
            ArenaPage page = _empty;
            _empty = page.Next;
            return page;
        }

        if (_end == _next)
        {
            NativeBlock slab = Reserve(_slabBytes);
            _slabs.Add(slab);
            _next = slab.Address;
            _end = _next + (nint)slab.Bytes;
            _slabBytes = Math.Min(_slabBytes * 2, LargestSlabBytes);
        }

        var fresh = new ArenaPage(_next);
        _next += ArenaPage.Bytes;
        return fresh;
    }

    private NativeBlock Reserve(long bytes)
    {
        ReservedBytes += bytes;
        return new NativeBlock(bytes);
    }
}
