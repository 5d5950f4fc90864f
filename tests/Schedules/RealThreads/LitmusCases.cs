using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.RealThreads;

/// <summary>The fences of the pieces, each with a twin that lacks it.</summary>
internal static class LitmusCases
{
    /// <summary>A reader enters and takes the cell while the writer replaces it and looks who is inside: both missed each other where the old cell is free and held.</summary>
    public static long Epochs(Func<IEpochs> create, TimeSpan time, out long rounds)
    {
        IEpochs epochs = create();
        long current = 0;
        long held = 0;
        bool isFreed = false;
        int slot = 0;
        return Litmus.Run(
            () =>
            {
                slot = epochs.Enter();
                held = Volatile.Read(ref current);
            },
            () =>
            {
                Volatile.Write(ref current, 1);
                long epoch = epochs.Advance();
                isFreed = epochs.SafeThrough() >= epoch;
            },
            () =>
            {
                bool missed = isFreed && held == 0;
                epochs.Leave(slot);
                current = 0;
                return missed;
            },
            time,
            out rounds);
    }

    /// <summary>The watch loop holds and looks, the apply loop compacts and asks: both missed each other where nobody knows of the other.</summary>
    public static long Hold(IHold hold, TimeSpan time, out long rounds)
    {
        long compactRevision = 0;
        long seen = 0;
        long asked = 0;
        return Litmus.Run(
            () =>
            {
                hold.Revision = 1;
                seen = Volatile.Read(ref compactRevision);
            },
            () =>
            {
                Volatile.Write(ref compactRevision, 2);
                asked = hold.Revision;
            },
            () =>
            {
                bool missed = seen == 0 && asked == long.MaxValue;
                hold.Revision = long.MaxValue;
                compactRevision = 0;
                return missed;
            },
            time,
            out rounds);
    }
}

/// <summary>What <see cref="HistoryHold"/> does, for it and its twin.</summary>
internal interface IHold
{
    long Revision { get; set; }
}

internal sealed class RealHold : IHold
{
    private readonly HistoryHold _hold = new();

    public long Revision
    {
        get => _hold.Revision;
        set => _hold.Revision = value;
    }
}

/// <summary>A frozen copy of <see cref="HistoryHold"/> without its fences.</summary>
internal sealed class UnfencedHold : IHold
{
    private long _revision = long.MaxValue;

    public long Revision
    {
        get => Volatile.Read(ref _revision);
        set => Volatile.Write(ref _revision, value);
    }
}

/// <summary>A frozen copy of <see cref="EpochDomain"/> for one reader, whose entering is a store and no exchange.</summary>
internal sealed class UnfencedEpochs : IEpochs
{
    private const long Outside = 0;

    private long _slot;
    private long _epoch = 1;

    public int Enter()
    {
        Volatile.Write(ref _slot, Volatile.Read(ref _epoch));
        return 0;
    }

    public void Leave(int slot) => Volatile.Write(ref _slot, Outside);

    public long Advance() => Interlocked.Increment(ref _epoch) - 1;

    public long SafeThrough()
    {
        long epoch = Volatile.Read(ref _slot);
        return (epoch == Outside ? Volatile.Read(ref _epoch) : epoch) - 1;
    }
}
