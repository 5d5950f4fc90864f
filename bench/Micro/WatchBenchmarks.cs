using BenchmarkDotNet.Attributes;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Replication;
using MetaStore.Engine.Transactions;
using MetaStore.Engine.Watches;

namespace MetaStore.Micro;

/// <summary>
/// Puts that are told to watchers: applied, published, matched and taken, all on one thread, so that nothing is hidden on another core. The times are for one put; with
/// 100 watchers of everything that is 100 events told.
/// </summary>
[MemoryDiagnoser]
[SimpleJob(invocationCount: 16)]
public class WatchBenchmarks
{
    private const int Puts = 1000;
    private const int Batch = 100;
    private const int Keys = 1000;

    private readonly MvccStore _store = new();
    private readonly byte[][] _keys = [.. Enumerable.Range(0, Keys).Select(FilledStore.Key)];
    private readonly byte[] _value = new byte[FilledStore.ValueBytes];
    private readonly List<IAsyncEnumerator<WatchResponse>> _watches = [];
    private readonly List<ValueTask<bool>> _next = [];
    private RequestApplier _applier = null!;
    private WatchHub _hub = null!;
    private ulong _index;
    private int _turn;

    /// <summary>Who watches: nobody, 100 everything, 10,000 a key or a range each that is not written.</summary>
    [Params("nobody", "100 of all", "10000 of others")]
    public string Watchers { get; set; } = "nobody";

    /// <summary>Events that the watchers took; looked at so that none is left out unseen.</summary>
    public long Taken { get; private set; }

    [GlobalSetup]
    public void Begin()
    {
        _applier = new RequestApplier(_store, clusterId: 1, nodeId: 1, new AppliedCounts());
        _hub = new WatchHub(new WatchParts
        {
            Options = new WatchOptions(),
            Stores = new StoreHolder(_store),
            Failure = new NodeFailure(),
            Signal = new NoSignal(),
            Time = TimeProvider.System,
            ClusterId = 1,
            NodeId = 1,
            Term = () => 1,
            HasLeader = () => true,
            LeaderPatience = long.MaxValue / 2,
            RunContinuationsAsynchronously = false,
        });
        byte[] zero = [0];
        int count = Watchers == "nobody" ? 0 : int.Parse(Watchers.Split(' ')[0]);
        for (int i = 0; i < count; i++)
        {
            WatchRequest request = count == 100
                ? new WatchRequest { Key = zero, RangeEnd = zero }
                : new WatchRequest { Key = FilledStore.Key(Keys + i), RangeEnd = i % 2 == 0 ? default : FilledStore.Key(Keys + i + 10) };
            IAsyncEnumerator<WatchResponse> watch = _hub.Open(request, new WatchFilter(request), default, default);
            _watches.Add(watch);
            _next.Add(watch.MoveNextAsync());
        }

        Settle();
    }

    /// <summary>History is forgotten, so that what was put before weighs on nothing that comes.</summary>
    [IterationCleanup]
    public void ForgetHistory()
    {
        if (_store.Revision > _store.CompactRevision)
        {
            _applier.Apply(new CompactRequest(new Revision(_store.Revision)), wantResponse: false);
            _store.Publish(++_index, appliedTerm: 1);
        }

        while (_store.Cutter.RunSlice(int.MaxValue))
        {
        }
    }

    [Benchmark(OperationsPerInvoke = Puts)]
    public void PutAndTell()
    {
        for (int i = 0; i < Puts; i += Batch)
        {
            for (int j = 0; j < Batch; j++)
            {
                _applier.Apply(new PutRequest { Key = _keys[_turn++ % Keys], Value = _value }, wantResponse: false);
            }

            _store.Publish(++_index, appliedTerm: 1);
            _hub.Published();
            Settle();
        }
    }

    private void Settle()
    {
        while (_hub.RunOnce())
        {
        }

        for (int i = 0; i < _watches.Count && (_next[i].IsCompleted || Watchers != "10000 of others"); i++)
        {
            while (_next[i].IsCompletedSuccessfully && _next[i].Result)
            {
                Taken += _watches[i].Current.Events.Count;
                _next[i] = _watches[i].MoveNextAsync();
            }
        }
    }

    private sealed class NoSignal : ILoopSignal
    {
        public void Set()
        {
        }
    }
}
