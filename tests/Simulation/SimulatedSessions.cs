using MetaStore.Engine;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>
/// What the clients that write in one session share: a <see cref="MetaStoreSession"/>, as it ships, for each group that they use, and another where
/// the store has forgotten it.
/// </summary>
internal sealed class SimulatedSessions(World world, SimulationRandom random)
{
    private readonly Dictionary<GroupId, Way> _ways = [];

    /// <summary>Tries are under way, or late.</summary>
    public bool IsBusy => _ways.Values.Any(way => way.Tries.IsBusy);

    public void NodeDied(SimulatedNode node)
    {
        foreach (Way way in _ways.Values)
        {
            way.Tries.NodeDied(node);
        }
    }

    /// <summary>Carries out a write, beside those that are under way.</summary>
    /// <exception cref="MetaStoreException">As the session gives it.</exception>
    public async ValueTask<StoreResponse> WriteAsync(SimulatedGroup group, StoreRequest request)
    {
        Way way = WayTo(group);
        while (way.IsOpening)
        {
            // Not on the task of who opens it: of several who wait for one task some go on in the thread pool.
            await Task.Delay(way.Options.PauseMin, way.Options.TimeProvider).ConfigureAwait(false);
        }

        MetaStoreSession session = way.Session ?? await OpenAsync(way).ConfigureAwait(false);
        try
        {
            return request switch
            {
                PutRequest put => await session.PutAsync(put).ConfigureAwait(false),
                DeleteRangeRequest delete => await session.DeleteRangeAsync(delete).ConfigureAwait(false),
                TxnRequest txn => await session.TxnAsync(txn).ConfigureAwait(false),
                CompactRequest compact => await session.CompactAsync(compact).ConfigureAwait(false),
                _ => throw new ArgumentException($"{request.GetType().Name} is no write", nameof(request)),
            };
        }
        catch (MetaStoreException error) when (error.Error == MetaStoreError.SessionNotFound)
        {
            way.Session = ReferenceEquals(way.Session, session) ? null : way.Session; // The next write opens another.
            throw;
        }
    }

    private static async ValueTask<MetaStoreSession> OpenAsync(Way way)
    {
        way.IsOpening = true;
        try
        {
            way.Session = await MetaStoreSession.OpenAsync(way.Tries, way.Options).ConfigureAwait(false);
            return way.Session;
        }
        finally
        {
            way.IsOpening = false;
        }
    }

    private Way WayTo(SimulatedGroup group)
    {
        if (!_ways.TryGetValue(group.Id, out Way? way))
        {
            var options = new MetaStoreSessionOptions
            {
                RepeatFor = TimeSpan.FromMilliseconds(random.Next(500, 20_000)),
                PauseMin = TimeSpan.FromMilliseconds(random.Next(1, 50)),
                PauseMax = TimeSpan.FromMilliseconds(random.Next(50, 400)),
                WritesMax = random.Next(2, 10),
                TimeProvider = new ClientClock(world.Time),
                RunContinuationsAsynchronously = false,
            };
            _ways.Add(group.Id, way = new Way(new SimulatedTries(world, random, group.Id), options));
        }

        return way;
    }

    private sealed class Way(SimulatedTries tries, MetaStoreSessionOptions options)
    {
        public SimulatedTries Tries { get; } = tries;

        public MetaStoreSessionOptions Options { get; } = options;

        public MetaStoreSession? Session { get; set; }

        public bool IsOpening { get; set; }
    }
}
