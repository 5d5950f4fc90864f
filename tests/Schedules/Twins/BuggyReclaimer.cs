using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.Twins;

internal enum ReclaimBug
{
    /// <summary>The copy itself is sound.</summary>
    None,

    /// <summary>What was retired is freed with the next publishing, whoever is inside.</summary>
    AsksNobody,

    /// <summary>What was retired is counted to the epoch before.</summary>
    RetiresIntoTheEpochBefore,

    /// <summary>What is behind one that has to wait is forgotten.</summary>
    ForgetsWhatWaits,
}

/// <summary>A frozen copy of <see cref="StoreMemory"/>, with a bug.</summary>
internal sealed class BuggyReclaimer(ReclaimBug bug) : IReclaimer
{
    private readonly NativeArena _arena = new();
    private readonly EpochDomain _epochs = new();
    private readonly Queue<(long Epoch, nint Address, int Bytes)> _retired = new();
    private readonly List<(nint Address, int Bytes)> _unreachableSoon = [];

    public int Retired => _retired.Count + _unreachableSoon.Count;

    public long LiveBlocks => _arena.LiveBlocks;

    public void Stay(Action body)
    {
        int slot = _epochs.Enter();
        try
        {
            body();
        }
        finally
        {
            _epochs.Leave(slot);
        }
    }

    public nint Allocate(int bytes) => _arena.Allocate(bytes);

    public void Retire(nint address, int bytes) => _unreachableSoon.Add((address, bytes));

    public void Published()
    {
        if (_unreachableSoon.Count > 0)
        {
            long epoch = _epochs.Advance() - (bug == ReclaimBug.RetiresIntoTheEpochBefore ? 1 : 0);
            foreach ((nint address, int bytes) in _unreachableSoon)
            {
                _retired.Enqueue((epoch, address, bytes));
            }

            _unreachableSoon.Clear();
        }

        long safe = bug == ReclaimBug.AsksNobody ? _epochs.Current : _epochs.SafeThrough();
        while (_retired.TryPeek(out (long Epoch, nint Address, int Bytes) oldest) && oldest.Epoch <= safe)
        {
            _retired.Dequeue();
            _arena.Free(oldest.Address, oldest.Bytes);
        }

        if (bug == ReclaimBug.ForgetsWhatWaits)
        {
            _retired.Clear();
        }
    }

    public void Dispose() => _arena.Dispose();
}
