using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What <see cref="EpochDomain"/> does, for it and its twins.</summary>
internal interface IEpochs
{
    int Enter();

    void Leave(int slot);

    long Advance();

    long SafeThrough();
}

internal sealed class RealEpochs : IEpochs
{
    private readonly EpochDomain _epochs = new();

    public int Enter() => _epochs.Enter();

    public void Leave(int slot) => _epochs.Leave(slot);

    public long Advance() => _epochs.Advance();

    public long SafeThrough() => _epochs.SafeThrough();
}

/// <summary>
/// A writer replaces a cell, and frees the old ones when the epochs say so; readers come and go. Nobody may hold a cell that is free, no two readers a slot, and when all have left
/// all but the last cell are free.
/// </summary>
internal sealed class EpochScenario(Func<IEpochs> create, int readers, int stays) : Scenario
{
    private const int Replacements = 2;

    private readonly bool[] _freed = new bool[Replacements + 1];
    private readonly bool[] _held = new bool[EpochDomain.Slots];
    private readonly Queue<(long Epoch, int Cell)> _retired = new();
    private IEpochs _epochs = null!;
    private int _current;

    public override IReadOnlyList<string> Threads { get; } = ["writer", .. Enumerable.Range(1, readers).Select(i => $"reader {i}")];

    public override void Begin()
    {
        _epochs = create();
        _current = 0;
        _freed.AsSpan().Clear();
        _held.AsSpan().Clear();
        _retired.Clear();
    }

    public override void Run(int thread)
    {
        if (thread == 0)
        {
            Write();
            return;
        }

        for (int i = 0; i < stays; i++)
        {
            Read();
        }
    }

    public override void End()
    {
        _epochs.Advance();
        Free();
        Require(_retired.Count == 0, $"{_retired.Count} cells are never freed");
        Require(!_freed[_current], "the current cell was freed");
    }

    private void Write()
    {
        for (int i = 0; i < Replacements; i++)
        {
            int old = _current;
            SchedulePoint.Hit();
            Volatile.Write(ref _current, old + 1);
            _retired.Enqueue((_epochs.Advance(), old));
            Free();
        }
    }

    private void Read()
    {
        int slot = _epochs.Enter();
        Require(!_held[slot], $"two readers have slot {slot}");
        _held[slot] = true;
        SchedulePoint.Hit();
        int cell = Volatile.Read(ref _current);
        SchedulePoint.Hit();
        Require(!_freed[cell], $"cell {cell} was freed under a reader");
        SchedulePoint.Hit();
        Require(!_freed[cell], $"cell {cell} was freed under a reader");
        _held[slot] = false;
        _epochs.Leave(slot);
    }

    private void Free()
    {
        long safe = _epochs.SafeThrough();
        while (_retired.TryPeek(out (long Epoch, int Cell) oldest) && oldest.Epoch <= safe)
        {
            SchedulePoint.Hit();
            _freed[_retired.Dequeue().Cell] = true;
        }
    }
}
