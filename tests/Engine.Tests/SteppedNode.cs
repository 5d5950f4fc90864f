using MetaStore.Engine.Hosting;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Snapshots;
using MetaStore.Raft;
using MetaStore.Testing;
using MetaStore.Wal;

namespace MetaStore.Engine.Tests;

/// <summary>A whole single node on a memory disk, whose loops are stepped by the test's thread until nothing is left to do.</summary>
internal sealed class SteppedNode : SteppedStore, IDisposable
{
    private readonly SnapshotOptions _snapshots;
    private readonly ProposerOptions _proposer;
    private readonly bool _stepEagerly;
    private readonly int _sessionsMax;
    private readonly WatchOptions _watches;
    private readonly AutoCompactionOptions _autoCompaction;
    private ulong _seed = 1;

    public SteppedNode(
        SnapshotOptions? snapshots = null,
        ProposerOptions? proposer = null,
        bool stepEagerly = true,
        int sessionsMax = 100,
        WatchOptions? watches = null,
        AutoCompactionOptions? autoCompaction = null)
    {
        _autoCompaction = autoCompaction ?? new AutoCompactionOptions();
        _snapshots = snapshots ?? new SnapshotOptions();
        _proposer = proposer ?? ProposerOptions.LowLatency;
        _stepEagerly = stepEagerly;
        _sessionsMax = sessionsMax;
        _watches = watches ?? new WatchOptions();
        Core = Open();
    }

    public FaultyDisk Disk { get; } = new(new Random(1));

    public NodeCore Core { get; private set; }

    /// <summary>How often each loop was signalled, by its name.</summary>
    public Dictionary<string, int> Signals { get; } = new(StringComparer.Ordinal);

    protected override IMetaStore Door => Core;

    /// <summary>Stops without ceremony, as a killed process does, and comes back from what is on the disk.</summary>
    public void Restart(CrashPolicy policy)
    {
        Disk.Crash(policy);
        Core = Open();
    }

    /// <inheritdoc/>
    public override void Settle() => Settle(except: null);

    /// <summary>As <see cref="Settle()"/>, while one of them stands still.</summary>
    public void Settle(string? except)
    {
        bool worked = true;
        while (worked)
        {
            worked = false;
            foreach (ILoop loop in Core.Loops.Where(loop => loop.Name != except))
            {
                worked |= loop.RunOnce();
            }

            if (Core.Failure.Cause is Exception cause)
            {
                throw cause;
            }
        }
    }

    /// <summary>Lets time pass, in steps of a heartbeat.</summary>
    public void Pass(TimeSpan time)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromMilliseconds(100))
        {
            Time.Advance(TimeSpan.FromMilliseconds(100));
            Settle();
        }
    }

    public void Dispose() => Core.Dispose();

    private NodeCore Open()
    {
        var member = new Member(1, "n1", [], []);
        var core = new NodeCore(
            new NodeSettings
            {
                Name = "n1",
                ClusterId = 7,
                NodeId = new NodeId(member.Id),
                Members = [member],
                DataDirectory = "/data",
                Seed = _seed++,
                Snapshots = _snapshots,
                Proposer = _proposer,
                SessionsMax = _sessionsMax,
                Watches = _watches,
                AutoCompaction = _autoCompaction,
                Wal = new WalOptions { SegmentBytes = 64 << 10 },
            },
            new NodeSeams
            {
                Disk = Disk,
                Transport = new Nowhere(),
                Time = Time,
                Parts = new InlineForkJoin(2),
                Signals = loop => new CountedSignal(() => Signals[loop] = Signals.GetValueOrDefault(loop) + 1),
                RunContinuationsAsynchronously = false,
            });
        Core = core;
        if (_stepEagerly)
        {
            for (int i = 0; i < 10_000 && core.Node.Status.Leader.IsNone; i++)
            {
                Time.Advance(TimeSpan.FromMilliseconds(100));
                Settle();
            }

            Assert.False(core.Node.Status.Leader.IsNone, "a single node leads itself");
        }

        return core;
    }

    /// <summary>Stands still until it is moved on. Timers that fall due then fire on the test's thread.</summary>
    internal sealed class ManualTime : TimeProvider
    {
        private readonly List<ManualTimer> _timers = [];
        private long _now = 1;

        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan by)
        {
            _now += (long)(by.TotalSeconds * TimestampFrequency);
            while (_timers.Find(timer => timer.Due <= _now) is { } due)
            {
                due.Fire();
            }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new ManualTimer(this, () => callback(state));
            timer.Change(dueTime, period);
            return timer;
        }

        private sealed class ManualTimer(ManualTime time, Action callback) : ITimer
        {
            public long Due { get; private set; }

            public void Fire()
            {
                time._timers.Remove(this);
                callback();
            }

            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                Assert.Equal(Timeout.InfiniteTimeSpan, period);
                time._timers.Remove(this);
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    Due = time._now + (long)(dueTime.TotalSeconds * time.TimestampFrequency);
                    time._timers.Add(this);
                }

                return true;
            }

            public void Dispose() => time._timers.Remove(this);

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }

    private sealed class CountedSignal(Action set) : ILoopSignal
    {
        public void Set() => set();
    }

    private sealed class Nowhere : IPeerTransport
    {
        public void Send(GroupId group, Message message) => throw new InvalidOperationException("a single node has no peers");

        public void SetMembers(IReadOnlyCollection<Member> members, IReadOnlyCollection<ulong> removed)
        {
            // Nobody else is there.
        }
    }
}
