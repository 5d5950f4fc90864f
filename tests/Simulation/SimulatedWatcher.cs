using MetaStore.Engine;
using MetaStore.Engine.Hosting;

namespace MetaStore.Simulation;

/// <summary>
/// A watch through the whole run: on one node, and behind what it has been told on another one when that dies or the watch is left. What it is told goes to the
/// group's <see cref="WatchWitness"/>. It takes at its own pace, some so slowly that they fall behind.
/// </summary>
/// <param name="world">The run.</param>
/// <param name="random">Its randomness.</param>
/// <param name="group">The group it watches.</param>
internal sealed class SimulatedWatcher(World world, SimulationRandom random, SimulatedGroup group)
{
    private WatchAccount? _account;
    private IAsyncEnumerator<WatchResponse>? _watch;
    private SimulatedNode? _node;
    private bool _isCalm;

    public SimulatedGroup Group => group;

    /// <summary>Taken up again on another node, or on the same one in another life.</summary>
    public int Resumed { get; private set; }

    public void Start() => world.Time.After(random.NextInt64(2 * VirtualTime.Second), Begin);

    /// <summary>No more leaving and no more slowness: what is to be told is told soon.</summary>
    public void CalmDown() => _isCalm = true;

    /// <summary>It has been told, or knows that there was nothing to be told, of everything up to the revision.</summary>
    public bool HasReached(long revision) => _account is not null && _account.Bookmark >= revision;

    /// <summary>The node is gone, and the watch with it.</summary>
    public void NodeDied(SimulatedNode node)
    {
        if (_node == node)
        {
            (_node, _watch) = (null, null);
            Resumed++;
            ResumeLater();
        }
    }

    /// <summary>A new watch, of something else, from now, from before or from a revision to come.</summary>
    private void Begin()
    {
        long first = random.NextInt64(world.Options.Keys);
        long last = first + 1 + random.NextInt64(world.Options.Keys - first);
        double start = random.NextDouble();
        bool isAll = random.Chance(0.5);
        var request = new WatchRequest
        {
            Key = RegisterProjection.KeyOf(isAll ? 0 : first),
            RangeEnd = isAll ? new byte[] { 0 } : last == first + 1 && random.Chance(0.5) ? default : RegisterProjection.KeyOf(last),
            StartRevision = new Revision(start < 0.4 || group.Revision == 0 ? 0 : start < 0.8 ? Math.Max(1, group.Revision - random.NextInt64(50)) : group.Revision + random.NextInt64(100)),
            NoPut = !isAll && random.Chance(0.1),
            NoDelete = !isAll && random.Chance(0.1),
            PreviousValue = random.Chance(0.5),
            Fragment = random.Chance(0.3),
            ProgressNotify = true,
            RequireLeader = true,
        };
        _account = group.Watches.Begin(request);
        Open();
    }

    private void Open()
    {
        SimulatedNode node = world.Nodes[random.Next(world.Nodes.Count)];
        GroupCore? store = node.StoreOf(group.Id);
        if (store is null)
        {
            ResumeLater();
            return;
        }

        try
        {
            _watch = store.WatchAsync(_account!.Resume()).GetAsyncEnumerator();
        }
        catch (MetaStoreException refused) when (refused.IsTransient || refused.Error == MetaStoreError.WitnessMember)
        {
            ResumeLater();
            return;
        }

        _node = node;
        world.Trace.Add(world.Time.Now, "watch", node.Id.Value, (ulong)_account.Next);
        Take(_watch);
    }

    private void ResumeLater() => world.Time.After(random.Between(VirtualTime.Millisecond, 500 * VirtualTime.Millisecond), () =>
    {
        if (_watch is null)
        {
            Open();
        }
    });

    /// <summary>Takes the next response, now or when it comes.</summary>
    private void Take(IAsyncEnumerator<WatchResponse> watch)
    {
        if (!ReferenceEquals(_watch, watch))
        {
            return;
        }

        ValueTask<bool> next = watch.MoveNextAsync();
        if (next.IsCompleted)
        {
            Took(watch, next);
        }
        else
        {
            System.Runtime.CompilerServices.ValueTaskAwaiter<bool> awaiter = next.GetAwaiter();
            awaiter.UnsafeOnCompleted(world.Time.Continuation(() => Took(watch, next)));
        }
    }

    private void Took(IAsyncEnumerator<WatchResponse> watch, ValueTask<bool> next)
    {
        try
        {
            bool isThere = next.GetAwaiter().GetResult();
            if (!ReferenceEquals(_watch, watch))
            {
                return;
            }

            Require(isThere, "a watch ended without a word");
            _account!.Told(watch.Current);
            world.Trace.Add(world.Time.Now, "told", (ulong)watch.Current.Header.Revision.Value, (ulong)watch.Current.Events.Count);
            Continue(watch);
        }
        catch (CompactedException compacted) when (ReferenceEquals(_watch, watch))
        {
            _account!.Compacted(compacted.CompactRevision.Value);
            (_node, _watch) = (null, null);
            Begin();
        }
        catch (MetaStoreException ended) when (ReferenceEquals(_watch, watch))
        {
            Require(ended.IsTransient || ended.Error == MetaStoreError.WitnessMember, $"a watch ended with {ended.Error}");
            (_node, _watch) = (null, null);
            ResumeLater();
        }
    }

    private void Continue(IAsyncEnumerator<WatchResponse> watch)
    {
        double what = random.NextDouble();
        if (!_isCalm && what < 0.01)
        {
            _watch = null;
            Require(watch.DisposeAsync().IsCompletedSuccessfully, "leaving a watch takes time");
            (_node, Resumed) = (null, Resumed + 1);
            ResumeLater();
            return;
        }

        long pause = _isCalm || what < 0.7 ? 0 : random.Between(VirtualTime.Millisecond, 3 * VirtualTime.Second);
        world.Time.After(pause, () => Take(watch));
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new SimulationFailure(FailureKind.Correctness, what);
        }
    }
}
