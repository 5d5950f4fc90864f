using MetaStore.Engine;
using MetaStore.Net;
using MetaStore.Simulation;

namespace MetaStore.Chaos;

/// <summary>
/// The clients of one round, each a closed loop. Half of them know all nodes, as clients should; the others know one node only, whatever
/// becomes of it: they are the ones who would see what a node says that was left behind.
/// </summary>
internal sealed class Workload : IAsyncDisposable
{
    private const int PaddingMax = 200;

    private readonly Recorder _recorder;
    private readonly Keyspace _keys;
    private readonly TimeSpan _thinkMax;
    private readonly List<IChaosClient> _clients = [];
    private readonly List<Task> _loops = [];
    private volatile bool _isStopping;

    private Workload(Recorder recorder, Keyspace keys, TimeSpan thinkMax)
    {
        _recorder = recorder;
        _keys = keys;
        _thinkMax = thinkMax;
    }

    public static Workload Start(ChaosCluster cluster, ChaosOptions options, Recorder recorder, Keyspace keys, SimulationRandom random)
    {
        var workload = new Workload(recorder, keys, options.ThinkMax);
        foreach (string endpoint in cluster.Endpoints)
        {
            foreach (IReadOnlyList<string> known in new[] { cluster.Endpoints, [endpoint] })
            {
                IChaosClient client = Open(known, options, random);
                workload._clients.Add(client);
                workload._loops.Add(workload.AskAsync(client, random.Branch()));
            }
        }

        return workload;
    }

    /// <summary>A client that asks the way that the run is of.</summary>
    public static IChaosClient Open(IReadOnlyList<string> endpoints, ChaosOptions options, SimulationRandom random) => options.Front == ChaosFront.Grpc
        ? new GrpcChaosClient(endpoints, options.RequestTimeout)
        : new StoreChaosClient(Connect(endpoints, options, random));

    public static MetaStoreClient Connect(IReadOnlyList<string> endpoints, ChaosOptions options, SimulationRandom random) => MetaStoreClient.Connect(new MetaStoreClientOptions
    {
        Endpoints = endpoints,
        RequestTimeout = options.RequestTimeout,
        ConnectTimeout = options.RequestTimeout,
        BackoffMax = TimeSpan.FromMilliseconds(50),
        JitterSeed = random.Next(),
    });

    /// <summary>Returns when the last operation has been answered or given up.</summary>
    public async Task StopAsync()
    {
        _isStopping = true;
        await Task.WhenAll(_loops);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        foreach (IChaosClient client in _clients)
        {
            await client.DisposeAsync();
        }
    }

    private async Task AskAsync(IChaosClient client, SimulationRandom random)
    {
        var versions = new Dictionary<long, long>();
        while (!_isStopping)
        {
            if (await _recorder.AskAsync(client, Draw(random, versions)) is RangeResponse read)
            {
                foreach (KeyValue item in read.Items)
                {
                    versions[RegisterProjection.KeyNumber(item.Key)] = item.Version;
                }
            }

            await Task.Delay(_thinkMax * random.NextDouble());
        }
    }

    private StoreRequest Draw(SimulationRandom random, Dictionary<long, long> versions)
    {
        long key = _keys.First + random.Next(Keyspace.Keys);
        double kind = random.NextDouble();
        return kind switch
        {
            < 0.30 => Put(key, random, returnPrevious: random.Chance(0.5)),
            < 0.60 => new RangeRequest { Key = RegisterProjection.KeyOf(key) },
            < 0.67 => new DeleteRangeRequest { Key = RegisterProjection.KeyOf(key), ReturnPrevious = true },
            < 0.82 => new TxnRequest
            {
                // The version last seen, so that some succeed and some come too late.
                Compare = [new Compare { Key = RegisterProjection.KeyOf(key), Target = CompareTarget.Version, Number = versions.GetValueOrDefault(key) }],
                Success = [Put(key, random, returnPrevious: false)],
            },
            < 0.88 => new TxnRequest { Success = [Put(key, random, returnPrevious: false), Put(Other(key, random), random, returnPrevious: false)] },
            < 0.94 => _keys.ReadAll(serializable: false),
            _ => _keys.ReadAll(serializable: true),
        };
    }

    private long Other(long key, SimulationRandom random) => _keys.First + ((key - _keys.First + 1 + random.Next(Keyspace.Keys - 1)) % Keyspace.Keys);

    private PutRequest Put(long key, SimulationRandom random, bool returnPrevious) =>
        new() { Key = RegisterProjection.KeyOf(key), Value = _recorder.NewValue(random, PaddingMax), ReturnPrevious = returnPrevious };
}
