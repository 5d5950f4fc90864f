using System.Runtime.InteropServices;
using MetaStore.Engine.Memory;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>What <see cref="StoreMemory"/> does, for it and its twins.</summary>
internal interface IReclaimer : IDisposable
{
    /// <summary>Runs the body as a reader's stay.</summary>
    void Stay(Action body);

    nint Allocate(int bytes);

    void Retire(nint address, int bytes);

    void Published();

    int Retired { get; }

    long LiveBlocks { get; }
}

internal sealed class RealReclaimer : IReclaimer
{
    private readonly StoreMemory _memory = new();

    public int Retired => _memory.Retired;

    public long LiveBlocks => _memory.LiveBlocks;

    public void Stay(Action body)
    {
        using ReadSection section = _memory.Enter();
        body();
    }

    public nint Allocate(int bytes) => _memory.Allocate(bytes);

    public void Retire(nint address, int bytes) => _memory.Retire(address, bytes);

    public void Published() => _memory.Published();

    public void Dispose() => _memory.Dispose();
}

/// <summary>What the two sides of the scenario may get wrong, whatever the memory does.</summary>
internal enum ReclaimOrder
{
    Right,

    /// <summary>A reader takes the address, and then enters.</summary>
    ReadsBeforeItEnters,

    /// <summary>A reader looks once more when it has left.</summary>
    ReadsAfterItLeft,

    /// <summary>The writer says that it has published, and then does.</summary>
    ReclaimsBeforeItPublishes,
}

/// <summary>
/// A writer publishes one block after the other in native memory, as the store does its records; readers follow the address. What they find is a block in use, and whole; when
/// all have left, one block is.
/// </summary>
internal sealed class ReclaimScenario : Scenario
{
    private const int Replacements = 2;
    private const int Bytes = 40;

    private readonly Func<IReclaimer> _create;
    private readonly ReclaimOrder _order;
    private readonly Action _look;
    private IReclaimer _memory = null!;
    private nint _current;

    public ReclaimScenario(Func<IReclaimer> create, int readers, ReclaimOrder order = ReclaimOrder.Right)
    {
        _create = create;
        _order = order;
        _look = () => Look(Take());
        Threads = ["writer", .. Enumerable.Range(1, readers).Select(i => $"reader {i}")];
    }

    public override IReadOnlyList<string> Threads { get; }

    public override void Begin()
    {
        _memory = _create();
        _current = NewBlock(0);
    }

    public override void Run(int thread)
    {
        if (thread == 0)
        {
            Write();
        }
        else if (_order == ReclaimOrder.ReadsBeforeItEnters)
        {
            nint address = Take();
            _memory.Stay(() => Look(address));
        }
        else
        {
            _memory.Stay(_look);
            if (_order == ReclaimOrder.ReadsAfterItLeft)
            {
                Look(Take());
            }
        }
    }

    public override void End()
    {
        _memory.Published();
        Require(_memory.Retired == 0, $"{_memory.Retired} blocks are never freed");
        Require(_memory.LiveBlocks == 1, $"{_memory.LiveBlocks} blocks are in use, not one");
        Look(_current);
    }

    public override void Discard() => _memory.Dispose();

    private void Write()
    {
        for (int i = 1; i <= Replacements; i++)
        {
            nint old = _current;
            nint next = NewBlock(i);
            _memory.Retire(old, Bytes);
            if (_order == ReclaimOrder.ReclaimsBeforeItPublishes)
            {
                _memory.Published();
            }

            SchedulePoint.Hit();
            Volatile.Write(ref _current, next);
            if (_order != ReclaimOrder.ReclaimsBeforeItPublishes)
            {
                _memory.Published();
            }
        }
    }

    private nint NewBlock(long content)
    {
        nint address = _memory.Allocate(Bytes);
        Marshal.WriteInt64(address, content);
        Marshal.WriteInt64(address + Bytes - sizeof(long), ~content);
        return address;
    }

    private nint Take()
    {
        SchedulePoint.Hit();
        return Volatile.Read(ref _current);
    }

    private static void Look(nint address)
    {
        SchedulePoint.Hit();
        BlockGuard.Check(address);
        long content = Marshal.ReadInt64(address);
        SchedulePoint.Hit();
        BlockGuard.Check(address);
        Require(Marshal.ReadInt64(address + Bytes - sizeof(long)) == ~content, "half a block");
    }
}
