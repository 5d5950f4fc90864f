using MetaStore.Engine;
using MetaStore.Raft;
using Microsoft.Extensions.Logging;

namespace MetaStore.Net.Client;

/// <summary>
/// Chooses the connection for a request. Every node answers every request, so a wrong guess costs a hop, never correctness: the leader is
/// preferred for what goes through it, all live endpoints take turns for the rest.
/// </summary>
internal sealed class ClientRouter
{
    private readonly ClientEndpoint[] _endpoints;
    private readonly MetaStoreClientOptions _options;
    private readonly ILogger _logger;
    private ulong _leader;
    private uint _turn;

    public ClientRouter(MetaStoreClientOptions options, Backoff backoff, ILogger logger, CancellationToken stopping)
    {
        _options = options;
        _logger = logger;
        var cluster = new ClusterPin(options.ClusterId);
        _endpoints = [.. options.Endpoints.Select(name => new ClientEndpoint(name, options, backoff, cluster, LearnLeader, logger, stopping))];
    }

    /// <summary>The leader, as far as the nodes have told.</summary>
    public NodeId Leader => new(Volatile.Read(ref _leader));

    public IEnumerable<ClientConnection> Connections() => _endpoints.SelectMany(endpoint => endpoint.Connections());

    /// <summary>
    /// A connection that works. Completes at once where there is one. <paramref name="avoid"/> is passed over while there is any other.
    /// </summary>
    /// <exception cref="MetaStoreException">None can be had now; nothing was sent.</exception>
    public ValueTask<ClientConnection> AcquireAsync(bool preferLeader, string? avoid, TimeSpan patience, CancellationToken cancellationToken)
    {
        ClientConnection? live = preferLeader ? LeaderOrAny(avoid) : AnyLive(avoid);
        return live is not null
            ? ValueTask.FromResult(live)
            : new ValueTask<ClientConnection>(ConnectAnyAsync(patience, cancellationToken));
    }

    private ClientConnection? LeaderOrAny(string? avoid)
    {
        ulong leader = Volatile.Read(ref _leader);
        if (leader != 0)
        {
            bool isKnown = false;
            foreach (ClientEndpoint endpoint in _endpoints)
            {
                if (endpoint.NodeId.Value == leader)
                {
                    isKnown = true;
                    if (endpoint.Live() is { } connection && endpoint.Name != avoid)
                    {
                        return connection;
                    }
                }
            }

            if (!isKnown)
            {
                FindLeaderInBackground();
            }
        }

        return AnyLive(avoid);
    }

    /// <summary>Only a handshake tells which node an endpoint is.</summary>
    private void FindLeaderInBackground()
    {
        foreach (ClientEndpoint endpoint in _endpoints)
        {
            if (endpoint.NodeId.IsNone && !endpoint.IsResting)
            {
                _ = endpoint.ConnectAsync();
            }
        }
    }

    private ClientConnection? AnyLive(string? avoid)
    {
        uint turn = Interlocked.Increment(ref _turn);
        ClientConnection? avoided = null;
        for (uint i = 0; i < _endpoints.Length; i++)
        {
            ClientEndpoint endpoint = _endpoints[(turn + i) % (uint)_endpoints.Length];
            if (endpoint.Live() is not { } connection)
            {
                continue;
            }

            if (endpoint.Name != avoid)
            {
                return connection;
            }

            avoided = connection;
        }

        return avoided;
    }

    private async Task<ClientConnection> ConnectAnyAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        List<Task<ClientConnection>> attempts = [.. _endpoints.Where(endpoint => !endpoint.IsResting).Select(endpoint => endpoint.ConnectAsync())];
        while (attempts.Count > 0)
        {
            Task<ClientConnection> first;
            try
            {
                first = await Task.WhenAny(attempts).WaitAsync(patience, _options.TimeProvider, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                break;
            }

            if (first.IsCompletedSuccessfully)
            {
                return await first.ConfigureAwait(false);
            }

            attempts.Remove(first);
        }

        throw NoneReachable();
    }

    private MetaStoreException NoneReachable()
    {
        MetaStoreException[] failures = [.. _endpoints.Select(endpoint => endpoint.LastFailure).OfType<MetaStoreException>()];
        if (failures.Length == _endpoints.Length && failures.All(failure => failure.Error == failures[0].Error))
        {
            return new MetaStoreException(failures[0].Error, string.Join(" ", failures.Select(failure => failure.Message)), Outcome.NotApplied, failures[0]);
        }

        string reasons = failures.Length == 0 ? "no attempt has ended yet." : string.Join(" ", failures.Select(failure => failure.Message));
        return new MetaStoreException(MetaStoreError.ConnectionLost, $"None of {string.Join(", ", _options.Endpoints)} can be reached: {reasons}");
    }

    private void LearnLeader(NodeId source, NodeId leader)
    {
        // A node that sees no leader may be cut off from one that is well; only the leader itself is believed when it says so.
        ulong known = Volatile.Read(ref _leader);
        if (leader.Value == known || (leader.IsNone && source.Value != known))
        {
            return;
        }

        Volatile.Write(ref _leader, leader.Value);
        _logger.LogDebug("Node {Source} says that the leader is {Leader}.", source, leader);
    }
}
