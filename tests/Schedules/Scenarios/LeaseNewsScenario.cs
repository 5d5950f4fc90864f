using System.Collections.Concurrent;
using MetaStore.Engine.Leases;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;
using MetaStore.Schedules.Scheduling;

namespace MetaStore.Schedules.Scenarios;

/// <summary>In which order the two sides of <see cref="LeaseNewsQueue"/> do what they do. All but the first are wrong.</summary>
internal enum LeaseNewsOrder
{
    Right,

    /// <summary>The apply loop publishes, and then adds the news.</summary>
    AddsAfterItPublishes,

    /// <summary>The node loop takes all the news there are, and then looks at the view.</summary>
    LooksAfterItTakes,

    /// <summary>The node loop looks at the view, and then takes all the news there are.</summary>
    TakesBeyondTheView,
}

/// <summary>
/// The apply loop grants and ends leases, and the node loop hears of it. At each view by which it answers it knows those leases which that view has, no fewer and no more.
/// </summary>
internal sealed class LeaseNewsScenario(LeaseNewsOrder order) : Scenario
{
    /// <summary>What is published together: each entry grants the lease of its index, and ends another one where it says so.</summary>
    private static readonly (ulong Index, long Ended)[][] s_batches = [[(1, 0)], [(2, 1), (3, 0)], [(4, 2)]];

    private readonly SortedSet<long> _known = [];
    private LeaseNewsQueue _news = null!;
    private ConcurrentQueue<LeaseNews> _unordered = null!;
    private StoreHolder _stores = null!;

    public override IReadOnlyList<string> Threads { get; } = ["apply", "node"];

    public override void Begin()
    {
        _known.Clear();
        _news = new LeaseNewsQueue();
        _unordered = new ConcurrentQueue<LeaseNews>();
        _stores = new StoreHolder(new StoreModel(0).NewStore());
    }

    public override void Run(int thread)
    {
        if (thread == 0)
        {
            foreach ((ulong Index, long Ended)[] batch in s_batches)
            {
                Apply(_stores.Current, batch);
            }

            return;
        }

        for (int i = 0; i < s_batches.Length; i++)
        {
            CompareWith(Take());
        }
    }

    public override void End()
    {
        CompareWith(Take());
        Require(_known.SetEquals([3, 4]), $"in the end the leases {string.Join(", ", _known)} are known");
    }

    public override void Discard() => _stores.Current.Memory.Dispose();

    private void Apply(MvccStore store, (ulong Index, long Ended)[] batch)
    {
        foreach ((ulong index, long ended) in batch)
        {
            store.GrantLease(index, (long)index, 1000, endsWithLastKey: false);
            if (ended != 0)
            {
                store.EndLease(index, ended);
            }
        }

        if (order == LeaseNewsOrder.AddsAfterItPublishes)
        {
            store.Publish(batch[^1].Index, 1);
            store.Leases.TakeNews(_news.Add);
            return;
        }

        store.Leases.TakeNews(news =>
        {
            _news.Add(news);
            _unordered.Enqueue(news);
        });
        store.Publish(batch[^1].Index, 1);
    }

    private StoreView Take()
    {
        StoreView? view = order == LeaseNewsOrder.TakesBeyondTheView ? _stores.Current.View : null;
        if (order is LeaseNewsOrder.TakesBeyondTheView or LeaseNewsOrder.LooksAfterItTakes)
        {
            while (_unordered.TryDequeue(out LeaseNews news))
            {
                Hear(news);
            }

            return view ?? _stores.Current.View;
        }

        return _news.Take(_stores, Hear);
    }

    private void Hear(LeaseNews news)
    {
        bool isNew = news.Change == LeaseChange.Granted ? _known.Add(news.Id) : _known.Remove(news.Id);
        Require(isNew, $"lease {news.Id} is {news.Change} twice");
    }

    private void CompareWith(StoreView view) => Require(
        _known.SetEquals(view.Leases.Ids),
        $"at index {view.AppliedIndex}, where there are the leases {string.Join(", ", view.Leases.Ids)}, the leases {string.Join(", ", _known)} are known");
}
