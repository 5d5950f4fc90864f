namespace MetaStore.Engine.Memory;

/// <summary>
/// The native memory of one store: its blocks, and who may still be looking at those that are out of use. Everything but <see cref="Enter"/> is the writer's.
/// </summary>
internal sealed class StoreMemory : IDisposable
{
    private const int FreedAtOnce = 4096;

    private readonly NativeArena _arena = new();
    private readonly EpochDomain _epochs = new();
    private readonly Queue<(long Epoch, nint Address, long Bytes)> _retired = new();
    private readonly List<(nint Address, long Bytes)> _unreachableSoon = [];

    /// <summary>Bytes in use, those included that wait for their last reader.</summary>
    public long LiveBytes => _arena.LiveBytes;

    /// <summary>Blocks in use, those included that wait for their last reader.</summary>
    public long LiveBlocks => _arena.LiveBlocks;

    /// <summary>Bytes taken from the system.</summary>
    public long ReservedBytes => _arena.ReservedBytes;

    /// <summary>Blocks that wait for their last reader.</summary>
    public int Retired => _retired.Count + _unreachableSoon.Count;

    /// <summary>Begins a reader's stay. What it finds stays what it is until it is disposed. Any thread.</summary>
    public ReadSection Enter() => new(this, _epochs.Enter());

    public nint Allocate(long bytes) => _arena.Allocate(bytes);

    /// <summary>A block that nobody but the writer has ever seen.</summary>
    public void Free(nint address, long bytes) => _arena.Free(address, bytes);

    /// <summary>A block that nobody will find any more who looks at the next published view.</summary>
    public void Retire(nint address, long bytes) => _unreachableSoon.Add((address, bytes));

    /// <summary>
    /// The view that leads to none of the retired blocks is published: frees those that no reader can hold. Twice as many as were retired since the last time, and some more: what a
    /// long reader held back is not freed in one go when it leaves, and yet all is freed in the end.
    /// </summary>
    public void Published()
    {
        int most = FreedAtOnce + (2 * _unreachableSoon.Count);
        if (_unreachableSoon.Count > 0)
        {
            long epoch = _epochs.Advance();
            foreach ((nint address, long bytes) in _unreachableSoon)
            {
                _retired.Enqueue((epoch, address, bytes));
            }

            _unreachableSoon.Clear();
        }

        Reclaim(most);
    }

    /// <summary>Frees some of what has lost its last reader; true where there was something, so that there may be more.</summary>
    public bool Reclaim() => Reclaim(FreedAtOnce);

    /// <summary>
    /// Takes over all blocks of another memory, which is not to be used any more. Who fills a store that nobody has seen yet may give each thread a memory of its own, and join them in the end.
    /// </summary>
    public void Adopt(StoreMemory other)
    {
        Invariant.Check(other.Retired == 0, $"{other.Retired} blocks that wait for their readers cannot change hands");
        _arena.Adopt(other._arena);
    }

    /// <summary>Everything at once. Nobody reads or writes any more.</summary>
    public void Dispose() => _arena.Dispose();

    internal void Leave(int slot) => _epochs.Leave(slot);

    private bool Reclaim(int most)
    {
        if (_retired.Count == 0)
        {
            return false;
        }

        long safe = _epochs.SafeThrough();
        int left = most;
        while (left > 0 && _retired.TryPeek(out (long Epoch, nint Address, long Bytes) oldest) && oldest.Epoch <= safe)
        {
            _retired.Dequeue();
            _arena.Free(oldest.Address, oldest.Bytes);
            left--;
        }

        return left < most;
    }
}

/// <summary>
/// A reader's stay in a store's memory (see <see cref="EpochDomain"/>). It holds on to the memory itself as well, so that a store that was exchanged for another
/// is not given back under a reader's hands.
/// </summary>
internal readonly ref struct ReadSection(StoreMemory memory, int slot)
{
    public void Dispose() => memory.Leave(slot);
}
