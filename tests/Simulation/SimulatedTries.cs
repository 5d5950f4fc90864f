using System.Runtime.CompilerServices;
using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Raft;

namespace MetaStore.Simulation;

/// <summary>
/// The way of a session to the nodes of a group: each try goes to any of them. While not all is calm, some answers are lost on the way back, and some
/// tries arrive only long after their sender has given them up, when the same write may have been sent again and answered.
/// </summary>
internal sealed class SimulatedTries(World world, SimulationRandom random, GroupId group) : IMetaStore, IMetaStoreSessions
{
    private const double LateProbability = 0.03;
    private const double AnswerLostProbability = 0.05;
    private const long LateMax = 10 * VirtualTime.Second;

    private readonly List<Try> _underWay = [];

    /// <summary>Tries are at a node, or will yet arrive there.</summary>
    public bool IsBusy => _underWay.Count > 0;

    /// <summary>The node that was asked is gone: no answer will come.</summary>
    public void NodeDied(SimulatedNode node)
    {
        foreach (Try lost in _underWay.Where(one => one.IsAt == node).ToArray())
        {
            _underWay.Remove(lost);
            lost.Break();
        }
    }

    public ValueTask<SessionResponse> ExecuteAsync(SessionRequest request, CancellationToken cancellationToken = default) =>
        Ask(store => store.ExecuteAsync(request, CancellationToken.None));

    public ValueTask<OpenSessionResponse> OpenSessionAsync(CancellationToken cancellationToken = default) =>
        Ask(store => store.OpenSessionAsync(CancellationToken.None));

    public ValueTask<CloseSessionResponse> CloseSessionAsync(ulong sessionId, CancellationToken cancellationToken = default) =>
        Ask(store => store.CloseSessionAsync(sessionId, CancellationToken.None));

    public ValueTask<PutResponse> PutAsync(PutRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<RangeResponse> RangeAsync(RangeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<DeleteRangeResponse> DeleteRangeAsync(DeleteRangeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<TxnResponse> TxnAsync(TxnRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<CompactResponse> CompactAsync(CompactRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<StatusResponse> StatusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<HashResponse> HashAsync(HashRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<LeaseGrantResponse> GrantLeaseAsync(LeaseGrantRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<LeaseRevokeResponse> RevokeLeaseAsync(LeaseRevokeRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<LeaseKeepAliveResponse> KeepLeaseAliveAsync(long leaseId, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<LeaseTimeToLiveResponse> LeaseTimeToLiveAsync(LeaseTimeToLiveRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<LeasesResponse> LeasesAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public IAsyncEnumerable<WatchResponse> WatchAsync(WatchRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ValueTask<T> Ask<T>(Func<GroupCore, ValueTask<T>> call)
        where T : StoreResponse
    {
        // Once all is calm those that are down stay so. Where all but one were removed, a client that went on asking them would come to the one in ten tries.
        IReadOnlyList<SimulatedNode> nodes = world.Network.IsCalm && world.Nodes.Any(one => one.IsUp) ? [.. world.Nodes.Where(one => one.IsUp)] : world.Nodes;
        SimulatedNode node = nodes[random.Next(nodes.Count)];
        if (!node.IsUp)
        {
            return ValueTask.FromException<T>(new MetaStoreException(MetaStoreError.ConnectionLost, $"node {node.Id} is down"));
        }

        var one = new Try<T>(world, call);
        _underWay.Add(one);
        if (!world.Network.IsCalm && random.Chance(LateProbability))
        {
            world.Time.After(random.Between(VirtualTime.Millisecond, VirtualTime.Second), one.Break);
            world.Time.After(random.Between(10 * VirtualTime.Millisecond, LateMax), () => Deliver(one, node));
            return one.Answer;
        }

        if (!world.Network.IsCalm && random.Chance(AnswerLostProbability))
        {
            world.Time.After(random.Between(VirtualTime.Millisecond, VirtualTime.Second), one.Break);
        }

        Deliver(one, node);
        return one.Answer;
    }

    private void Deliver(Try one, SimulatedNode node)
    {
        world.Trace.Add(world.Time.Now, "try", node.Id.Value, one.IsBroken ? 1ul : 0);
        one.IsAt = node;
        if (node.StoreOf(group) is { } store)
        {
            one.Begin(store, () => _underWay.Remove(one));
        }
        else
        {
            _underWay.Remove(one);
            one.Break();
        }
    }

    private abstract class Try
    {
        /// <summary>The node that it has reached.</summary>
        public SimulatedNode? IsAt { get; set; }

        /// <summary>Whoever sent it waits no more.</summary>
        public bool IsBroken { get; protected set; }

        public abstract void Begin(GroupCore store, Action ended);

        public abstract void Break();
    }

    private sealed class Try<T>(World world, Func<GroupCore, ValueTask<T>> call) : Try
        where T : StoreResponse
    {
        private readonly TaskCompletionSource<T> _answer = new();

        public ValueTask<T> Answer => new(_answer.Task);

        public override void Begin(GroupCore store, Action ended)
        {
            ValueTaskAwaiter<T> awaiter;
            try
            {
                awaiter = call(store).GetAwaiter();
            }
            catch (MetaStoreException refusal)
            {
                ended();
                Fail(refusal);
                return;
            }

            if (awaiter.IsCompleted)
            {
                End(awaiter, ended);
            }
            else
            {
                awaiter.UnsafeOnCompleted(world.Time.Continuation(() => End(awaiter, ended)));
            }
        }

        /// <summary>The connection breaks: what becomes of the try nobody can say.</summary>
        public override void Break()
        {
            IsBroken = true;
            Later(() => _answer.TrySetException(new MetaStoreException(MetaStoreError.ConnectionLost, "the connection broke", Outcome.Unknown)));
        }

        /// <summary>Taken in any case: the handle goes back to its pool.</summary>
        private void End(ValueTaskAwaiter<T> awaiter, Action ended)
        {
            ended();
            try
            {
                T answer = awaiter.GetResult();
                Later(() => _answer.TrySetResult(answer));
            }
            catch (MetaStoreException error)
            {
                Fail(error);
            }
        }

        private void Fail(MetaStoreException error)
        {
            world.Trace.Add(world.Time.Now, "error", (ulong)error.Error);
            MetaStoreException told = error.Error == MetaStoreError.WitnessMember
                ? new MetaStoreException(MetaStoreError.ConnectionLost, "a witness; another may do better", error.Outcome, error)
                : error;
            Later(() => _answer.TrySetException(told));
        }

        /// <summary>Not inside the step of the node that answers.</summary>
        private void Later(Action action) => world.Time.After(0, action);
    }
}
