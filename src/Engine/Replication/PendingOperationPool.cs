using MetaStore.Engine.Memory;
using Microsoft.Extensions.ObjectPool;

namespace MetaStore.Engine.Replication;

/// <summary>The pool of wait handles. Counts what is out: at rest that is zero, and a leak fails the tests.</summary>
internal sealed class PendingOperationPool
{
    private readonly DefaultObjectPool<PendingOperation> _pool;
    private long _rented;
    private long _writes;
    private long _writeBytes;

    /// <param name="runContinuationsAsynchronously">
    /// True in production: a caller's continuation must not run on the apply loop. False in the simulator, where there is one thread.
    /// </param>
    /// <param name="retained">Idle handles kept at most.</param>
    public PendingOperationPool(bool runContinuationsAsynchronously, int retained = 16384)
    {
        RunContinuationsAsynchronously = runContinuationsAsynchronously;
        _pool = new DefaultObjectPool<PendingOperation>(new Policy(this), retained);
    }

    public bool RunContinuationsAsynchronously { get; }

    /// <summary>Handles that somebody still holds.</summary>
    public long Rented => Interlocked.Read(ref _rented);

    /// <summary>Those of them that are writes.</summary>
    public long Writes => Interlocked.Read(ref _writes);

    /// <summary>Bytes of the writes.</summary>
    public long WriteBytes => Interlocked.Read(ref _writeBytes);

    /// <param name="isWrite">It counts among the writes.</param>
    /// <param name="bytes">For so many bytes.</param>
    public PendingOperation Rent(bool isWrite = false, int bytes = 0)
    {
        SchedulePoint.Hit();
        Interlocked.Increment(ref _rented);
        PendingOperation operation = _pool.Get();
        operation.IsWrite = isWrite;
        operation.WriteBytes = bytes;
        if (isWrite)
        {
            Interlocked.Increment(ref _writes);
            Interlocked.Add(ref _writeBytes, bytes);
        }

        return operation;
    }

    public void Return(PendingOperation operation)
    {
        Interlocked.Decrement(ref _rented);
        if (operation.IsWrite)
        {
            Interlocked.Decrement(ref _writes);
            Interlocked.Add(ref _writeBytes, -operation.WriteBytes);
        }

        _pool.Return(operation);
    }

    private sealed class Policy(PendingOperationPool owner) : PooledObjectPolicy<PendingOperation>
    {
        public override PendingOperation Create() => new(owner);

        public override bool Return(PendingOperation obj) => true;
    }
}
