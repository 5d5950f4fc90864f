using System.Collections.Concurrent;
using MetaStore.Engine.Memory;
using MetaStore.Engine.Mvcc;
using MetaStore.Engine.Transactions;

namespace MetaStore.Engine.Leases;

/// <summary>
/// What became of leases, on its way from the apply loop, which alone adds, to the node loop, which alone takes. News are added before the view that holds them is published, and taken up to a view that
/// was: so whoever has taken knows neither less nor more than the view. Were it less, the leader would deny a lease whose grant was acknowledged, and its holder would give it up for lost.
/// </summary>
internal sealed class LeaseNewsQueue
{
    private readonly ConcurrentQueue<LeaseNews> _queue = new();

    /// <summary>A lease changes, by an entry that is not published yet.</summary>
    public void Add(LeaseNews news)
    {
        SchedulePoint.Hit();
        _queue.Enqueue(news);
    }

    /// <summary>Takes the news through the current view, oldest first, and gives that view.</summary>
    public StoreView Take(StoreHolder stores, Action<LeaseNews> hear)
    {
        StoreView view = stores.Current.View;
        SchedulePoint.Hit();
        while (_queue.TryPeek(out LeaseNews news) && news.Index <= view.AppliedIndex)
        {
            _queue.TryDequeue(out _);
            hear(news);
        }

        return view;
    }
}
