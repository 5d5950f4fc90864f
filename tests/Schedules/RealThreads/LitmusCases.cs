using System.Diagnostics;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Schedules.Scenarios;

namespace MetaStore.Schedules.RealThreads;

/// <summary>The fences of the pieces, each with a twin that lacks it.</summary>
internal static class LitmusCases
{
    /// <summary>A reader enters and takes the cell while the writer replaces it and looks who is inside: both missed each other where the old cell is free and held.</summary>
    public static bool Epochs(Func<IEpochs> create, TimeSpan time) => Try(time, () =>
    {
        EpochPlace[] places = [.. Enumerable.Range(0, Litmus.Trials).Select(_ => new EpochPlace(create()))];
        return Litmus.Run(i => places[i].Read(), i => places[i].Replace(), i => places[i].Reset());
    });

    /// <summary>The watch loop holds and looks, the apply loop compacts and asks: both missed each other where nobody knows of the other.</summary>
    public static bool Hold(Func<IHold> create, TimeSpan time) => Try(time, () =>
    {
        HoldPlace[] places = [.. Enumerable.Range(0, Litmus.Trials).Select(_ => new HoldPlace(create()))];
        return Litmus.Run(i => places[i].Watch(), i => places[i].Compact(), i => places[i].Reset());
    });

    private static bool Try(TimeSpan time, Func<long> run)
    {
        var clock = Stopwatch.StartNew();
        bool isFound = false;
        while (!isFound && clock.Elapsed < time)
        {
            isFound = run() >= 0;
        }

        return isFound;
    }

    private sealed class EpochPlace(IEpochs epochs)
    {
        private readonly Lonely _current = new();
        private long _held;
        private int _slot;
        private bool _isFreed;

        public void Read()
        {
            _slot = epochs.Enter();
            _held = Volatile.Read(ref _current.Value);
        }

        public void Replace()
        {
            Volatile.Write(ref _current.Value, 1);
            long epoch = epochs.Advance();
            _isFreed = epochs.SafeThrough() >= epoch;
        }

        public bool Reset()
        {
            bool missed = _isFreed && _held == 0;
            epochs.Leave(_slot);
            _current.Value = 0;
            return missed;
        }
    }

    private sealed class HoldPlace(IHold hold)
    {
        private readonly Lonely _compactRevision = new();
        private long _seen;
        private long _asked;

        public void Watch()
        {
            hold.Revision = 1;
            _seen = Volatile.Read(ref _compactRevision.Value);
        }

        public void Compact()
        {
            Volatile.Write(ref _compactRevision.Value, 2);
            _asked = hold.Revision;
        }

        public bool Reset()
        {
            bool missed = _seen == 0 && _asked == long.MaxValue;
            hold.Revision = long.MaxValue;
            _compactRevision.Value = 0;
            return missed;
        }
    }
}

/// <summary>A number with cache lines of its own: two that share one are seen in their order.</summary>
internal sealed class Lonely
{
    private const int Middle = 16;

    private readonly long[] _longs = new long[2 * Middle];

    public ref long Value => ref _longs[Middle];
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
    private readonly Lonely _revision = new();

    public UnfencedHold() => _revision.Value = long.MaxValue;

    public long Revision
    {
        get => Volatile.Read(ref _revision.Value);
        set => Volatile.Write(ref _revision.Value, value);
    }
}

/// <summary>A frozen copy of <see cref="EpochDomain"/> for one reader, whose entering is a store and no exchange.</summary>
internal sealed class UnfencedEpochs : IEpochs
{
    private const long Outside = 0;

    private readonly Lonely _slot = new();
    private long _epoch = 1;

    public int Enter()
    {
        Volatile.Write(ref _slot.Value, Volatile.Read(ref _epoch));
        return 0;
    }

    public void Leave(int slot) => Volatile.Write(ref _slot.Value, Outside);

    public long Advance() => Interlocked.Increment(ref _epoch) - 1;

    public long SafeThrough()
    {
        long epoch = Volatile.Read(ref _slot.Value);
        return (epoch == Outside ? Volatile.Read(ref _epoch) : epoch) - 1;
    }
}
