using System.Buffers;
using System.Collections.Concurrent;

namespace MetaStore.Etcd.Http;

/// <summary>
/// Buffers of one size for the pipes of connections, kept for the next who asks: a block is its own owner, so that renting one allocates nothing.
/// Larger ones come from the shared pool.
/// </summary>
/// <param name="blocksMax">Blocks kept at most; beyond it they go to the collector.</param>
internal sealed class BlockPool(int blocksMax) : MemoryPool<byte>
{
    /// <summary>What a pipe asks for when it does not say.</summary>
    public const int BlockBytes = 4096;

    private readonly ConcurrentQueue<Block> _idle = new();
    private int _idleCount;

    /// <inheritdoc/>
    public override int MaxBufferSize => Shared.MaxBufferSize;

    /// <inheritdoc/>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        if (minBufferSize > BlockBytes)
        {
            return Shared.Rent(minBufferSize);
        }

        if (_idle.TryDequeue(out Block? block))
        {
            Interlocked.Decrement(ref _idleCount);
            block.Begin();
            return block;
        }

        return new Block(this);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _idle.Clear();

    private void Return(Block block)
    {
        if (Interlocked.Increment(ref _idleCount) > blocksMax)
        {
            Interlocked.Decrement(ref _idleCount);
            return;
        }

        _idle.Enqueue(block);
    }

    // Pinned, for a socket reads into it, and would pin it each time.
    private sealed class Block(BlockPool owner) : IMemoryOwner<byte>
    {
        private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true);
        private int _isRented = 1;

        public Memory<byte> Memory => _bytes;

        public void Begin() => Volatile.Write(ref _isRented, 1);

        public void Dispose()
        {
            Invariant.Check(Interlocked.Exchange(ref _isRented, 0) == 1, "A block is returned twice: two connections would write into it.");
            owner.Return(this);
        }
    }
}
